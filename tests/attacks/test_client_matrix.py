"""Every kind of client, at every grant, by every way to prove itself: generated, with the rule worked out here.

Who is asking is decided before what is asked (RFC 6749 section 5.2): another way than the registered
one is `invalid_client`, whatever the grant.
"""

from itertools import product

import pytest

from support.api import MACHINE
from support.assertions import Signer, new_key
from support.browserless import SITE, SPA
from support.television import DEVICE_CODE

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
EVERY = ["authorization_code", "refresh_token", "client_credentials", DEVICE_CODE, EXCHANGE]
GRANTS = [*EVERY, "password", "implicit"]
KEY = new_key("ES256", "matrix")
KINDS = {
    "none": SPA,
    "client_secret_basic": {**MACHINE, "grant_types": ["client_credentials"]},
    "client_secret_post": {**SITE, "auth_method": "client_secret_post"},
    "private_key_jwt": {**MACHINE, "grant_types": ["client_credentials", "refresh_token"], "auth_method": "private_key_jwt"},
    "private_key_jwt, fapi2": {**SITE, "profile": "fapi2", "auth_method": "private_key_jwt"},
}  # fmt: skip
METHODS = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
FIELDS = {
    "authorization_code": {
        "code": "x",
        "redirect_uri": "https://x.example",
        "code_verifier": "v" * 43,
    },
    "refresh_token": {"refresh_token": "krt1_x"},
    DEVICE_CODE: {"device_code": "x"},
    EXCHANGE: {
        "subject_token": "x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    },
}
"""What each grant needs, good for nothing."""
PROVEN = {
    "client_credentials": (200, None),
    EXCHANGE: (400, "invalid_request"),
}
"""What such a request ends in when client and grant are right; all others: `invalid_grant`."""


@pytest.fixture(scope="module")
async def kinds(target):
    """One client of each kind."""
    made = {}
    for kind, raw in KINDS.items():
        keys = {"jwks": {"keys": [{**KEY.as_dict(private=False), "kid": "matrix"}]}}
        made[kind] = await target.client(raw, **(keys if kind.startswith("private") else {}))
    return made


def proof(target, client_id, method):
    """Return the headers and fields by which a client proves itself, right or wrong for it."""
    secret = target.secrets[client_id] or "kts_this-is-not-the-secret-of-anybody-at-all"
    if method == "client_secret_basic":
        return {"auth": (client_id, secret)}, {}
    if method == "client_secret_post":
        return {}, {"client_id": client_id, "client_secret": secret}
    if method == "private_key_jwt":
        signer = Signer(target.issuer, kid="matrix", key=KEY, client_id=client_id)
        return {}, signer.form()
    return {}, {"client_id": client_id}


def expected(kind, grant, method):
    """Return status and code by the rule."""
    if method != kind.partition(",")[0]:
        return 401, "invalid_client"
    if grant not in EVERY:
        return 400, "unsupported_grant_type"
    if grant not in KINDS[kind]["grant_types"]:
        return 400, "unauthorized_client"
    if kind.endswith("fapi2"):
        return 400, "invalid_request"  # it has to prove its possession of a key first
    return PROVEN.get(grant, (400, "invalid_grant"))


@pytest.mark.parametrize(("kind", "method"), [*product(KINDS, METHODS)])
async def test_a_client_gets_what_its_kind_its_grant_and_its_proof_allow(
    target, kinds, kind, method
):
    for grant in GRANTS:
        options, fields = proof(target, kinds[kind], method)
        form = {"grant_type": grant, **FIELDS.get(grant, {}), **fields}
        answer = await target.callers[0].post("/oauth2/token", data=form, **options)
        got = answer.status_code, answer.json().get("error")
        assert got == expected(kind, grant, method), (kind, grant, method, answer.text)
