"""A headless Chromium, driven over its debugging pipe: what a person's browser makes of a page.

Nothing but the standard library: messages of the DevTools protocol, ended by a zero byte, on two
inherited file descriptors. Each tab has a jar of its own; the profile is thrown away.

One that is installed is taken. Else Debian's packages are unpacked into a cache folder.
"""

import asyncio
import base64
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from support import debian

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PACKAGES = ("chromium", "fonts-liberation")
FONTS = """<fontconfig>
<dir>{folder}/usr/share/fonts</dir>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include>
<include ignore_missing="yes">{folder}/etc/fonts/fonts.conf</include>
<include ignore_missing="yes">{folder}/usr/share/fontconfig/conf.avail/30-metric-aliases.conf</include>
<include ignore_missing="yes">{folder}/usr/share/fontconfig/conf.avail/60-latin.conf</include>
</fontconfig>
"""
"""Fonts of the system and of unpacked packages: without any, text has no width."""
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",
    "--remote-debugging-pipe",
)
PATIENCE = 30.0
LARGEST = 64 * 1024 * 1024
BETWEEN_PAGES = ("target navigated or closed", "Cannot find default execution context")


class Between(RuntimeError):
    """One page is going, and the next is not there yet: nothing can be asked of them."""


@dataclass(frozen=True, slots=True)
class Program:
    """A Chromium, and the folder of its packages if they are not installed."""

    path: Path
    unpacked: Path | None = None

    def environ(self, profile: Path) -> dict[str, str]:
        """Return what it needs to find its libraries and fonts; they are written down there."""
        if self.unpacked is None:
            return dict(os.environ)
        fonts = profile / "fonts.conf"
        fonts.write_text(FONTS.format(folder=self.unpacked))
        libraries = debian.libraries(self.unpacked)
        return {**os.environ, "LD_LIBRARY_PATH": libraries, "FONTCONFIG_FILE": str(fonts)}


def obtained() -> Program:
    """Return a Chromium, fetched if need be. Raises `debian.NotObtainable`."""
    if installed := next(filter(None, map(shutil.which, NAMES)), None):
        return Program(Path(installed))
    folder = debian.unpacked("chromium", *PACKAGES)
    return Program(folder / "usr/lib/chromium/chromium", folder)


@dataclass
class Connection:
    """The pipe to one browser; answers find whoever waits for them, events their tab."""

    writer: asyncio.StreamWriter
    tabs: "dict[str, Tab]" = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _waiting: dict[int, "asyncio.Future[Any]"] = field(default_factory=dict)

    async def call(self, method: str, parameters: Mapping[str, Any], session: str = "") -> Any:
        """Send one command and return its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.writer.write(json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(PATIENCE):
            return await future

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Hand on what comes until the browser is gone."""
        while True:
            try:
                message = json.loads((await reader.readuntil(b"\0"))[:-1])
            except asyncio.IncompleteReadError:
                return
            self._take(message)

    def _take(self, message: Mapping[str, Any]) -> None:
        if "id" not in message:
            tab = self.tabs.get(message.get("sessionId", ""))
            if tab is not None:
                tab.take(message)
            return
        future = self._waiting.pop(message["id"])
        if future.done():
            return
        if "error" in message:
            said = str(message["error"])
            gone = any(one in said for one in BETWEEN_PAGES)
            future.set_exception(Between(said) if gone else RuntimeError(said))
        else:
            future.set_result(message["result"])


@dataclass
class Tab:
    """One page, and what it complained about."""

    _connection: Connection
    _session: str
    _context: Mapping[str, str]
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)
    complaints: list[str] = field(default_factory=list)
    """What the browser refused or failed at: violations of a policy among them."""

    async def call(self, method: str, **parameters: Any) -> Any:
        """Send one command about this tab and return its result."""
        return await self._connection.call(method, parameters, self._session)

    def take(self, message: Mapping[str, Any]) -> None:
        """Hear of something that happened."""
        if message["method"] == "Page.loadEventFired":
            self._loaded.set()
        elif message["method"] == "Log.entryAdded":
            self.complaints.append(message["params"]["entry"]["text"])

    async def open(self, address: str) -> None:
        """Go to an address and wait until it is loaded."""
        self._loaded.clear()
        await self.call("Page.navigate", url=address)
        await self.settled()

    async def settled(self) -> None:
        """Wait until the page that is coming is loaded."""
        async with asyncio.timeout(PATIENCE):
            await self._loaded.wait()

    async def evaluate(self, expression: str) -> Any:
        """Return what an expression is on the page; promises are waited for."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def type(self, element: str, text: str) -> None:
        """Type into an element, as a keyboard does."""
        await self.evaluate(f"document.getElementById({element!r}).focus()")
        await self.call("Input.insertText", text=text)

    async def press(self, element: str) -> None:
        """Press a button or follow a link with the mouse, and wait for what it leads to."""
        box = await self.evaluate(
            f"(() => {{ const e = document.getElementById({element!r}); e.scrollIntoView();"
            " const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        self._loaded.clear()
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box[0],
                y=box[1],
                button="left",
                clickCount=1,
            )
        await self.settled()

    async def address(self) -> str:
        """Return where the tab is."""
        found: str = await self.evaluate("location.href")
        return found

    async def look(self, *, width: int, dark: bool = False, height: int = 760) -> None:
        """Be a screen of this width, in this scheme."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        # As on a phone: a scroll bar that takes room would stand in some pictures only.
        await self.call("Emulation.setScrollbarsHidden", hidden=True)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def scripts(self, *, on: bool) -> None:
        """Switch scripts of pages on or off."""
        await self.call("Emulation.setScriptExecutionDisabled", value=not on)

    async def picture(self, path: Path) -> None:
        """Keep what is to be seen."""
        answer = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))


@dataclass
class Chromium:
    """A running browser."""

    connection: Connection

    @asynccontextmanager
    async def tab(self, beside: Tab | None = None, *, proxy: str = "") -> AsyncIterator[Tab]:
        """Open a tab with a jar and stores of its own, or with those of the tab `beside` it.

        It is gone at the end of the block; so are those beside it when it was the first. Those of
        its own go through a `proxy`, if one is named (`http://127.0.0.1:3128`), to loopback, too.
        """
        call = self.connection.call
        through = {"proxyServer": proxy, "proxyBypassList": "<-loopback>"} if proxy else {}
        context = (
            await call("Target.createBrowserContext", {"disposeOnDetach": True, **through})
            if beside is None
            else beside._context
        )
        made = await call("Target.createTarget", {"url": "about:blank", **context})
        attaching = {"targetId": made["targetId"], "flatten": True}
        session = (await call("Target.attachToTarget", attaching))["sessionId"]
        tab = self.connection.tabs[session] = Tab(self.connection, session, context)
        for domain in ("Page", "Runtime", "Log", "Network"):
            await tab.call(f"{domain}.enable")
        try:
            yield tab
        finally:
            if beside is None:
                await call("Target.disposeBrowserContext", context)
            else:
                await call("Target.closeTarget", made)


@asynccontextmanager
async def running(program: Program) -> AsyncIterator[Chromium]:
    """Run a browser until the end of the block."""
    to_browser, from_us = os.pipe()
    to_us, from_browser = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # The browser wants its pipe as descriptors 3 and 4, whichever numbers ours have.
        line = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", line, program.path, *OPTIONS, f"--user-data-dir={profile}", "about:blank",
            env=program.environ(Path(profile)), pass_fds=(to_browser, from_browser),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        reader, writer = await _streams(to_us, from_us)
        connection = Connection(writer)
        listening = asyncio.create_task(connection.listen(reader))
        try:
            yield Chromium(connection)
        finally:
            listening.cancel()
            process.kill()
            await process.wait()
            writer.transport.close()


async def _streams(
    incoming: int, outgoing: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LARGEST)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(incoming, "rb")
    )
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(outgoing, "wb")
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)
