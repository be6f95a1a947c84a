"""`oidcc-backchannel-rp-initiated-logout-certification-test-plan`, a test a module."""

import json
import time
from uuid import uuid4

import pytest
from joserfc import jwt

from support import replicas
from support.api import api_of
from support.conformance import DISCOVERY, GOODBYE, NEEDS_A_PERSON, Provider
from support.conformance_receiver import PATH, receiver
from support.forging import unb64

EVENT = "http://schemas.openid.net/event/backchannel-logout"
HTTPS = "https://localhost:8443"
A_DAY = 86400


@pytest.fixture(scope="module")
async def application(tmp_path_factory):
    """The clients' own server, which hears of logouts."""
    async with receiver(tmp_path_factory.mktemp("application")) as listening:
        yield listening


@pytest.fixture(scope="module")
async def provider(databases, shared_redis_url, application):
    """A server that may call the application, and clients that want to be called."""
    async with databases.fresh(keyed=True) as url:
        environ = replicas.settings(
            url,
            shared_redis_url,
            issuer=HTTPS,
            outgoing__private_hosts=application.host,
            outgoing__ca_file=str(application.authority),
            **replicas.GENEROUS,
        )
        with replicas.replicas(environ) as started:
            async with api_of(environ, started) as api:
                yield await Provider.of(api, backchannel_logout_uri=application.uri)


def check_logout_token(run, token, identity):
    """Check a logout token (Back-Channel Logout section 2.4) against the ID token's claims."""
    header = json.loads(unb64(token.split(".")[0]))
    assert header["kid"] in {key.kid for key in run.provider.keys.keys}
    claims = jwt.decode(token, run.provider.keys, algorithms=["RS256"]).claims
    now = time.time()
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    assert claims["iss"] == run.provider.document["issuer"]
    assert identity["aud"] in audiences
    assert now - A_DAY <= claims["iat"] < now + 300
    assert claims["exp"] > now
    assert claims["jti"]
    assert claims["events"] == {EVENT: {}}
    assert {"sub", "sid"} & set(claims)
    for name in {"sub", "sid"} & set(claims):
        assert claims[name] == identity[name], name
    assert "nonce" not in claims


async def test_oidcc_backchannel_logout_discovery_endpoint_verification(run):
    document = (await run.provider.api.get(DISCOVERY)).json()
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True
    endpoints = [name for name in document if name.endswith("_endpoint")]
    assert "end_session_endpoint" in endpoints
    assert all(document[name].startswith("https://") for name in endpoints)


async def test_oidcc_backchannel_rp_initiated_logout(run, application):
    flow = await run.flow(state=f"{uuid4().hex}{uuid4().hex}" * 2)
    state = uuid4().hex
    sent = {
        "id_token_hint": flow.tokens["id_token"],
        "post_logout_redirect_uri": GOODBYE,
        "state": state,
    }
    answer = await run.browser.open(run.provider.path("end_session_endpoint"), sent)
    told = await application.first()
    assert told.line == f"POST {PATH} HTTP/1.1"
    assert told.headers["content-type"].split(";")[0] == "application/x-www-form-urlencoded"
    if told.tls not in {"TLSv1.2", "TLSv1.3"}:
        run.warn(f"the application is called by {told.tls}")
    (token,) = [value for name, value in told.parameters if name == "logout_token"]
    for name in {name for name, _ in told.parameters} - {"logout_token"}:
        run.warn(f"the application is sent {name}")
    check_logout_token(run, token, flow.claims)
    assert answer.status_code in {302, 303}
    assert answer.headers["location"] == f"{GOODBYE}?state={state}"
    visit = await run.visit(run.provider.basic[0], prompt="none")
    assert run.error(visit) in NEEDS_A_PERSON
