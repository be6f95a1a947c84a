"""PKCE (RFC 7636): the example of its appendix B, and everything that proves nothing."""

import pytest

from keyturn.crypto import pkce

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_verifier_of_the_standards_example_proves_its_challenge():
    assert pkce.challenge_of(VERIFIER) == CHALLENGE
    assert pkce.proves(VERIFIER, CHALLENGE)


@pytest.mark.parametrize("length", [43, 128])
def test_pk_2_a_verifier_has_43_to_128_unreserved_characters(length):
    verifier = ("aZ09-._~" * 16)[:length]
    assert pkce.proves(verifier, pkce.challenge_of(verifier))


@pytest.mark.parametrize(
    "verifier", ["a" * 42, "a" * 129, "a" * 42 + "+", "ü" * 43, "a" * 43 + "\n"]
)
def test_pk_2_what_is_no_verifier_proves_nothing_not_even_its_own_challenge(verifier):
    assert not pkce.proves(verifier, pkce.challenge_of(verifier))


@pytest.mark.parametrize(
    ("verifier", "challenge"),
    [(None, CHALLENGE), ("", CHALLENGE), (CHALLENGE, CHALLENGE), (VERIFIER, None), ("", None)],
)
def test_pk_3_one_without_the_other_proves_nothing(verifier, challenge):
    assert not pkce.proves(verifier, challenge)


def test_neither_is_fine_where_no_challenge_was_demanded():
    assert pkce.proves(None, None)


@pytest.mark.parametrize(
    "text", ["", CHALLENGE[:-1], CHALLENGE + "x", CHALLENGE + "=", "+" + CHALLENGE[1:], "ü" * 43]
)
def test_pk_2_a_challenge_has_exactly_43_characters_of_base64url(text):
    assert pkce.is_challenge(CHALLENGE)
    assert not pkce.is_challenge(text)
