"""The demo's page in a browser: found by its `data-testid`s, waited for, never slept for."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from support.chromium import Between, Chromium, Tab

PATIENCE = 30.0
"""Seconds for anything that has to happen; the machine may be busy."""

TWO_FRAMES = """new Promise(go => {
  requestAnimationFrame(() => requestAnimationFrame(go))
  setTimeout(go, 500)
})"""
"""A tab behind another one is not drawn, and nothing moves in it: there it is a moment."""


def by(testid: str) -> str:
    """Return the expression that finds an element."""
    return f"document.querySelector({json.dumps(f'[data-testid={json.dumps(testid)}]')})"


def _as_attribute(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass
class DemoPage:
    """One tab with the demo in it, and what `keyturn dev` said it is."""

    tab: Tab
    dev: dict[str, Any]

    async def open(self, path: str = "/") -> None:
        """Go to an address of the demo."""
        await self.tab.open(self.dev["demoUrl"] + path)

    async def until(self, expression: str) -> Any:
        """Wait until an expression is true on the page, over loads of others, and return it."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := await self.now(expression)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            seen = await self.tab.evaluate("location.href + '\\n' + document.body.innerText")
            raise AssertionError(f"never: {expression}\n{seen}") from None
        return found

    async def now(self, expression: str) -> Any:
        """Return what an expression is on the page, or None while there is no page."""
        # A page that is going away has no elements, or no world to evaluate anything in.
        plain = f"(found => found instanceof Element || found)({expression})"
        try:
            answer = await self.tab.call("Runtime.evaluate", expression=plain, returnByValue=True)
        except Between:
            return None
        return None if "exceptionDetails" in answer else answer["result"].get("value")

    async def press(self, testid: str) -> None:
        """Press a button, or follow a link, with the mouse, as soon as it can be."""
        await self.until(f"{by(testid)}.checkVisibility() && !{by(testid)}.disabled")
        await self.tab.evaluate(f"{by(testid)}.scrollIntoView({{block: 'center'}})")
        middle = (
            f"(r => JSON.stringify([r.x + r.width / 2, r.y + r.height / 2]))"
            f"({by(testid)}.getBoundingClientRect())"
        )
        before = ""
        # What is still being laid out moves under the mouse.
        while before != (found := await self.until(middle)):
            before = found
            await self.tab.evaluate(TWO_FRAMES)
        x, y = json.loads(before)
        for kind in ("mousePressed", "mouseReleased"):
            await self.tab.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def fill(self, testid: str, text: str) -> None:
        """Type into a field, in place of what is there."""
        await self.until(f"{by(testid)}.checkVisibility()")
        await self.tab.evaluate(f"{by(testid)}.focus(); {by(testid)}.select()")
        await self.tab.call("Input.insertText", text=text)

    async def text(self, testid: str) -> str:
        """Return what an element says, as soon as it says something."""
        said: str = await self.until(f"{by(testid)}?.innerText.trim()")
        return said

    async def has(self, testid: str, **data: object) -> None:
        """Wait until an element has these `data-` attributes."""
        wanted = [
            f"{by(testid)}?.dataset.{name} === {json.dumps(_as_attribute(value))}"
            for name, value in data.items()
        ]
        await self.until(" && ".join(wanted))

    async def rows(self) -> list[dict[str, str]]:
        """Return the trail, the oldest row first: `what`, `kind`, `to`, `outcome`, `refresh`."""
        found: list[dict[str, str]] = await self.tab.evaluate(
            "[...document.querySelectorAll('[data-testid=row]')].map(e => ({...e.dataset})).reverse()"
        )
        return found

    async def sign_in(self, mode: str, person: int = 0) -> None:
        """Sign somebody in by the mode's own way, from its sign-in page to the orders."""
        await self.choose(mode)
        who = self.dev["users"][person]
        if mode == "code":
            await self.press("sign-in")
            await self.until(
                "document.readyState === 'complete' && document.getElementById('sign-in')"
            )
            await self.tab.type("email", who["email"])
            await self.tab.type("password", who["password"])
            await self.tab.press("sign-in")
        else:
            await self.fill("email", who["email"])
            await self.fill("password", who["password"])
            await self.press("sign-in")
        await self.has("status", status="signedIn")
        await self.until(by("orders"))

    async def choose(self, mode: str) -> None:
        """Switch to a mode and be on its sign-in page."""
        await self.open("/sign-in")
        await self.press(f"mode-{mode}")
        await self.until(f"{by('sign-in')} && {by(f'mode-{mode}')}.checked")


@asynccontextmanager
async def demo_page(
    browser: Chromium, dev: dict[str, Any], beside: DemoPage | None = None, *, proxy: str = ""
) -> AsyncIterator[DemoPage]:
    """Open a tab for the demo: with a jar of its own, or with the one of the page `beside` it."""
    async with browser.tab(None if beside is None else beside.tab, proxy=proxy) as tab:
        yield DemoPage(tab, dev)
