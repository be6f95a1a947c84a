"""Redis, one command or script at a time: a deadline on each, a breaker before all of them.

The driver's connections are held directly, without its pool and retries: a connection whose
answer did not come in time is closed, never lent again, because the late answer would be read as
the answer to the next question. With tokens, that would be somebody else's revocation.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from keyturn.cache.breaker import Breaker
from keyturn.clock import Clock
from keyturn.errors import CacheUnavailable
from keyturn.settings_redis import RedisSettings
from keyturn.telemetry.instruments import OTHER
from keyturn.telemetry.metrics import Metrics

Argument: TypeAlias = str | bytes | int | float

MOST_CONNECTIONS = 64
"""Calls at once; more wait for their turn within their own deadline."""

TROUBLE = (RedisError, OSError, EOFError, ValueError)
"""What a dead line, or a server that does not speak the protocol, makes the driver raise."""


def keyspace(issuer: str, name: str) -> str:
    """Return the key `name` of this issuer: `keyturn:{8 hex}:name`, all in one hash slot."""
    owner = hashlib.sha256(issuer.encode()).hexdigest()[:8]
    return f"keyturn:{{{owner}}}:{name}"


@dataclass(slots=True, eq=False)
class Cache:
    """One Redis server, or none at all; every method raises `CacheUnavailable` and nothing else."""

    settings: RedisSettings
    metrics: Metrics
    clock: Clock
    _lines: ConnectionPool | None = field(init=False, repr=False)
    _idle: deque[AbstractConnection] = field(init=False, repr=False, default_factory=deque)
    _turn: asyncio.Semaphore = field(init=False, repr=False)
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        """Read the URL; nothing is connected before the first call."""
        url = self.settings.url
        # The pool is only the driver's reader of URLs and maker of connections.
        self._lines = None if url is None else _maker(url.get_secret_value())
        self._turn = asyncio.Semaphore(MOST_CONNECTIONS)
        self.breaker = Breaker(
            self.clock, self.settings.breaker_failures, self.settings.breaker_pause
        )

    @property
    def is_configured(self) -> bool:
        """Whether there is a server to ask; without one every call fails at once, uncounted."""
        return self._lines is not None

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
    ) -> Any:
        """Run a Lua script, by its digest when the server knows it; KEYS and ARGV as given.

        `operation` is what the metrics name it.
        """
        rest = (len(keys), *keys, *args)
        async with self._deadline(operation):
            try:
                return await self._timed(operation, ("EVALSHA", _digest(script), *rest))
            except NoScriptError:
                return await self._timed(operation, ("EVAL", script, *rest))

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
        self._lines = None
        await self._hang_up(*self._idle)

    @asynccontextmanager
    async def _deadline(self, operation: str) -> AsyncIterator[None]:
        """Refuse while open; end the block in time; say what went wrong in one word, no secret."""
        if self._lines is None:
            raise CacheUnavailable("no Redis is configured")
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

    async def _timed(self, operation: str, command: Sequence[Argument]) -> Any:
        began = self.clock.monotonic()
        reply = await self._ask(command)
        self.metrics.redis_operations[operation].observe(self.clock.monotonic() - began)
        return reply

    async def _ask(self, command: Sequence[Argument]) -> Any:
        async with self._turn:
            line = self._line()
            try:
                await line.send_command(*command)
                reply = await line.read_response()
            except ResponseError as error:
                if isinstance(error, ReadOnlyError):
                    # Demoted under us: only new connections can find the new primary.
                    await self._hang_up(line, *self._idle)
                else:
                    self._idle.append(line)
                raise
            except TROUBLE:
                await self._hang_up(line, *self._idle)
                raise
            except BaseException:
                await self._hang_up(line)
                raise
            self._idle.append(line)
            return reply

    def _line(self) -> AbstractConnection:
        if self._idle:
            return self._idle.pop()
        if self._lines is None:
            raise CacheUnavailable("closed")
        line: AbstractConnection = self._lines.make_connection()  # type: ignore[no-untyped-call]
        return line

    async def _hang_up(self, *lines: AbstractConnection) -> None:
        for line in lines:
            if line in self._idle:
                self._idle.remove(line)
            await line.disconnect(nowait=True)


def _maker(url: str) -> ConnectionPool:
    # Without `driver_info` each connection reads the driver's package metadata, blocking the loop.
    return ConnectionPool.from_url(
        url, protocol=2, socket_timeout=None, socket_connect_timeout=None, driver_info=None
    )


@lru_cache(maxsize=64)
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
