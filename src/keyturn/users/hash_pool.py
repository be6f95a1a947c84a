"""Password hashing in threads of its own: as many at once as cores, a bounded queue, a deadline.

A flood of sign-ins must neither fill the memory (each hash holds megabytes) nor delay a
refresh. The hash releases the interpreter lock, so the event loop goes on meanwhile.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from keyturn.clock import Clock
from keyturn.errors import Unavailable
from keyturn.settings_credentials import PasswordsSettings
from keyturn.telemetry.labels import ARGON2
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.tracing import step

Result = TypeVar("Result")

RETRY_AFTER = 2
"""Seconds until a caller who was turned away should come back."""


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True, eq=False)
class HashPool:
    """Runs hashes for one event loop."""

    settings: PasswordsSettings
    metrics: Metrics
    clock: Clock
    _workers: int = field(init=False)
    _executor: ThreadPoolExecutor = field(init=False)
    _held: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Make room for as many threads as may hash at once; they start when needed."""
        self._workers = self.settings.workers or cores()
        self._executor = ThreadPoolExecutor(self._workers, thread_name_prefix="keyturn-hash")

    async def run(self, work: Callable[[], Result], algorithm: str = ARGON2) -> Result:
        """Run `work` in a thread and return what it returns; `algorithm` is a label of its time.

        Raises `Unavailable` at once when the queue is full, or when the deadline passes.
        """
        self.check_room()
        started = self.clock.monotonic()
        try:
            async with asyncio.timeout(self.settings.deadline):
                with step("internal", "password hash"):
                    result = await self._submit(work)
        except TimeoutError as error:
            self.metrics.hash_refused("deadline")
            raise Unavailable("password hashing: too slow", retry_after=RETRY_AFTER) from error
        self.metrics.hash_duration[algorithm].observe(self.clock.monotonic() - started)
        return result

    def check_room(self) -> None:
        """Raise `Unavailable` when the queue is full: asked first, a flood costs nobody a query."""
        if self._held >= self._workers + self.settings.queue_limit:
            self.metrics.hash_refused("queue")
            raise Unavailable("password hashing: the queue is full", retry_after=RETRY_AFTER)

    def _submit(self, work: Callable[[], Result]) -> "asyncio.Future[Result]":
        loop = asyncio.get_running_loop()
        job = self._executor.submit(work)
        self._hold(1)
        # A place is held until the thread is done with it, not until the caller stops waiting:
        # a hash that is running cannot be called off. One that still waits can, and is.
        job.add_done_callback(lambda _: loop.call_soon_threadsafe(self._hold, -1))
        return asyncio.wrap_future(job, loop=loop)

    def _hold(self, places: int) -> None:
        self._held += places
        self.metrics.hash_queue.set(max(0, self._held - self._workers))

    async def close(self) -> None:
        """Call off what waits and let what runs finish."""
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
