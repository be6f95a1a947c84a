"""A fuzz target: whatever arrives at an API, it is served, or refused in the words of the standards.

`reaches(headers, path)` is what a fuzzer calls; hypothesis does so here.
"""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyturn_verifier.asgi import AuthMiddleware
from keyturn_verifier.challenges import DESCRIPTIONS
from keyturn_verifier.dpop import Dpop
from keyturn_verifier.testing import FakeIssuer, ProofKey

API = "https://api.example.test"
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ISSUER = FakeIssuer()
KEY = ProofKey(ISSUER.clock)
BOUND = ISSUER.token(claims={"cnf": {"jkt": KEY.jkt}})
PROOF = KEY.proof("GET", f"{API}/orders", BOUND)
STATUSES = {200, 400, 401}


async def served(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


@pytest.fixture(scope="module")
def reaches():
    """Send one request through everything; return its status, having checked the answer."""
    loop, verifier = asyncio.new_event_loop(), ISSUER.verifier()
    app = AuthMiddleware(served, verifier, dpop=Dpop(API, clock=ISSUER.clock))

    def reaches(headers, path="/orders"):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
        loop.run_until_complete(app(scope, None, send))
        start, body = sent
        said = json.loads(body["body"])
        assert start["status"] in STATUSES
        assert start["status"] == 200 or said["error_description"] == DESCRIPTIONS[said["error"]]
        for _, value in start["headers"]:
            assert not set(value) & set(b"\r\n\0")
        return start["status"]

    yield reaches
    loop.run_until_complete(verifier.aclose())
    loop.close()


def shown(token, proof, scheme="DPoP"):
    return [(b"authorization", f"{scheme} {token}".encode()), (b"dpop", proof.encode())]


def test_the_request_is_good_before_it_is_mangled(reaches):
    assert reaches(shown(BOUND, KEY.proof("GET", f"{API}/orders", BOUND))) == 200
    assert reaches([(b"authorization", f"Bearer {ISSUER.token()}".encode())]) == 200


@UNHURRIED
@given(
    st.lists(st.tuples(st.sampled_from([b"authorization", b"dpop", b"x"]), st.binary())), st.text()
)
def test_any_headers_are_answered(reaches, headers, path):
    assert reaches(headers, path) != 200


@UNHURRIED
@given(st.binary(max_size=40), st.integers(0, 30))
def test_any_authorization_that_is_nearly_one_is_refused(reaches, noise, place):
    good = f"Bearer {ISSUER.token(lifetime=-60)}".encode()
    assert reaches([(b"authorization", good[:place] + noise + good[place:])]) != 200


@UNHURRIED
@given(st.data())
def test_any_changed_character_of_a_proof_is_refused(reaches, data):
    place = data.draw(st.integers(0, len(PROOF) - 1))
    other = data.draw(st.characters(max_codepoint=126).filter(lambda one: one != PROOF[place]))
    assert reaches(shown(BOUND, PROOF[:place] + other + PROOF[place + 1 :])) == 401


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)  # fmt: skip


@UNHURRIED
@given(st.sampled_from(["htm", "htu", "iat", "ath"]), JSON.filter(lambda value: value is not None))
def test_any_other_claim_of_a_signed_proof_is_refused(reaches, name, value):
    """Signed by the right key: only what it says is wrong."""
    proof = KEY.proof("GET", f"{API}/orders", BOUND, **{name: value})
    assert reaches(shown(BOUND, proof)) == 401


@UNHURRIED
@given(st.sampled_from(["kty", "crv", "x", "y"]), JSON)
def test_any_other_key_of_a_proof_is_refused(reaches, member, value):
    """The key is the caller's to choose: no choice of it is an error of ours."""
    proof = KEY.proof("GET", f"{API}/orders", BOUND, header={"jwk": {**KEY.jwk, member: value}})
    assert reaches(shown(BOUND, proof)) == 401
