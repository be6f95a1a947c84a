"""`openid-client`: discovery, code with PKCE, ID token, userinfo, refresh, introspection, end."""

import pytest

from support.browserless import CALLBACK, GOODBYE, SITE, SPA, Browserless, told
from support.replicas import AUDIENCE

pytestmark = pytest.mark.interop

SCOPE = "openid profile email offline_access orders.read"
KINDS = {
    "none": SPA,
    "client_secret_basic": {**SITE, "introspects": [AUDIENCE]},
    "client_secret_post": {**SITE, "introspects": [AUDIENCE], "auth_method": "client_secret_post"},
}


async def settings_of(site, method, **more):
    client = await site.client(KINDS[method])
    return {
        "issuer": site.issuer,
        "client": client,
        "secret": site.secrets.get(client),
        "method": method,
        "callback": CALLBACK,
        "goodbye": GOODBYE,
        "scope": SCOPE,
        **more,
    }


async def away(site, browser, program):
    """Go where the program sends the browser."""
    to = (await program.tells())["to"]
    assert to.startswith(f"{site.issuer}/oauth2/")
    return await browser.open(to.removeprefix(site.issuer))


@pytest.mark.parametrize("mode", [None, "form_post"], ids=["query", "form_post"])
@pytest.mark.parametrize("method", KINDS)
async def test_openid_client_signs_in_refreshes_revokes_and_signs_out(site, node, method, mode):
    person, browser = await site.person(), Browserless(site)
    settings = await settings_of(site, method, responseMode=mode)
    async with node.runs("openid-client.mjs", settings) as program:
        page = await browser.through(await away(site, browser, program), person)
        if mode == "form_post":
            program.answer(url=CALLBACK, form=told(page))
        else:
            program.answer(url=page.headers["location"])
        signed_in = await program.tells()
        assert "claims" in signed_in, signed_in
        back = await away(site, browser, program)
        program.answer(url=back.headers["location"])
        after = await program.tells()
    assert signed_in["claims"]["sub"] == str(person.id)
    assert set(signed_in["scope"].split()) == set(SCOPE.split())
    assert 0 < signed_in["expiresIn"] <= 600
    assert after["userinfo"]["email"] == person.email
    assert after["userinfo"]["name"] == person.name
    assert after["rotated"] is True
    assert after["refreshed"]["auth_time"] == signed_in["claims"]["auth_time"]
    assert after["refreshAfterRevocation"] == "invalid_grant"
    if method != "none":
        assert after["introspected"]["active"] is True
        assert after["introspected"]["sub"] == str(person.id)
        assert after["introspectedAfter"] == {"active": False}
    assert after["goodbye"] == f"{GOODBYE}?state=bye"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda url: url.replace("state=", "state=x"), 'unexpected "state"'),
        (lambda url: url.replace("iss=", "iss=x"), 'unexpected "iss"'),
        (lambda url: url.replace("&iss=", "&was="), '"iss" (issuer) missing'),
        (lambda url: url.replace("code=", "code=x"), "invalid_grant"),
    ],
    ids=["state", "foreign issuer", "no issuer", "code"],
)
async def test_openid_client_refuses_an_answer_that_was_changed(site, node, change, complaint):
    person, browser = await site.person(), Browserless(site)
    async with node.runs("openid-client.mjs", await settings_of(site, "none")) as program:
        page = await browser.through(await away(site, browser, program), person)
        answered = page.headers["location"]
        assert change(answered) != answered
        program.answer(url=change(answered))
        refused = await program.tells()
    assert complaint in refused["refused"]


async def test_openid_client_refuses_an_id_token_for_another_request(site, node):
    person, browser = await site.person(), Browserless(site)
    settings = await settings_of(site, "client_secret_basic", expectedNonce="another")
    async with node.runs("openid-client.mjs", settings) as program:
        page = await browser.through(await away(site, browser, program), person)
        program.answer(url=page.headers["location"])
        refused = await program.tells()
    assert '"claim":"nonce"' in refused["refused"]


async def test_openid_client_understands_that_a_person_said_no(site, node):
    person, browser = await site.person(), Browserless(site)
    settings = await settings_of(site, "client_secret_basic")
    async with node.runs("openid-client.mjs", settings) as program:
        page = await browser.sign_in(await away(site, browser, program), person)
        page = await browser.submit(page, "consent", "deny")
        program.answer(url=page.headers["location"])
        refused = await program.tells()
    assert "access_denied" in refused["refused"]
