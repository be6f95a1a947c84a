"""`passport-openidconnect` in a small web application: signed in by the code flow, then a session.

The library knows no PKCE, so its client says `require_pkce: false`; keyturn then demands a nonce.
"""

from contextlib import asynccontextmanager

import httpx2
import pytest

from support.browserless import Browserless

pytestmark = pytest.mark.interop

WITHOUT_PKCE = {
    "kind": "confidential",
    "auth_method": "client_secret_post",
    "grant_types": ["authorization_code"],
    "scopes": ["openid", "profile", "email"],
    "audiences": ["https://api.example.com"],
    "require_pkce": False,
    "redirect_uris": ["http://127.0.0.1/callback"],  # on loopback any port will do
}


@asynccontextmanager
async def application(site, node, kind=WITHOUT_PKCE, **more):
    """Run the application and yield a browser's way to it."""
    client = await site.client(kind)
    settings = {
        "issuer": site.issuer,
        "client": client,
        "secret": site.secrets[client],
        "sessionSecret": "of one test",
        "nonce": True,
        **more,
    }
    async with node.runs("passport-openidconnect.mjs", settings) as program:
        here = (await program.tells())["here"]
        async with httpx2.AsyncClient(base_url=here, timeout=20) as app:
            yield app


async def come_back(site, app, browser, person):
    """Press the application's sign-in link, do what the pages ask for, and return to it."""
    away = await app.get("/login")
    page = await browser.open(away.headers["location"].removeprefix(site.issuer))
    page = await browser.through(page, person)
    return await app.get(page.headers["location"], follow_redirects=True)


@pytest.mark.parametrize("max_age", [None, 300], ids=["whenever", "signed in lately"])
async def test_passport_signs_a_person_in_and_knows_them_afterwards(site, node, max_age):
    person, browser = await site.person(), Browserless(site)
    async with application(site, node, maxAge=max_age) as app:
        assert (await app.get("/")).json() is None
        home = await come_back(site, app, browser, person)
        assert home.status_code == 200, home.text
        assert home.json() == {
            "issuer": site.issuer,
            "id": str(person.id),
            "displayName": person.name,
            "emails": [{"value": person.email}],
            "refreshes": False,
        }
        assert (await app.get("/")).json() == home.json()


async def test_passport_without_a_nonce_is_refused_as_nothing_else_guards_its_code(site, node):
    person, browser = await site.person(), Browserless(site)
    async with application(site, node, nonce=False) as app:
        refused = await come_back(site, app, browser, person)
    assert refused.status_code == 500
    assert (refused.json()["name"], refused.json()["code"]) == (
        "AuthorizationError",
        "invalid_request",
    )


async def test_passport_is_refused_where_its_client_must_use_pkce(site, node):
    person, browser = await site.person(), Browserless(site)
    async with application(site, node, {**WITHOUT_PKCE, "require_pkce": True}) as app:
        refused = await come_back(site, app, browser, person)
        assert refused.json()["code"] == "invalid_request"
        assert (await app.get("/")).json() is None


async def test_passport_does_not_take_the_answer_to_another_browser(site, node):
    person, browser = await site.person(), Browserless(site)
    async with application(site, node) as app:
        away = await app.get("/login")
        page = await browser.open(away.headers["location"].removeprefix(site.issuer))
        page = await browser.through(page, person)
        app.cookies.clear()
        elsewhere = await app.get(page.headers["location"], follow_redirects=True)
        assert elsewhere.status_code == 403
        assert (await app.get("/")).json() is None
