"""Secrets: how much chance is in them, and how they are compared."""

from datetime import UTC, datetime, timedelta

import pytest

from keyturn.clients import secrets
from keyturn.clients.model import ClientSecret
from keyturn.crypto import opaque

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_ca_5_a_generated_secret_has_256_bits_and_a_prefix_for_scanners():
    made = {secrets.generate() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == len("kts_") + 43 and one.startswith("kts_") for one in made)
    assert all(secrets.check_given(one) == one for one in made)


def test_two_secrets_are_active_until_one_expires():
    new = ClientSecret(secrets.digest("new"))
    old = ClientSecret(secrets.digest("old"), NOW)
    before = NOW - timedelta(microseconds=1)
    assert secrets.matches("new", (new, old), NOW)
    assert secrets.matches("old", (new, old), before)
    assert not secrets.matches("old", (new, old), NOW)
    assert not secrets.matches("other", (new, old), before)


@pytest.mark.parametrize("active", [(), (ClientSecret(b"x" * 32),), (ClientSecret(b"x" * 32),) * 2])
def test_as_many_comparisons_are_made_for_an_unknown_client_as_for_a_known_one(active, monkeypatch):
    compared = []
    monkeypatch.setattr(opaque, "equal", lambda *pair: compared.append(pair) or False)
    assert not secrets.matches("guess", active, NOW)
    assert len(compared) == 2


def test_what_stands_in_for_a_missing_secret_matches_nobody(monkeypatch):
    """Seen failing: a stand-in with a known preimage was a master key to every client."""
    one = (ClientSecret(secrets.digest("new")),)
    assert not secrets.matches("", (), NOW)
    monkeypatch.setattr(opaque, "equal", lambda _presented, known: known != one[0].hash)
    assert not secrets.matches("whatever hashes to the stand-in", one, NOW)
    assert not secrets.matches("whatever hashes to the stand-in", (), NOW)


@pytest.mark.parametrize(
    "weak", ["", "short", "a" * 31, "ab" * 32, "x" * 600, "tab\t" * 10, " " + "abcdefghij" * 4]
)
def test_a_weak_secret_is_refused_without_being_repeated(weak):
    with pytest.raises(ValueError, match="secret") as caught:
        secrets.check_given(weak)
    assert not weak or weak not in str(caught.value)


def test_no_representation_shows_a_hash():
    assert "hash" not in repr(ClientSecret(b"x" * 32))
