"""Debian's mod_auth_openidc, unmodified, in an Apache of its own, against a real issuer with TLS.

A person with a browser without scripts, a jar for each server, meets an application behind Apache.
The module refreshes without a lock of any kind: parallel requests each present the token that the
session held when they began, and an answer that is lost on the way is asked for again later.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest

from support import apache, debian
from support.api import Api, Person
from support.replicas import AUDIENCE
from support.tls_front import Refreshes, TlsFront
from support.visitor import Visitor, form_of

pytestmark = pytest.mark.interop

PATIENCE = 30.0
MOST_STEPS = 8
CLIENT = {
    "kind": "confidential",
    "name": "Behind Apache",
    "grant_types": ["authorization_code", "refresh_token"],
    "scopes": ["openid", "email", "profile", "offline_access", "orders.read"],
    "audiences": [AUDIENCE],
    "introspects": [AUDIENCE],
}
CONFIG = """
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client}
OIDCClientSecret {secret}
OIDCProviderTokenEndpointAuth client_secret_basic
OIDCPKCEMethod S256
OIDCScope "openid email profile offline_access"
OIDCRedirectURI {origin}/secure/redirect_uri
OIDCCryptoPassphrase only-for-this-test
OIDCSessionType {session}
OIDCUserInfoRefreshInterval 1
OIDCCABundlePath "{{folder}}/authority.pem"

OIDCOAuthIntrospectionEndpoint {issuer}/oauth2/introspect
OIDCOAuthIntrospectionEndpointAuth client_secret_basic
OIDCOAuthClientID {client}
OIDCOAuthClientSecret {secret}

<Location /secure>
  AuthType openid-connect
  Require valid-user
  OIDCPassRefreshToken On
</Location>
# A refresh is due whenever an access token lives no longer than this: with the tokens of this
# client, at every request.
<Location /secure/due>
  OIDCRefreshAccessTokenBeforeExpiry 3600
</Location>
<Location /api>
  AuthType oauth20
  Require valid-user
  OIDCOAuthTokenIntrospectionInterval -1
</Location>
"""
"""As the module's documentation shows it."""


@dataclass(frozen=True)
class World:
    """An issuer, what stands in front of it, and an application that trusts it."""

    api: Api
    front: TlsFront
    client: str
    site: apache.Apache

    @property
    def refreshes(self) -> Refreshes:
        """Those of applications that name themselves in a header."""
        return self.front.refreshes[""]

    @property
    def page(self) -> str:
        return f"{self.site.origin}/secure/page"

    @property
    def due(self) -> str:
        return f"{self.site.origin}/secure/due/page"

    @property
    def goodbye(self) -> str:
        return f"{self.site.origin}/goodbye"

    @asynccontextmanager
    async def browser(self) -> AsyncIterator["Browser"]:
        """A person who has never been here."""
        async with httpx2.AsyncClient(timeout=PATIENCE) as site:
            yield Browser(self.api, await self.api.person(), Visitor(self.api), site)


@dataclass(frozen=True)
class Browser:
    """A person's browser: a jar for the application, and one for the issuer."""

    api: Api
    person: Person
    visitor: Visitor
    site: httpx2.AsyncClient

    async def open(self, address: str) -> httpx2.Response:
        """Go to an address, and wherever it leads, through both servers."""
        return await self.follow(await self.site.get(address))

    async def follow(self, answer: httpx2.Response) -> httpx2.Response:
        for _ in range(MOST_STEPS):
            where = answer.headers.get("location")
            if where is None:
                return answer
            ours = where.startswith(f"{self.api.issuer}/")
            answer = await (self.visitor if ours else self.site).get(where)
        raise AssertionError("redirected in circles")

    async def sign_in(self, address: str) -> httpx2.Response:
        """Open a protected address for the first time; sign in, agree, and come back to it."""
        page = await self.visitor.sign_in(await self.open(address), self.person)
        return await self.follow(
            await self.visitor.submit(form_of(page, "consent"), decision="allow")
        )

    async def claims(self, address: str) -> dict[str, str]:
        """Return what the application is told about this person, who is signed in."""
        answer = await self.site.get(address)
        assert answer.status_code == 200, (answer.status_code, answer.headers, answer.text)
        return apache.told(answer.text)

    async def ended_by(self) -> str | None:
        """Return why the one session this person has here is over; None while it lives."""
        (row,) = await self.api.sql.fetch(
            "select revoke_reason from sessions where user_id = $1", self.person.id
        )
        reason: str | None = row["revoke_reason"]
        return reason

    async def outlive_the_grace(self) -> None:
        """Let the last rotation lie further back."""
        await self.api.sql.execute(
            "update sessions set rotated_at = rotated_at - interval '1 minute' where user_id = $1",
            self.person.id,
        )


@pytest.fixture(scope="session")
def installation() -> apache.Installation:
    try:
        return apache.obtained()
    except debian.NotObtainable as reason:
        pytest.skip(str(reason))


@asynccontextmanager
async def application(
    served: tuple[Api, TlsFront], where: tuple[apache.Installation, int], session: str, **more: str
) -> AsyncIterator[World]:
    """Run an Apache on this port, with this kind of session; `more` is of its registration."""
    (api, front), (installation, port) = served, where
    origin = f"http://127.0.0.1:{port}"
    client = await api.client(
        {**CLIENT, **{name: at.format(origin) for name, at in more.items()}},
        redirect_uris=[f"{origin}/secure/redirect_uri"],
        post_logout_redirect_uris=[f"{origin}/goodbye"],
    )
    config = CONFIG.format(
        issuer=api.issuer,
        client=client,
        secret=api.secrets[client],
        origin=origin,
        session=session,
    )
    pages = ("secure/page", "secure/due/page", "api/page", "goodbye")
    with apache.running(installation, port, config, front.authority, *pages) as site:
        yield World(api, front, client, site)
        assert "AH00052" not in site.log, "a process of Apache died"


@pytest.fixture(scope="module", params=["server-cache", "client-cookie:store_id_token"])
async def world(request, behind_tls, installation):
    """An application in an Apache, whose sessions are kept there or in the browser."""
    where = (installation, apache.free_port())
    async with application(behind_tls, where, request.param) as one:
        yield one


@pytest.fixture
async def browser(world):
    async with world.browser() as one:
        yield one


async def test_a_person_signs_in_and_the_application_knows_who_it_is(world, browser):
    back = await browser.sign_in(world.page)
    assert (back.status_code, str(back.url)) == (200, world.page)
    known, person = apache.told(back.text), browser.person
    assert known["REMOTE_USER"] == f"{person.id}@{world.api.issuer.removeprefix('https://')}"
    assert (known["OIDC_CLAIM_sub"], known["OIDC_CLAIM_iss"]) == (str(person.id), world.api.issuer)
    assert (known["OIDC_CLAIM_email"], known["OIDC_CLAIM_name"]) == (person.email, person.name)
    again = apache.told((await browser.site.get(world.page)).text)
    assert again["REMOTE_USER"] == known["REMOTE_USER"]
    assert again["OIDC_access_token"] == known["OIDC_access_token"]


async def test_a_person_who_says_no_does_not_get_in(world, browser):
    page = await browser.visitor.sign_in(await browser.open(world.page), browser.person)
    answer = await browser.visitor.submit(form_of(page, "consent"), decision="deny")
    refused = await browser.follow(answer)
    assert str(refused.url).startswith(
        f"{world.site.origin}/secure/redirect_uri?error=access_denied&"
    )
    # This release takes the `iss` of RFC 9207 for a third party's invitation to sign in, and says
    # that it is not set up for those; what counts is that nobody got in.
    assert "<title>Error</title>" in refused.text
    assert form_of(await browser.open(world.page), "consent")


async def test_what_changes_at_the_issuer_is_asked_for_again(world, browser):
    await browser.sign_in(world.page)
    await world.api.sql.execute(
        "update users set name = 'Grace Hopper' where id = $1", browser.person.id
    )
    deadline = time.monotonic() + PATIENCE
    while (await browser.claims(world.page))["OIDC_CLAIM_name"] != "Grace Hopper":
        assert time.monotonic() < deadline, "the module never asked for userinfo again"


async def test_six_parallel_requests_refresh_at_once_and_nobody_is_signed_out(world, browser):
    await browser.sign_in(world.page)
    before, seen = await browser.claims(world.page), len(world.refreshes.seen)
    world.refreshes.meet(6)
    answers = await asyncio.gather(*(browser.site.get(world.due) for _ in range(6)))
    assert [one.status_code for one in answers] == [200] * 6
    assert {apache.told(one.text)["REMOTE_USER"] for one in answers} == {before["REMOTE_USER"]}
    refreshes = world.refreshes.seen[seen:]
    assert [(one.sent, one.status) for one in refreshes] == [
        (before["OIDC_refresh_token"], 200)
    ] * 6
    (successor,) = {one.given for one in refreshes}
    assert {apache.told(one.text)["OIDC_refresh_token"] for one in answers} == {successor}
    await still_refreshes(world, browser, successor)


async def still_refreshes(world, browser, token):
    """Refresh with the token the application should hold, twice, each time after the grace."""
    for _ in range(2):
        await browser.outlive_the_grace()
        assert (await browser.claims(world.due))["OIDC_CLAIM_sub"] == str(browser.person.id)
        last = world.refreshes.seen[-1]
        assert (last.sent, last.status) == (token, 200)
        assert last.given not in {None, token}
        token = last.given
    assert await browser.ended_by() is None


async def test_a_lost_answer_to_a_refresh_is_asked_for_again(world, browser):
    await browser.sign_in(world.page)
    before = await browser.claims(world.page)
    world.refreshes.lose("cut")
    lost = await browser.site.get(world.due)
    given = world.refreshes.seen[-1]
    assert (given.sent, given.lost) == (before["OIDC_refresh_token"], True)
    assert given.given not in {None, given.sent}, "the server has committed it"
    assert lost.status_code == 200, "the access token of before is still good"
    after = await browser.claims(world.due)
    assert after["REMOTE_USER"] == before["REMOTE_USER"]
    again = world.refreshes.seen[-1]
    assert (again.sent, again.given, again.status) == (given.sent, given.given, 200)
    await still_refreshes(world, browser, given.given)


async def test_logout_leads_back_and_the_next_visit_asks_for_sign_in(world, browser):
    await browser.sign_in(world.page)
    tokens = await browser.claims(world.page)
    leave = f"{world.site.origin}/secure/redirect_uri"
    away = await browser.site.get(leave, params={"logout": world.goodbye})
    where = httpx2.URL(away.headers["location"])
    assert (where.host, where.path) == ("localhost", "/oauth2/logout")
    assert where.params["post_logout_redirect_uri"] == world.goodbye
    end = await browser.follow(away)
    assert (end.status_code, str(end.url)) == (200, world.goodbye)
    assert await browser.ended_by() == "logout", "the module revokes what it holds"
    assert not await world.api.is_active(tokens["OIDC_access_token"])
    page = await browser.open(world.page)
    assert form_of(page, "login")


async def test_a_resource_server_takes_a_live_token_and_no_revoked_one(world, browser):
    device = await world.api.sign_in(browser.person)
    address = f"{world.site.origin}/api/page"
    taken = await browser.site.get(address, headers=device.bearer)
    assert taken.status_code == 200
    assert apache.told(taken.text)["REMOTE_USER"] == str(browser.person.id)
    done = await world.api.form("/oauth2/revoke", "app", token=device.access_token, client_id="app")
    assert done.status_code == 200
    for headers in (device.bearer, {"authorization": "Bearer none"}, {}):
        refused = await browser.site.get(address, headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")


async def test_a_session_that_ends_at_the_issuer_ends_at_the_application(
    installation, serve_behind_tls
):
    """Over the back channel, where nobody's browser is asked."""
    port = apache.free_port()
    listener = {"backchannel_logout_uri": "{}/secure/redirect_uri?logout=backchannel"}
    async with (
        serve_behind_tls(outgoing__private_hosts=f"127.0.0.1:{port}") as served,
        application(served, (installation, port), "server-cache", **listener) as world,
        world.browser() as browser,
        world.browser() as other,
    ):
        for one in (browser, other):
            await one.sign_in(world.page)
        await world.api.operator.accounts.logout_everywhere(browser.person.id)
        # Asked for the page meanwhile, the module would write back a session it is just losing.
        deadline = time.monotonic() + PATIENCE
        while await world.api.sql.fetchval("select count(*) from logout_deliveries"):
            assert time.monotonic() < deadline, "the module has not been told"
            await asyncio.sleep(0.02)
        assert form_of(await browser.open(world.page), "login")
        assert await other.claims(world.page), "somebody else's session goes on"
