"""Our own `@keyturn/client`, built, from a page of another origin: what CORS lets it do."""

from pathlib import Path

import pytest

from support import npm
from support.api import APP
from support.browserless import CALLBACK, SPA, Browserless
from support.replicas import ORIGIN

pytestmark = pytest.mark.interop

PACKAGE = Path(__file__).parents[3] / "packages/js"
SCOPE = "openid profile email offline_access orders.read"


@pytest.fixture(scope="session")
def dist() -> str:
    """The built client."""
    return npm.built(PACKAGE)


def settings_of(site, client, dist, **more):
    return {
        "dist": dist,
        "issuer": site.issuer,
        "client": client,
        "origin": ORIGIN,
        **more,
    }


@pytest.mark.parametrize("bound", [False, True], ids=["bearer", "dpop"])
async def test_the_session_api_is_all_there_for_a_page_of_another_origin(site, node, dist, bound):
    person, client = await site.person(), await site.client(APP, require_dpop=bound)
    member = {"email": person.email, "password": person.password, "mode": "body", "bound": bound}
    settings = settings_of(site, client, dist, **member)
    async with node.runs("keyturn-client.mjs", settings) as program:
        told = await program.tells()
    assert "refused" not in told, told
    assert told["wrong"] == "invalid_credentials"
    assert told["user"] == told["me"]
    assert told["me"]["id"] == str(person.id)
    assert told["rotated"] is True
    assert [one["current"] for one in told["sessions"]] == [True]
    assert told["gone"] == "refused"
    assert (told["kept"], told["after"]) == ("signedIn", "signedOut")
    assert "POST /auth/reauthenticate 200" in told["asked"]
    assert told["asked"].count("POST /auth/logout-all 200") == 2


@pytest.mark.parametrize("bound", [False, True], ids=["bearer", "dpop"])
async def test_a_code_is_redeemed_refreshed_and_revoked_from_a_page(site, node, dist, bound):
    person, client = await site.person(), await site.client(SPA, require_dpop=bound)
    more = {"mode": "code", "scope": SCOPE, "callback": CALLBACK, "bound": bound}
    async with node.runs("keyturn-client.mjs", settings_of(site, client, dist, **more)) as program:
        browser = Browserless(site)
        to = (await program.tells())["to"]
        page = await browser.open(to.removeprefix(site.issuer))
        back = await browser.through(page, person)
        program.answer(url=back.headers["location"])
        told = await program.tells()
    assert "refused" not in told, told
    assert told["returnTo"] == "/orders"
    assert told["sub"] == str(person.id)
    assert told["rotated"] is True
    assert told["after"] == "signedOut"
    assert told["asked"][-1] == "POST /oauth2/revoke 200"


async def test_a_page_of_an_origin_that_is_not_the_clients_gets_nothing(site, node, dist):
    person, client = await site.person(), await site.client(APP)
    settings = settings_of(site, client, dist, mode="body", email=person.email)
    settings |= {"password": person.password, "origin": "https://evil.example.net"}
    async with node.runs("keyturn-client.mjs", settings) as program:
        told = await program.tells()
    assert "network" in told["refused"]
