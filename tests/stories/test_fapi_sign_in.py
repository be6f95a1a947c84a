"""A bank's customer lets an app in, as the FAPI 2.0 Security Profile has it, on a bad line.

The app holds two private keys and no secret. Its answers get lost at every step; an API checks what
it is shown with nothing but the published keys; a thief who copied every token gets nowhere.
"""

import hashlib

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from support.api import claims_of
from support.browserless import Browserless
from support.conformance import GOODBYE, Provider
from support.fapi import FapiProvider, FapiRun
from support.forging import b64
from support.possession import Holder
from support.replicas import AUDIENCE

PAR, TOKEN, USERINFO = (
    "pushed_authorization_request_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
)
LOST = 10


@pytest.fixture
async def app(api):
    """The app, and its user in front of a browser."""
    provider = await FapiProvider.over(await Provider.of(api))
    return FapiRun(provider, "query", await api.person(), Browserless(api))


async def checked_by_an_api(app, token):
    """Return what an API learns from a token, offline: published keys, RFC 9068, RFC 9449."""
    published = await app.provider.api.get("/.well-known/jwks.json")
    keys = KeySet.import_key_set(published.json())
    decoded = jwt.decode(token, keys, algorithms=["PS256"])
    assert decoded.header["typ"] == "at+jwt"
    assert AUDIENCE in decoded.claims["aud"]
    return decoded.claims


async def signed_in(app, bank):
    """Sign in, every answer lost once: a step that is repeated costs nothing."""
    asked = app.asked(bank, dpop_jkt=bank.holder.jkt)
    await app.push(bank, asked, app.proof(bank, PAR))  # lost
    uri = app.pushed(await app.push(bank, asked, app.proof(bank, PAR)))
    await app.come(bank, uri, asked, stop_at="login")  # the tab crashed
    visit = await app.come(bank, uri, asked)
    assert visit.pages == ["login", "consent"]
    return app.tokens(await app.redeem(bank, app.code(visit)))


async def thefts(app, bank, tokens, seen):
    """Try everything with what was copied on the way: tokens, assertions, proofs; but no key."""
    assertion, proof = seen
    thief = Holder.of()
    mine = thief.proof("POST", app.provider.document[TOKEN])
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for fields in (refresh, {**refresh, **assertion}, {**refresh, "client_id": bank.id}):
        for one in (None, mine, proof):
            yield await app.send(TOKEN, fields, one)
    access = tokens["access_token"]
    ath = b64(hashlib.sha256(access.encode()).digest())
    for scheme in ("Bearer", "DPoP"):
        for one in (None, proof, thief.proof("GET", app.provider.document[USERINFO], ath=ath)):
            yield await app.resource(bank, access, scheme=scheme, proofs=one)


async def test_a_fapi_2_sign_in_from_the_push_to_the_farewell(app):
    bank = app.provider.banks[0]
    tokens = await signed_in(app, bank)
    claims = await checked_by_an_api(app, tokens["access_token"])
    assert claims["cnf"] == {"jkt": bank.holder.jkt}
    _, identity = app.identity(tokens["id_token"], bank)
    person = app.good(await app.resource(bank, tokens["access_token"]), claims["sub"])
    assert person["email"] == app.person.email
    assert identity["sub"] == claims["sub"]

    assertion, proof = bank.signer.form(), app.proof(bank, TOKEN)
    fields = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **assertion}
    for _ in range(LOST):
        await app.refresh(bank, tokens["refresh_token"])  # lost
    app.tokens(await app.send(TOKEN, fields, proof))
    async for answer in thefts(app, bank, tokens, (assertion, proof)):
        assert answer.status_code in {400, 401}
        assert "access_token" not in answer.json()
    again = app.tokens(await app.refresh(bank, tokens["refresh_token"]))
    assert claims_of(again["access_token"])["sid"] == claims["sid"], "still the same sign-in"

    asked = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": GOODBYE}
    end = await app.browser.open(app.provider.path("end_session_endpoint"), asked)
    assert end.headers["location"] == GOODBYE
    app.tokens(await app.refresh(bank, tokens["refresh_token"]))  # `offline_access` is just that
    gives_up = {"token": tokens["refresh_token"], **bank.signer.form()}
    assert (await app.send("revocation_endpoint", gives_up)).status_code == 200
    refused = await app.refresh(bank, tokens["refresh_token"])
    assert refused.json()["error"] == "invalid_grant"
    assert await app.provider.api.goes_inactive(again["access_token"])
