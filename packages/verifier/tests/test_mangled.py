"""Whatever is done to a token: it is refused, and with nothing but `InvalidToken`."""

import asyncio
import json
import string

import pytest
from documents import Documents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from issuing import claims, jws, listed, other_key, rsa, signed, token

from keyturn_verifier import AccessToken, InvalidToken

GOOD = [token(status=listed()), signed(claims(), other_key("ES256"), alg="ES256", kid="two")]
KEYS = (rsa(), other_key("ES256", "two"))
ALPHABET = string.ascii_letters + string.digits + "-_.=+/ \n\x00é"
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def outcome():
    """Verify one text after another; the answer is a token, or None for a refusal."""
    documents = Documents(rsa(), {**other_key("ES256").as_dict(private=False), "kid": "two"})
    loop, verifier = asyncio.new_event_loop(), documents.verifier()

    def verified(text):
        try:
            return loop.run_until_complete(verifier.verify(text))
        except InvalidToken:
            return None

    yield verified
    loop.run_until_complete(verifier.aclose())
    loop.close()


def test_the_tokens_are_good_before_they_are_mangled(outcome):
    assert all(isinstance(outcome(good), AccessToken) for good in GOOD)


def test_no_other_last_character_passes(outcome):
    """The last one of a signature holds bits that nobody signs (RFC 4648 section 3.5)."""
    for good in GOOD:
        passing = [last for last in ALPHABET if outcome(good[:-1] + last)]
        assert passing == [good[-1]]


@UNHURRIED
@given(st.sampled_from(GOOD), st.data())
def test_any_changed_character_is_refused(outcome, good, data):
    place = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda one: one != good[place]))
    assert outcome(good[:place] + other + good[place + 1 :]) is None


@UNHURRIED
@given(st.sampled_from(GOOD), st.data())
def test_any_character_more_or_less_is_refused(outcome, good, data):
    place = data.draw(st.integers(0, len(good) - 1))
    more = data.draw(st.sampled_from(ALPHABET))
    assert outcome(good[:place] + good[place + 1 :]) is None
    assert outcome(good[:place] + more + good[place:]) is None


@UNHURRIED
@given(st.text() | st.text(alphabet="eyJ.{}_-", max_size=60))
def test_any_text_is_refused(outcome, text):
    assert outcome(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
HEADERS = ["alg", "kid", "typ", "crit", "jwk", "b64", "zip", "cty"]


@UNHURRIED
@given(st.dictionaries(st.sampled_from(HEADERS), JSON, min_size=1))
def test_any_header_is_refused_or_read(outcome, header):
    good = {"alg": "RS256", "kid": "one", "typ": "at+jwt"}
    text = jws(json.dumps(good | header).encode(), json.dumps(claims()).encode(), rsa())
    result = outcome(text)
    assert result is None or header.keys().isdisjoint({"crit", "kid", "typ", "alg"})


@UNHURRIED
@given(st.dictionaries(st.sampled_from([*claims(), "nbf", "cnf", "status", "acr"]), JSON))
def test_any_signed_claims_are_refused_or_read(outcome, said):
    result = outcome(signed(claims(**said)))
    assert result is None or isinstance(result, AccessToken)


@UNHURRIED
@given(st.binary(max_size=64), st.binary(max_size=64))
def test_any_signed_bytes_are_refused(outcome, header, payload):
    assert outcome(jws(header, payload, rsa())) is None
