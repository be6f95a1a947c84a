"""Redis, one command or script at a time: a deadline on each, a breaker before all of them.

One server, or the primary that Sentinels name, or the node of a Cluster that has our keys: `lines`
knows which. After a deadline nothing is tried again; who asked falls back at once.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from keyturn.cache.breaker import Breaker
from keyturn.cache.discovery import TROUBLE
from keyturn.cache.lines import Argument, Lines
from keyturn.clock import Clock
from keyturn.errors import CacheUnavailable
from keyturn.settings_redis import RedisSettings
from keyturn.settings_redis_url import read_redis_url
from keyturn.telemetry.instruments import OTHER
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.tracing import step

MOST_CONNECTIONS = 64
"""Calls at once; more wait for their turn within their own deadline."""


def keyspace(issuer: str, name: str) -> str:
    """Return the key `name` of this issuer: `keyturn:{8 hex}:name`, all in one hash slot."""
    owner = hashlib.sha256(issuer.encode()).hexdigest()[:8]
    return f"keyturn:{{{owner}}}:{name}"


@dataclass(slots=True, eq=False)
class Cache:
    """One Redis, or none at all; every method raises `CacheUnavailable` and nothing else."""

    settings: RedisSettings
    metrics: Metrics
    clock: Clock
    _lines: Lines | None = field(init=False, repr=False, default=None)
    _turn: asyncio.Semaphore = field(init=False, repr=False)
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        """Read the URL; nothing is connected before the first call."""
        self._turn = asyncio.Semaphore(MOST_CONNECTIONS)
        self.breaker = Breaker(
            self.clock, self.settings.breaker_failures, self.settings.breaker_pause
        )
        if self.settings.url is not None:
            url = read_redis_url(self.settings.url.get_secret_value())
            # Of a server that has just become the primary, nothing bad is known yet.
            self._lines = Lines(url, self.clock, self.breaker.succeeded)

    @property
    def is_configured(self) -> bool:
        """Whether there is a server to ask; without one every call fails at once, uncounted."""
        return self._lines is not None

    @property
    def epoch(self) -> int:
        """A number that changes when another server takes over: with it, all that was proven.

        An answer is of this epoch's server when the number is the same before and after it.
        """
        return 0 if self._lines is None else self._lines.epoch

    async def execute(self, *command: Argument) -> Any:
        """Send one command and return its reply as RESP2 gives it: bytes, int, list or None."""
        operation = str(command[0]).lower()
        async with self._deadline(operation):
            return await self._timed(operation, command)

    async def eval(
        self,
        script: str,
        keys: Sequence[str],
        args: Sequence[Argument] = (),
        *,
        operation: str = OTHER,
        epoch: int | None = None,
    ) -> Any:
        """Run a Lua script, by its digest when the server knows it; KEYS and ARGV as given.

        `operation` is what the metrics name it. With an `epoch`, only by that epoch's server.
        """
        rest = (len(keys), *keys, *args)
        async with self._deadline(operation):
            try:
                return await self._timed(operation, ("EVALSHA", _digest(script), *rest), epoch)
            except NoScriptError:
                return await self._timed(operation, ("EVAL", script, *rest), epoch)

    async def zmscore(self, key: str, *members: str) -> tuple[float | None, ...]:
        """Return the scores of `members`, None for those that are not in the set."""
        reply = await self.execute("ZMSCORE", key, *members)
        try:
            scores = tuple(None if item is None else float(item) for item in reply)
        except (TypeError, ValueError):
            scores = ()
        if len(scores) != len(members):
            self.metrics.redis_errors("zmscore", "reply")
            raise CacheUnavailable("ZMSCORE: not a list of scores")
        return scores

    async def close(self) -> None:
        """Close every idle connection; those in use close when their call ends."""
        lines, self._lines = self._lines, None
        if lines is not None:
            await lines.close()

    @asynccontextmanager
    async def _deadline(self, operation: str) -> AsyncIterator[None]:
        """Refuse while open; end the block in time; say what went wrong in one word, no secret."""
        if self._lines is None:
            raise CacheUnavailable("no Redis is configured")
        # Before the breaker: it opens when a primary has died, and its successor closes it.
        self._lines.look()
        if not self.breaker.admits():
            self.metrics.redis_errors(operation, "open")
            raise CacheUnavailable("breaker: open")
        try:
            async with asyncio.timeout(self.settings.timeout):
                yield
        except ResponseError as error:
            # The server is up and refuses this one command: wrong type, read-only, out of memory.
            self.breaker.succeeded()
            self.metrics.redis_errors(operation, "reply")
            raise CacheUnavailable(f"reply: {type(error).__name__}") from None
        except TROUBLE as error:
            self.breaker.failed()
            kind = "timeout" if isinstance(error, TimeoutError) else "connection"
            self.metrics.redis_errors(operation, kind)
            raise CacheUnavailable(f"{kind}: {type(error).__name__}") from None
        self.breaker.succeeded()

    async def _timed(
        self, operation: str, command: Sequence[Argument], epoch: int | None = None
    ) -> Any:
        began = self.clock.monotonic()
        with step("redis", operation):
            reply = await self._ask(command, epoch)
        self.metrics.redis_operations[operation].observe(self.clock.monotonic() - began)
        return reply

    async def _ask(self, command: Sequence[Argument], epoch: int | None = None) -> Any:
        async with self._turn:
            if self._lines is None:
                raise CacheUnavailable("closed")
            return await self._lines.exchange(command, epoch)


@lru_cache(maxsize=64)
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
