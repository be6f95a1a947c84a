"""The pages in a real browser: signed in with and without scripts, looked at, and read aloud.

`KEYTURN_TEST_SCREENSHOTS` names a folder that keeps the pictures.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from starlette.requests import Request

from support import replicas
from support.api import PASSWORD, Api, api_of
from support.chromium import PATIENCE, Tab
from support.television import TELEVISION, Television
from support.visitor import VERIFIER, WEB, authorization

pytestmark = pytest.mark.browser

LOOKS = {
    "light": ("en", {"width": 1000}),
    "dark": ("de", {"width": 1000, "dark": True}),
    "320": ("en", {"width": 320}),
    "320-german": ("de", {"width": 320, "dark": True}),
}
LONG_NAME = "Kundenportal der Stadtwerke Oberunterhausen-Niederoberdorf"
MANY = [
    *WEB["scopes"],
    "orders.write",
    "invoices.read",
    "https://api.example.com/auth/calendar.events.readonly",
]
DEVICES = {
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/19.1 Mobile/15E148 Safari/604.1": "2001:db8:1234:5678:9abc:def0:1234:5678",
    "orders-sync/4.11.0-beta.3+build.20261125 (warehouse-terminal-with-a-very-long-name; arm64)": None,
    None: "203.0.113.77",
}
MOST_BYTES = 30_000
WEIGHT = """
[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
.reduce((sum, one) => sum + one.decodedBodySize, 0)
"""
AXE = "axe-core@4"
NPM_PATIENCE = 60
LEAST_TARGET = 24


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@asynccontextmanager
async def application() -> AsyncIterator[str]:
    """Serve an application's callback and yield its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # a connection opened in advance and never used
            writer.close()
            return
        length = next(
            (int(line.partition(b":")[2]) for line in head.split(b"\r\n")
             if line.lower().startswith(b"content-length:")),
            0,
        )  # fmt: skip
        body = await reader.readexactly(length)
        page = b"<!doctype html><title>app</title><p id=posted>" + body
        kind = b"Content-Type: text/html\r\nConnection: close\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (kind, len(page), page))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback"


@pytest.fixture(scope="module")
async def site(databases, shared_redis_url) -> AsyncIterator[Api]:
    """A server of a loopback issuer, where a browser finds it."""
    port = free_port()
    async with databases.fresh() as url:
        environ = replicas.settings(
            url,
            shared_redis_url,
            issuer=f"http://localhost:{port}",
            **{**replicas.GENEROUS, "server__port": str(port)},
        )
        with replicas.replicas(environ) as started:
            async with api_of(environ, started) as running:
                yield running


@dataclass
class App:
    """An application that is registered at a server and waits for answers."""

    site: Api
    client: str
    callback: str

    def asks(self, **asked: str) -> str:
        """Return the address it sends browsers to."""
        return self.site.issuer + authorization(self.client, redirect_uri=self.callback, **asked)

    def library(self) -> Any:
        """Return Authlib's client, set up by the book: the application's own."""
        return OAuth().register(
            "keyturn",
            client_id=self.client,
            client_secret=self.site.secrets[self.client],
            server_metadata_url=f"{self.site.issuer}/.well-known/openid-configuration",
            client_kwargs={"scope": "openid email", "code_challenge_method": "S256"},
        )

    async def refreshed(self, library: Any, token: dict[str, Any]) -> dict[str, Any]:
        """Refresh as the application does. Raises `OAuthError`."""
        metadata = await library.load_server_metadata()
        async with library._get_oauth_client(**metadata) as session:
            session.token = token
            fresh = await session.refresh_token(
                metadata["token_endpoint"], refresh_token=token["refresh_token"]
            )
        return {**token, **fresh}


def asgi_request(session: dict[str, Any], brought: Any = None) -> Request:
    """Return the request of a browser at the application, whose form has been read already."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/callback",
        "headers": [],
        "query_string": urlencode(brought or {}, doseq=True).encode(),
        "session": session,
    }
    return Request(scope)


@pytest.fixture(scope="module")
async def app(site) -> AsyncIterator[App]:
    async with application() as callback:
        raw = {**WEB, "scopes": MANY, "redirect_uris": [callback], "kind": "confidential"}
        yield App(site, await site.client(raw), callback)


@pytest.fixture
async def tab(browser) -> AsyncIterator[Tab]:
    async with browser.tab() as one:
        yield one


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    """The text of axe-core, from npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm is installed: axe-core cannot be had")
    folder = tmp_path_factory.mktemp("axe")
    try:
        got = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--prefix", folder, AXE],
            capture_output=True, text=True, timeout=NPM_PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip("npm does not answer: axe-core cannot be had")
    if got.returncode:
        pytest.skip(f"npm has no {AXE}: {got.stderr[-200:]}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    named = os.environ.get("KEYTURN_TEST_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def type_in(tab, person, password=PASSWORD):
    await tab.evaluate("document.getElementById('email').value = ''")
    await tab.type("email", person.email)
    await tab.type("password", password)


async def becomes(tab, expression, wanted):
    """Wait until an expression is what is wanted."""
    deadline = time.monotonic() + PATIENCE
    while (found := await tab.evaluate(expression)) != wanted:
        assert time.monotonic() < deadline, f"{expression} is {found!r}"
        await asyncio.sleep(0.02)


async def redeem(app, tab):
    """Redeem, as the application, the code that the browser has brought there."""
    code = parse_qs(urlsplit(await tab.address()).query)["code"][0]
    answer = await app.site.token(
        app.client,
        grant_type="authorization_code",
        code=code,
        redirect_uri=app.callback,
        code_verifier=VERIFIER,
    )
    assert answer.status_code == 200, answer.text


async def signed_in_elsewhere(app, person):
    """Sign somebody in on other devices, some of them odd; return the session of one."""
    other = await app.site.client({**WEB, "redirect_uris": [app.callback], "name": LONG_NAME})
    await app.site.operator.consents.grant(person.id, other, frozenset(MANY))
    for device, ip in DEVICES.items():
        seeded = await app.site.seed(other, person, device=device, ip=ip)
    return str(seeded.session_id)


async def device_pages(app, tab):
    """Walk through the pages of a device as who is signed in already."""
    links = dict.fromkeys(("client_uri", "policy_uri", "tos_uri"), "https://tv.example/about")
    raw = {**TELEVISION, "name": LONG_NAME, "scopes": MANY, **links}
    device = await Television.begun(app.site, await app.site.client(raw), scope=" ".join(MANY))
    await tab.open(device.told["verification_uri"])
    yield "device"
    await tab.type("user-code", "BCDF-BCDF")
    await tab.press("go-on")
    await becomes(tab, "document.activeElement.id", "problem")
    yield "device-wrong"
    await tab.open(device.told["verification_uri_complete"])
    yield "device-link"
    await tab.press("go-on")
    yield "device-question"
    await tab.press("allow")
    yield "device-connected"


async def pages(app, tab, language):
    """Walk through every page there is, in a language, and yield the name of each."""
    site = app.site
    person = await site.person()
    await tab.open(f"{site.issuer}/logout?lang={language}")
    yield "nobody-signed-in"
    await tab.open(f"{site.issuer}/account")
    yield "login-account"
    await tab.open(app.asks(scope=" ".join(MANY)))
    yield "login"
    await type_in(tab, person, "wrong password")
    await tab.press("sign-in")
    await becomes(tab, "document.activeElement.id", "problem")
    yield "login-wrong"
    await type_in(tab, person)
    await tab.press("sign-in")
    yield "consent"
    await tab.open(f"{site.issuer}/account")
    yield "account-empty"
    await tab.open(app.asks())
    await tab.press("allow")
    await redeem(app, tab)
    await tab.open(app.asks(scope="openid offline_access"))
    await tab.press("allow")
    await redeem(app, tab)
    elsewhere = await signed_in_elsewhere(app, person)
    await tab.open(f"{site.issuer}/account")
    yield "account"
    await tab.press(f"end-{elsewhere}")
    yield "account-done"
    async for name in device_pages(app, tab):
        yield name
    await tab.open(f"{site.issuer}/oauth2/authorize?client_id=nobody")
    yield "error"
    await tab.open(f"{site.issuer}/login?request=none&client={app.client}")
    yield "signed-in-already"
    await tab.open(f"{site.issuer}/logout")
    yield "confirm-logout"
    await tab.press("sign-out")
    yield "signed-out"
    await tab.scripts(on=False)
    await tab.open(app.asks(response_mode="form_post", prompt="consent"))
    await type_in(tab, person)
    await tab.press("sign-in")
    await tab.press("allow")
    await tab.scripts(on=True)
    yield "form-post"


async def answer_of(app, tab, mode, *, scripts):
    """Return what the browser brings to the application, in the address or in a form."""
    if mode == "query":
        return parse_qs(urlsplit(await tab.address()).query)
    if not scripts:
        await tab.press("continue")
    arrived = f"location.href === '{app.callback}' && document.readyState === 'complete'"
    await becomes(tab, arrived, wanted=True)
    return parse_qs(await tab.evaluate("document.getElementById('posted').textContent"))


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("mode", ["query", "form_post"])
async def test_a_person_signs_in_consents_sees_the_session_and_ends_it(app, tab, scripts, mode):
    site, person, session = app.site, await app.site.person(), {}
    library = app.library()
    await tab.scripts(on=scripts)
    asked = await library.authorize_redirect(
        asgi_request(session), app.callback, response_mode=mode
    )
    await tab.open(asked.headers["location"])
    await type_in(tab, person, "wrong password")
    await tab.press("sign-in")
    # The browser looks for what wants the focus when it first draws the page.
    await becomes(tab, "document.activeElement.id", "problem")
    await type_in(tab, person)
    await tab.press("sign-in")
    assert person.email in await tab.evaluate("document.body.innerText")
    await tab.press("allow")
    brought = await answer_of(app, tab, mode, scripts=scripts)
    assert set(brought) == {"code", "state", "iss"}
    token = await library.authorize_access_token(asgi_request(session, brought))
    assert token["userinfo"]["sub"] == str(person.id)
    token = await app.refreshed(library, token)

    await tab.open(f"{site.issuer}/account")
    session_id = token["userinfo"]["sid"]
    row = f"document.getElementById('end-{session_id}')"
    seen = await tab.evaluate(f"{row}.closest('li').innerText")
    assert "Orders & Co" in seen
    assert "this browser" in seen
    assert "Chrome on Linux" in seen
    await tab.press(f"end-{session_id}")
    assert await tab.evaluate("document.getElementById('done').innerText")
    assert await tab.evaluate(row) is None
    with pytest.raises(OAuthError, match="invalid_grant"):
        await app.refreshed(library, token)
    assert [
        one for one in tab.complaints if "favicon" not in one and "status of 4" not in one
    ] == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
async def test_a_person_connects_a_device(app, tab, scripts):
    person = await app.site.person()
    device = await Television.begun(app.site, await app.site.client(TELEVISION))
    await tab.scripts(on=scripts)
    await tab.open(device.told["verification_uri"])
    await type_in(tab, person)
    await tab.press("sign-in")
    await tab.type("user-code", device.code.lower().replace("-", " "))
    await tab.press("go-on")
    seen = await tab.evaluate("document.body.innerText")
    assert device.code in seen
    assert "Television" in seen
    assert await device.error() == "authorization_pending"
    await tab.press("allow")
    assert "is connected" in await tab.evaluate("document.getElementById('done').innerText")
    assert (await device.poll()).status_code == 200
    assert [one for one in tab.complaints if "favicon" not in one] == []


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_fits_and_can_be_operated(app, tab, look, pictures):
    language, screen = LOOKS[look]
    await tab.look(**screen)
    async for name in pages(app, tab, language):
        await tab.picture(pictures / f"{name}-{look}.png")
        wide = await tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name} scrolls sideways"
        small = await tab.evaluate(
            "[...document.querySelectorAll('a, button, input:not([type=hidden])')]"
            ".map(e => [e.id || e.href, e.getBoundingClientRect()])"
            f".filter(([_, r]) => r.width < {LEAST_TARGET} || r.height < {LEAST_TARGET})"
            ".map(([id]) => id)"
        )
        assert small == [], f"{name}: targets that are too small"
        assert await tab.evaluate("document.styleSheets.length") == 1
        assert await tab.evaluate(WEIGHT) < MOST_BYTES, f"{name} is too heavy"
    assert [one for one in tab.complaints if "status of 4" not in one] == []


@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_no_violation_on_any_page(app, tab, look, axe):
    language, screen = LOOKS[look]
    await tab.look(**screen)
    async for name in pages(app, tab, language):
        await tab.evaluate(axe)
        found = await tab.evaluate(
            "axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))"
        )
        assert found == [], name


async def test_everything_can_be_reached_by_the_keyboard_in_the_order_it_is_read(app, tab):
    await tab.open(app.asks())
    order = []
    for _ in range(5):
        for kind in ("keyDown", "keyUp"):
            await tab.call("Input.dispatchKeyEvent", type=kind, key="Tab", windowsVirtualKeyCode=9)
        order.append(await tab.evaluate("document.activeElement.id"))
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert await tab.evaluate(outline) == "solid"
    assert order == ["email", "password", "remember", "sign-in", ""]
