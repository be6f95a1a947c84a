"""One person at the demo, behind a network of their own: signed in, disturbed, and asked after."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.chromium import Chromium
from support.demo_cases import Row
from support.demo_network import DemoNetwork, demo_network
from support.demo_page import PATIENCE, DemoPage, by, demo_page

SEEN = """
[...document.querySelectorAll('main h1, [role=alert], [data-testid=outcome], [data-testid=status]')]
.filter(e => e.checkVisibility()).map(e => e.innerText.trim()).filter(Boolean).join(' / ')
"""
"""What the page says where a person looks: title, who is signed in, what went wrong, what was done."""

SCREEN = {"width": 1280, "height": 1000}
SERVERS_SIGN_IN = "document.getElementById('sign-in')"
"""The button of the server's own sign-in page, where mode `code` leads."""
REFUSED = " || ".join([*map(by, ("orders-error", "sign-in", "trouble")), SERVERS_SIGN_IN])
"""Some sign that there are no orders."""


@dataclass
class Stage:
    """A browser's tabs with the demo, the network below them, and the row that the case fills."""

    browser: Chromium
    network: DemoNetwork
    row: Row
    page: DemoPage
    pictures: Path
    _open: AsyncExitStack
    _before: int = 0

    @property
    def mode(self) -> str:
        """How the refresh token is kept."""
        return self.row.mode

    async def sign_in(self) -> None:
        """Sign in, and count refreshes from here."""
        await self.page.sign_in(self.mode)
        await self.page.text("user")
        self._before = len(self.network.refreshes())

    async def another_tab(self, script: str = "") -> DemoPage:
        """Open a tab that shares cookies and storage, where the same person is signed in."""
        opening = demo_page(self.browser, self.page.dev, self.page)
        page = await self._open.enter_async_context(opening)
        await page.tab.look(**SCREEN)
        await self.before_each_load(script, page)
        await page.open("/")
        await page.has("status", status="signedIn")
        await page.until(by("orders"))
        self._before = len(self.network.refreshes())
        return page

    async def another_device(self, person: int = 0) -> DemoPage:
        """Sign the same person in in a browser that shares nothing with this one."""
        page = await self._open.enter_async_context(demo_page(self.browser, self.page.dev))
        await page.sign_in("cookie", person)
        return page

    async def call_ten(self, *pages: DemoPage, button: str = "call-ten") -> None:
        """Have pages call the API ten times at once each, at the same time, and wait for the end."""
        pages = pages or (self.page,)
        for page in pages:
            await page.press(button)
        for page in pages:
            await page.until(f"{by('outcome')}?.dataset.done")

    async def before_each_load(self, script: str, page: DemoPage | None = None) -> None:
        """Run a script before the page's own, whenever a tab loads one."""
        tab = (page or self.page).tab
        await tab.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def refreshes(self) -> list[int]:
        """Return what became of each refresh since the sign-in: its status, 0 for no answer."""
        return self.network.refreshes()[self._before :]

    async def shows(self, *pages: DemoPage) -> None:
        """Note in the row, and in a picture, what a person sees now; only the first is pictured."""
        said = [await page.tab.evaluate(SEEN) for page in pages or (self.page,)]
        self.row.sees = " // ".join(dict.fromkeys(said))
        first = (pages or (self.page,))[0].tab
        await first.call("Page.bringToFront")  # what is behind another tab is never drawn
        await first.picture(self.pictures / f"faults-{self.row.name}.png")

    async def is_signed_in(self, *pages: DemoPage) -> bool:
        """Return whether the API answers each page that asks for the orders."""
        return all([await self._has_orders(page) for page in pages or (self.page,)])

    async def judge(self, *pages: DemoPage) -> bool:
        """Fill the row's counts, and say whether somebody is signed in: whether the API answers."""
        self.row.refreshes = len(self.refreshes())
        self.row.renewed = self.refreshes().count(200)
        self.row.signed_in = await self.is_signed_in(*pages)
        return self.row.signed_in

    async def _has_orders(self, page: DemoPage) -> bool:
        before = len(self.network.orders())
        if await page.tab.evaluate(f"!!{by('orders-reload')}"):
            await page.press("orders-reload")
        else:
            await page.open("/")
        async with asyncio.timeout(PATIENCE):
            while not await page.now(REFUSED):
                if 200 in self.network.orders()[before:]:
                    return True
                await asyncio.sleep(0.05)
        return False


@asynccontextmanager
async def staged(
    browser: Chromium, dev: dict[str, Any], row: Row, pictures: Path
) -> AsyncIterator[Stage]:
    """Open a first tab, with nobody signed in; all tabs are gone at the end of the block."""
    async with demo_network(dev["exampleApiUrl"]) as network, AsyncExitStack() as opened:
        opening = demo_page(browser, dev, proxy=f"http://127.0.0.1:{network.port}")
        page = await opened.enter_async_context(opening)
        await page.tab.look(**SCREEN)
        yield Stage(browser, network, row, page, pictures, opened)


async def until(happened: Callable[[], bool]) -> None:
    """Wait until something is so on this side of the network."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        await asyncio.sleep(0.02)
