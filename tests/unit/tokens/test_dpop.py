from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.clock import FixedClock
from keyturn.crypto.secrets import MasterSecrets
from keyturn.errors import InvalidDpopProof
from keyturn.tokens.dpop_nonce import PERIOD, Nonces
from keyturn.tokens.dpop_proof import Proof, Wanted, check
from support.possession import Holder

HOLDER = Holder.of()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
URI = "https://id.example/oauth2/token"
WANTED = Wanted("POST", URI)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def proof(header=None, **changes):
    said = {"iat": int(NOW.timestamp()), **changes}
    return HOLDER.proof("POST", said.pop("htu", URI), header, **said)


def passes(text, wanted=WANTED, now=NOW):
    try:
        return isinstance(check(text, wanted, now), Proof)
    except InvalidDpopProof:
        return False


def test_a_proof_says_whose_it_is_and_until_when_it_could_come_again():
    read = check(proof(jti="x", nonce="n"), WANTED, NOW)
    assert read == Proof(HOLDER.jkt, "x", "n", NOW + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("seconds", "good"),
    [(0, True), (10, True), (-10, True), (59, True), (-59, True), (60, False), (-60, False)],
)
def test_the_window_is_a_minute_to_either_side(seconds, good):
    assert passes(proof(), now=NOW + timedelta(seconds=seconds)) is good


@pytest.mark.parametrize(
    ("htu", "uri", "good"),
    [
        ("https://id.example:443/oauth2/token", URI, True),
        (URI, "https://id.example:443/oauth2/token", True),
        ("https://ID.example/oauth2/token?x#y", URI, True),
        ("https://id.example", "https://id.example/", True),
        ("http://localhost:80/a", "http://localhost/a", True),
        ("https://[::1]:8443/a", "https://[::1]:8443/a", True),
        ("http://id.example/oauth2/token", URI, False),
        ("https://id.example:8443/oauth2/token", URI, False),
        ("https://id.example:0/oauth2/token", URI, False),
        ("https://id.example/oauth2/token/", URI, False),
        ("https://id.example/OAUTH2/token", URI, False),
        ("https://id.example.evil.example/oauth2/token", URI, False),
        ("https://me@id.example/oauth2/token", URI, False),
        ("https://id.example/oauth2\n/token", URI, False),
        ("https://id.example:x/oauth2/token", URI, False),
        ("//id.example/oauth2/token", URI, False),
        ("/oauth2/token", URI, False),
        ("", URI, False),
    ],
)
def test_two_spellings_of_one_address_are_one(htu, uri, good):
    assert passes(proof(htu=htu), Wanted("POST", uri)) is good


def test_algorithms_may_be_fewer():
    assert passes(proof(), Wanted("POST", URI, ("ES256",)))
    assert not passes(proof(), Wanted("POST", URI, ("PS256",)))


@given(
    member=st.sampled_from(["jti", "htm", "htu", "iat", "exp", "nbf", "nonce", "ath"]), value=JSON
)
def test_whatever_a_claim_is_the_answer_is_yes_or_no(member, value):
    claims = HOLDER.claims("POST", URI, iat=int(NOW.timestamp())) | {member: value}
    passes(HOLDER.signed(HOLDER.header(), claims))


@given(
    member=st.sampled_from(["kty", "crv", "x", "y", "n", "e", "use", "alg", "kid", "d"]),
    kind=st.sampled_from(["EC", "RSA", "OKP"]),
    value=JSON,
)
def test_whatever_a_key_is_the_answer_is_yes_or_no(member, kind, value):
    jwk = {**HOLDER.jwk, "n": "AQAB", "e": "AQAB", "kty": kind, member: value}
    passes(proof({"jwk": jwk}))


@given(member=st.sampled_from(["alg", "typ", "jwk", "kid", "crit"]), value=JSON)
def test_whatever_a_header_is_the_answer_is_yes_or_no(member, value):
    passes(proof({member: value}))


def nonces(*ids, at=NOW):
    clock = FixedClock(at)
    return Nonces(MasterSecrets({one: bytes([one]) * 32 for one in ids}), clock), clock


def test_a_nonce_is_good_at_every_replica_and_for_some_minutes():
    (one, clock), (other, _) = nonces(1), nonces(1)
    given_out = one.current()
    assert other.current() == given_out
    for step, good in ((0, True), (PERIOD, True), (PERIOD, False), (PERIOD, False)):
        clock.advance(timedelta(seconds=step))
        assert one.knows(given_out) is good


def test_a_nonce_of_a_replica_whose_clock_is_ahead_is_good():
    ahead, _ = nonces(1, at=NOW + timedelta(seconds=PERIOD))
    behind, _ = nonces(1)
    assert behind.knows(ahead.current())


def test_a_nonce_outlives_the_roll_out_of_a_secret():
    (before, _), (after, _), (without, _) = nonces(1), nonces(2, 1), nonces(2)
    assert after.knows(before.current())
    assert after.current() != before.current()
    assert not without.knows(before.current())


@pytest.mark.parametrize("nonce", [None, "", "x", "ä", "\ud800"])
def test_what_is_no_nonce_is_none_of_ours(nonce):
    assert not nonces(1)[0].knows(nonce)
