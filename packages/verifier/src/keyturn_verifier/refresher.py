"""One document, kept fresh: one fetch at a time, shared, and a loop that repeats it.

Nobody's request owns the fetch. Whoever waits for it may give up, or be cancelled, and the fetch
goes on for the others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, NamedTuple

from keyturn_verifier.fetch import LOG
from keyturn_verifier.surroundings import Surroundings


class Wait(NamedTuple):
    """Between how many seconds to fetch again.

    Never one number: APIs that were started together, or saw the issuer come back together, would
    ask together for ever.
    """

    least: float
    most: float


Load = Callable[[], Awaitable[Wait | None]]
"""Fetch once, keep what came, return when to do so again, None to end; it should not raise."""

AFTER_A_DEFECT = 5.0
"""Seconds until the next time when it raised all the same: an observer, say, that was handed in."""


class Refresher:
    """Calls `load` when asked, and again when it said."""

    def __init__(self, load: Load, given: Surroundings) -> None:
        self._load = load
        self._clock = given.clock
        self._jitter = given.jitter
        self._loading: asyncio.Task[None] | None = None
        self._looping: asyncio.Task[None] | None = None
        self._next: float | None = float("-inf")

    def start(self) -> None:
        """Begin the loop, unless it runs."""
        if self._looping is None or self._looping.done():
            self._looping = _detached(self._loop())

    @property
    def is_loading(self) -> bool:
        """Whether a fetch runs."""
        return self._loading is not None and not self._loading.done()

    async def refresh(self, patience: float) -> bool:
        """Wait for a fetch: the one that runs, or a new one. Return whether it ended in time."""
        ended, _ = await asyncio.wait({self._load_once()}, timeout=patience)
        return bool(ended)

    async def aclose(self) -> None:
        """End the loop and the fetch."""
        tasks = [task for task in (self._looping, self._loading) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _load_once(self) -> "asyncio.Task[None]":
        if self._loading is None or self._loading.done():
            self._loading = _detached(self._loaded())
            self._loading.add_done_callback(_tell)
        return self._loading

    async def _loaded(self) -> None:
        # Said before: a loop that did not wait would flood the issuer.
        self._next = self._clock.monotonic() + AFTER_A_DEFECT
        wait = await self._load()
        self._next = None if wait is None else self._clock.monotonic() + self._chosen(wait)

    def _chosen(self, wait: Wait) -> float:
        return wait.most - (wait.most - wait.least) * self._jitter()

    async def _loop(self) -> None:
        while self._next is not None:
            # Somebody may have refreshed meanwhile: then there is more to wait.
            left = self._next - self._clock.monotonic()
            if left > 0:
                await self._clock.sleep(left)
            else:
                await asyncio.wait({self._load_once()})


def _tell(loading: "asyncio.Task[None]") -> None:
    if not loading.cancelled() and (defect := loading.exception()) is not None:
        LOG.error("a fetch ended in a defect", exc_info=defect)


def within(seconds: float) -> Wait:
    """Wait for half of it at least: that many requests more are what the spread costs."""
    return Wait(seconds / 2, seconds)


def again(seconds: float, retry_after: float) -> Wait:
    """Wait after a failure: as usual, and not before the issuer wants to be asked."""
    return Wait(max(seconds / 2, retry_after), max(seconds, retry_after * 1.5))


def _detached(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Run outside the request that happens to be first: its trace is not the fetch's."""
    return Context().run(asyncio.ensure_future, work)
