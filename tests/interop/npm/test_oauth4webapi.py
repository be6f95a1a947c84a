"""`oauth4webapi`: the flow step by step, each answer held against the standards by the library."""

import pytest

from support.browserless import CALLBACK, SITE, SPA, Browserless
from support.replicas import AUDIENCE

pytestmark = pytest.mark.interop

MAX_AGE = 300


async def settings_of(site, kind, **more):
    client = await site.client(kind)
    secret = site.secrets.get(client)
    return {
        "issuer": site.issuer,
        "client": client,
        "secret": secret,
        "method": "client_secret_basic" if secret else "none",
        "callback": CALLBACK,
        "scope": "openid profile email offline_access orders.read",
        "audience": AUDIENCE,
        "maxAge": MAX_AGE,
        **more,
    }


async def answered(site, program, browser, person):
    """Go where the program sends the browser, sign in, and return the address it leads to."""
    to = (await program.tells())["to"]
    page = await browser.open(to.removeprefix(site.issuer))
    page = await browser.through(page, person)
    return page.headers["location"]


@pytest.mark.parametrize(
    "kind", [{**SITE, "introspects": [AUDIENCE]}, SPA], ids=["confidential", "public"]
)
async def test_oauth4webapi_finds_every_answer_valid(site, node, kind):
    person, browser = await site.person(), Browserless(site)
    settings = await settings_of(site, kind)
    async with node.runs("oauth4webapi.mjs", settings) as program:
        program.answer(url=await answered(site, program, browser, person))
        told = await program.tells()
        assert "claims" in told, told
        claims, after = told["claims"], await program.tells()
    assert (claims["iss"], claims["aud"]) == (site.issuer, settings["client"])
    assert claims["sub"] == str(person.id)
    assert 0 <= claims["iat"] - claims["auth_time"] <= MAX_AGE
    assert after["userinfo"]["sub"] == claims["sub"]
    assert after["accessToken"]["sub"] == claims["sub"]
    assert after["accessToken"]["client_id"] == settings["client"]
    assert after["rotated"] is True
    assert after["refreshed"]["sub"] == claims["sub"]
    assert after["refreshAfterRevocation"] == "invalid_grant"
    if settings["secret"]:
        assert after["introspected"]["active"] is True
        assert after["introspectedAfter"] == {"active": False}


@pytest.mark.parametrize(
    ("told", "change", "complaint"),
    [
        ({"expectedNonce": "another"}, str, '"claim":"nonce"'),
        ({"expectedState": "another"}, str, 'unexpected "state"'),
        ({}, lambda url: url.replace("iss=", "iss=x"), 'unexpected "iss"'),
        ({}, lambda url: url.replace("&iss=", "&was="), '"iss" (issuer) missing'),
        ({}, lambda url: url.replace("code=", "code=x"), "invalid_grant"),
    ],
    ids=["nonce", "state", "foreign issuer", "no issuer", "code"],
)
async def test_oauth4webapi_refuses_what_belongs_to_another_request(
    site, node, told, change, complaint
):
    person, browser = await site.person(), Browserless(site)
    settings = await settings_of(site, SPA, **told)
    async with node.runs("oauth4webapi.mjs", settings) as program:
        program.answer(url=change(await answered(site, program, browser, person)))
        refused = await program.tells()
    assert complaint in refused["refused"]
