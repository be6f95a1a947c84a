"""What a refused caller hears: RFC 6750, 9449, 9470, 9728."""

import json

import pytest

from keyturn_verifier.challenges import DESCRIPTIONS, Challenges
from keyturn_verifier.credentials import InvalidRequest
from keyturn_verifier.dpop import UseDpopNonce
from keyturn_verifier.errors import (
    InsufficientScope,
    InvalidProof,
    InvalidToken,
    Reason,
    StepUpRequired,
    Unavailable,
)

BEARER = Challenges()
BOTH = Challenges(("ES256", "EdDSA"))
INVALID = f'error="invalid_token", error_description="{DESCRIPTIONS["invalid_token"]}"'


def challenge(refusal, challenges=BEARER, scheme="Bearer"):
    answer = challenges.answer(refusal, scheme)
    return answer.status, dict(answer.headers)["WWW-Authenticate"]


def test_a_request_without_a_token_hears_no_error():
    assert challenge(InvalidToken(Reason.MISSING)) == (401, "Bearer")
    assert challenge(InvalidToken(Reason.MISSING), BOTH) == (401, 'Bearer, DPoP algs="ES256 EdDSA"')


def test_the_scheme_that_was_used_tells_the_error():
    expired = InvalidToken(Reason.EXPIRED)
    algs = 'algs="ES256 EdDSA"'
    assert challenge(expired) == (401, f"Bearer {INVALID}")
    assert challenge(expired, BOTH) == (401, f"Bearer {INVALID}, DPoP {algs}")
    assert challenge(expired, BOTH, "DPoP") == (401, f"Bearer, DPoP {INVALID}, {algs}")


def test_what_was_missing_is_named():
    said = DESCRIPTIONS["insufficient_scope"]
    assert challenge(InsufficientScope(["a:read", "a:write"])) == (
        403,
        f'Bearer error="insufficient_scope", error_description="{said}", scope="a:read a:write"',
    )
    said = DESCRIPTIONS["insufficient_user_authentication"]
    status, step_up = challenge(StepUpRequired(["urn:a", "urn:b"], 300))
    assert status == 401
    assert step_up == ", ".join(
        (
            'Bearer error="insufficient_user_authentication"',
            f'error_description="{said}"',
            'acr_values="urn:a urn:b"',
            'max_age="300"',
        )
    )


@pytest.mark.parametrize(
    ("refusal", "status", "error"),
    [
        (InvalidRequest("two"), 400, "invalid_request"),
        (InvalidProof("ath"), 401, "invalid_dpop_proof"),
        (UseDpopNonce("old"), 401, "use_dpop_nonce"),
        (InvalidToken(Reason.REVOKED, "private"), 401, "invalid_token"),
    ],
)
def test_every_error_has_its_constant_sentence(refusal, status, error):
    answer = BOTH.answer(refusal, "DPoP")
    assert answer.status == status
    assert json.loads(answer.body) == {"error": error, "error_description": DESCRIPTIONS[error]}
    assert f'error="{error}"' in dict(answer.headers)["WWW-Authenticate"]
    assert dict(answer.headers)["Cache-Control"] == "no-store"


def test_trouble_of_ours_is_no_challenge():
    answer = BEARER.answer(Unavailable("no keys"))
    headers = dict(answer.headers)
    assert (answer.status, headers["Retry-After"]) == (503, "1")
    assert "WWW-Authenticate" not in headers
    assert b"no keys" not in answer.body


def test_the_metadata_is_pointed_at_even_without_an_error():
    where = "https://api.example.test/.well-known/oauth-protected-resource"
    pointing = Challenges(resource_metadata=where)
    assert challenge(InvalidToken(Reason.MISSING), pointing) == (
        401,
        f'Bearer resource_metadata="{where}"',
    )


def test_nothing_ends_the_quotes_or_the_header():
    _, said = challenge(InsufficientScope(['a" realm="b', "c\r\nX-Evil: 1", "d\\"]))
    assert said.endswith('scope="a realm=b cX-Evil: 1 d"')
