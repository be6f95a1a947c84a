"""`oidc-client-ts` in Chromium: an application of another origin whose tabs stay signed in.

The library has no lock between tabs, and it does not know whether an answer that never came was
an answer: both times the server's grace is what keeps people signed in.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.api import Api, Person
from support.chromium import Chromium, Tab
from support.replicas import AUDIENCE
from support.tls_front import Refreshes, TlsFront

pytestmark = pytest.mark.interop

PAGES = Path(__file__).parent / "oidc-client-ts"
SCOPE = "openid profile email offline_access orders.read"
PATIENCE = 30.0
SOON = {"automaticSilentRenew": True, "accessTokenExpiringNotificationTimeInSeconds": 598}
"""Renews by itself two seconds after it got a token of 600 seconds."""


@dataclass
class Application:
    """A single-page application, served on two names, and how its library is set up."""

    port: int
    site: Api
    front: TlsFront
    client: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Another origin than the server's, of the same site: only the port differs."""
        return f"https://localhost:{self.port}"

    @property
    def elsewhere(self) -> str:
        """The application once more, of another site."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def refreshes(self) -> Refreshes:
        """Its refreshes, and what is to happen to the next."""
        return self.front.refreshes[self.client]

    async def register(self, **changes: Any) -> None:
        """Register it, on both of its names."""
        names = (self.origin, self.elsewhere)
        kind = {
            "kind": "public",
            "grant_types": ["authorization_code", "refresh_token"],
            "scopes": SCOPE.split(),
            "audiences": [AUDIENCE],
            "origins": list(names),
            "redirect_uris": [f"{one}{path}" for one in names for path in ("/callback", "/silent")],
            "post_logout_redirect_uris": [f"{one}/goodbye" for one in names],
            "skip_consent": True,
        }
        self.client = await self.site.client({**kind, **changes})

    def set(self, store: str = "localStorage", **manager: Any) -> None:
        """Set the library up, for the next page."""
        known = {
            "authority": self.site.issuer,
            "client_id": self.client,
            "scope": SCOPE,
            "automaticSilentRenew": False,
            "loadUserInfo": True,
        }
        self.settings = {"store": store, "manager": {**known, **manager}}

    async def sign_in(self, tab: Tab, person: Person, origin: str | None = None) -> dict[str, Any]:
        """Press the button, sign in on the server's page, come back; return who is signed in."""
        await tab.open(origin or self.origin)
        assert (await tab.evaluate("arrived"))["signedIn"] is False
        await tab.press("sign-in")
        await tab.type("email", person.email)
        await tab.type("password", person.password)
        await tab.press("sign-in")
        back: dict[str, Any] = await tab.evaluate("arrived")
        assert back["sub"] == str(person.id)
        return back


@asynccontextmanager
async def served(site: Api, front: TlsFront, library: str) -> AsyncIterator[Application]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(front.authority.with_name("localhost.pem"))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, OSError):  # opened in advance and never used
            writer.close()
            return
        kind, text = page(urlsplit(head.split(b" ")[1].decode()).path)
        body = text.encode()
        described = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close"
        writer.write(f"HTTP/1.1 200 OK\r\n{described}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    def page(path: str) -> tuple[str, str]:
        scripts = {
            "/oidc-client-ts.min.js": lambda: library,
            "/settings.js": lambda: f"const settings = {json.dumps(one.settings)}",
            "/app.js": (PAGES / "app.js").read_text,
        }
        if path in scripts:
            return "text/javascript", scripts[path]()
        return "text/html", (PAGES / "index.html").read_text()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    one = Application(server.sockets[0].getsockname()[1], site, front)
    try:
        yield one
    finally:
        server.close()


@pytest.fixture
async def app(site, front, packages) -> AsyncIterator[Application]:
    library = (packages / "oidc-client-ts/dist/browser/oidc-client-ts.min.js").read_text()
    async with served(site, front, library) as one:
        await one.register()
        one.set()
        yield one


@asynccontextmanager
async def a_tab(browser: Chromium, beside: Tab | None = None) -> AsyncIterator[Tab]:
    """Open a tab that takes the certificates of a test for good."""
    async with browser.tab(beside) as one:
        await one.call("Security.setIgnoreCertificateErrors", ignore=True)
        yield one


@pytest.fixture
async def tab(browser) -> AsyncIterator[Tab]:
    async with a_tab(browser) as one:
        yield one


@pytest.fixture
async def second(browser, tab) -> AsyncIterator[Tab]:
    """Another tab of the same browser."""
    async with a_tab(browser, beside=tab) as one:
        yield one


async def forget_the_grace(site: Api, person: Person) -> None:
    """Let the last rotation lie a minute back."""
    await site.sql.execute(
        "update sessions set rotated_at = rotated_at - interval '1 minute' where user_id = $1",
        person.id,
    )


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


async def test_oidc_client_ts_signs_in_renews_and_signs_out(app, site, tab):
    person = await site.person()
    back = await app.sign_in(tab, person)
    assert back["email"] == person.email, "the answer of userinfo"
    renewed = await tab.evaluate("renew()")
    assert renewed["sub"] == str(person.id)
    assert [one.status for one in app.refreshes.seen] == [200]
    assert app.refreshes.seen[0].sent == back["refreshToken"]
    assert app.refreshes.seen[0].given == renewed["refreshToken"] != back["refreshToken"]
    await tab.open(app.origin)
    assert (await tab.evaluate("arrived"))["sub"] == str(person.id), "a reload keeps it"
    await tab.press("sign-out")
    assert await tab.evaluate("arrived") == {"signedIn": False, "state": "bye"}
    await tab.press("sign-in")
    assert (await tab.address()).startswith(f"{site.issuer}/login"), "signed out at the server, too"


async def test_oidc_client_ts_revokes_its_tokens(app, site, tab):
    back = await app.sign_in(tab, await site.person())
    await tab.evaluate("manager.revokeTokens()")
    late = await site.token(
        app.client, grant_type="refresh_token", refresh_token=back["refreshToken"]
    )
    assert late.json()["error"] == "invalid_grant"
    assert app.refreshes.seen == []


async def test_oidc_client_ts_of_an_origin_that_is_not_the_clients_reads_nothing(app, site, tab):
    await app.register(origins=[app.elsewhere])
    app.set()
    person = await site.person()
    with pytest.raises(AssertionError, match="Failed to fetch"):
        await app.sign_in(tab, person)


async def test_two_tabs_of_oidc_client_ts_renew_by_themselves_at_the_same_moment(
    app, site, tab, second
):
    person = await site.person()
    app.set(**SOON)
    app.refreshes.meet(2)
    first = await app.sign_in(tab, person)
    await second.open(app.origin)
    assert (await second.evaluate("arrived"))["sub"] == str(person.id)
    await until(lambda: len(app.refreshes.seen) >= 4)
    one, two, *later = app.refreshes.seen
    assert one.sent == two.sent == first["refreshToken"]
    assert one.given == two.given == later[0].sent
    assert {each.status for each in app.refreshes.seen} == {200}
    for each in (tab, second):
        assert set(await each.evaluate("happened")) <= {"loaded"}
        assert (await each.evaluate("manager.getUser().then(shown)"))["sub"] == str(person.id)


@pytest.mark.parametrize("store", ["localStorage", "sessionStorage"])
async def test_two_tabs_of_oidc_client_ts_race_with_the_same_token(app, site, tab, second, store):
    """A store for both, or a copy each as in a duplicated tab: neither sees the other's answer."""
    person = await site.person()
    app.set(store=store)
    await app.sign_in(tab, person)
    await second.open(app.origin)
    if store == "sessionStorage":
        kept = json.dumps(await tab.evaluate("JSON.stringify(sessionStorage)"))
        await second.evaluate(f"Object.assign(sessionStorage, JSON.parse({kept})) && 0")
    for _ in range(3):
        before = len(app.refreshes.seen)
        app.refreshes.meet(2)
        answers = await asyncio.gather(tab.evaluate("renew()"), second.evaluate("renew()"))
        assert [one["sub"] for one in answers] == [str(person.id)] * 2, answers
        one, two = app.refreshes.seen[before:]
        assert (one.sent, one.given) == (two.sent, two.given)
        await forget_the_grace(site, person)


@pytest.mark.parametrize(
    ("loss", "complaint"), [("cut", "Failed to fetch"), ("silence", "Network timed out")]
)
async def test_oidc_client_ts_is_given_the_lost_answer_when_it_asks_again(
    app, site, tab, loss, complaint
):
    person = await site.person()
    await app.sign_in(tab, person)
    app.refreshes.lose(loss)
    asked = await tab.evaluate("renew({silentRequestTimeoutInSeconds: 1})")
    assert asked == {"refused": complaint}
    again = await tab.evaluate("renew()")
    assert again["sub"] == str(person.id)
    lost, answered = app.refreshes.seen
    assert (lost.lost, lost.status, answered.status) == (True, 200, 200)
    assert (answered.sent, answered.given) == (lost.sent, lost.given)
    await forget_the_grace(site, person)
    assert (await tab.evaluate("renew()"))["sub"] == str(person.id)


async def test_oidc_client_ts_whose_own_renewal_got_lost_goes_on_after_a_reload(app, site, tab):
    person = await site.person()
    await app.register(grace=30)  # a busy machine may take its time; the default is 10
    app.set(**SOON)
    app.refreshes.lose("cut")
    await app.sign_in(tab, person)
    await until(lambda: len(app.refreshes.seen) >= 1)
    assert app.refreshes.seen[0].lost
    await tab.open(app.origin)
    assert (await tab.evaluate("arrived"))["sub"] == str(person.id)
    await until(lambda: len(app.refreshes.seen) >= 2)
    lost, answered = app.refreshes.seen[:2]
    assert (answered.sent, answered.given, answered.status) == (lost.sent, lost.given, 200)


async def test_oidc_client_ts_renews_in_a_frame_where_the_application_is_of_the_same_site(
    app, site, tab
):
    person = await site.person()
    before = await app.sign_in(tab, person)
    renewed = await tab.evaluate("renew({forceIframeAuth: true})")
    assert renewed["sub"] == str(person.id)
    assert renewed["refreshToken"] != before["refreshToken"], "a session of its own"
    assert app.refreshes.seen == []


async def test_oidc_client_ts_is_told_to_ask_the_person_where_a_frame_gets_no_cookies(
    app, site, tab
):
    """Of another site the login cookie stays at home (SameSite=Lax): a clear word, no timeout."""
    person = await site.person()
    await app.sign_in(tab, person, app.elsewhere)
    assert await tab.evaluate("renew({forceIframeAuth: true})") == {"refused": "login_required"}
    assert (await tab.evaluate("renew()"))["sub"] == str(person.id), "by refresh token it goes on"
    await tab.press("sign-in")
    assert (await tab.evaluate("arrived"))["sub"] == str(person.id), "and by redirect, unasked"
    assert len(app.refreshes.seen) == 1
