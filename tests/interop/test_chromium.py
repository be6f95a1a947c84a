"""The pages in a real browser: signed in with and without scripts, looked at, and read aloud.

`KEYTURN_TEST_SCREENSHOTS` names a folder that keeps the pictures.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from support import replicas
from support.api import PASSWORD, Api, api_of
from support.chromium import Chromium, Tab, chromium, installed
from support.visitor import WEB, authorization

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(installed() is None, reason="no Chromium is installed"),
]

LOOKS = {
    "light": {"width": 1000},
    "dark": {"width": 1000, "dark": True},
    "320": {"width": 320},
}
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


@pytest.fixture(scope="module")
async def app(site) -> AsyncIterator[App]:
    async with application() as callback:
        raw = {**WEB, "redirect_uris": [callback], "kind": "confidential"}
        yield App(site, await site.client(raw), callback)


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Chromium]:
    async with chromium() as one:
        yield one


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


async def pages(app, tab):
    """Walk through every page there is and yield the name of each."""
    site = app.site
    person = await site.person()
    await tab.open(app.asks())
    yield "login"
    await type_in(tab, person, "wrong password")
    await tab.press("sign-in")
    yield "login-wrong"
    await type_in(tab, person)
    await tab.press("sign-in")
    yield "consent"
    await tab.open(f"{site.issuer}/oauth2/authorize?client_id=nobody")
    yield "error"
    await tab.open(f"{site.issuer}/login?request=none&client={app.client}")
    yield "signed-in-already"
    await tab.open(f"{site.issuer}/logout?lang=de")
    yield "confirm-logout-de"
    await tab.press("sign-out")
    yield "signed-out-de"
    await tab.open(app.asks())
    yield "login-de"
    await tab.scripts(on=False)
    await tab.open(app.asks(response_mode="form_post"))
    await type_in(tab, person)
    await tab.press("sign-in")
    await tab.press("allow")
    await tab.scripts(on=True)
    yield "form-post-de"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("mode", ["query", "form_post"])
async def test_a_person_signs_in_consents_and_comes_back_to_the_application(
    app, tab, scripts, mode
):
    site, callback = app.site, app.callback
    person = await site.person()
    await tab.scripts(on=scripts)
    await tab.open(app.asks(response_mode=mode, state="s-1"))
    await type_in(tab, person)
    await tab.press("sign-in")
    assert person.email in await tab.evaluate("document.body.innerText")
    await tab.press("allow")
    if mode == "form_post":
        if not scripts:
            await tab.press("continue")
        while not (await tab.address()).startswith(callback):
            await asyncio.sleep(0.02)
        answer = parse_qs(await tab.evaluate("document.getElementById('posted').textContent"))
    else:
        answer = parse_qs(urlsplit(await tab.address()).query)
    assert (await tab.address()).startswith(callback)
    assert set(answer) == {"code", "state", "iss"}
    assert answer["state"] == ["s-1"]
    assert [one for one in tab.complaints if "favicon" not in one and "404" not in one] == []


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_fits_and_can_be_operated(app, tab, look, pictures):
    await tab.look(**LOOKS[look])
    async for name in pages(app, tab):
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
    assert [one for one in tab.complaints if "status of 4" not in one] == []


@pytest.mark.parametrize("look", LOOKS)
async def test_axe_finds_no_violation_on_any_page(app, tab, look, axe):
    await tab.look(**LOOKS[look])
    async for name in pages(app, tab):
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
