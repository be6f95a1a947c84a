"""Processes that revoke, copy and check, built from the real rules on real servers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from keyturn.cache.client import Cache
from keyturn.clock import Clock, FixedClock
from keyturn.db.pool import Database, Line, Row
from keyturn.db.queries import Query
from keyturn.errors import CacheUnavailable
from keyturn.revocation import record
from keyturn.revocation.cache import RevocationCache, revocations_key
from keyturn.revocation.copier import Copier
from keyturn.revocation.copy import Copy
from keyturn.revocation.revocations import Revocations
from keyturn.settings_redis import RedisSettings
from keyturn.telemetry.metrics import Metrics
from support.patience import patient

ISSUER = "https://id.example.com"
KEY = revocations_key(ISSUER)
TRUST = 2.0
INTERVAL = 0.5


class CountingDatabase(Database):
    """The real pool; counts what is borrowed from it, and can act between question and answer."""

    borrowed = 0
    meanwhile: Callable[[Query], Awaitable[None]] | None = None

    async def acquire(self) -> Line:
        self.borrowed += 1
        return await super().acquire()

    async def fetch(self, query: Query, *args: Any) -> list[Row]:
        rows = await super().fetch(query, *args)
        if self.meanwhile is not None:
            await self.meanwhile(query)
        return rows


def fixed_clock() -> FixedClock:
    """A clock at the real time: announced expiries are made from it."""
    return FixedClock(datetime.now(UTC), ticks=1000.0)


@dataclass
class Process:
    """What one process has: its own pool, its own connections to Redis, its own trust."""

    database: CountingDatabase
    redis: Cache
    cache: RevocationCache
    revocations: Revocations
    copier: Copier
    metrics: Metrics
    clock: Clock

    async def revoke(self, sid: str, *, announce: bool = True) -> None:
        """End a session as rules do: written in a transaction, announced after the commit."""
        async with self.database.transaction() as tx:
            await record.write(tx, "sid", [sid])
        if announce:
            await self.revocations.announce("sid", [sid])

    async def accepts(self, sid: str) -> bool:
        """Whether a token of that session would be accepted."""
        return not (await self.revocations.look_up(sid, "some-token")).revoked

    async def asks_postgresql(self, sid: str = "nobody") -> bool:
        """Whether a check needs a statement; it never needs two."""
        before = self.database.borrowed
        await self.revocations.look_up(sid, "some-token")
        assert self.database.borrowed - before in {0, 1}
        return self.database.borrowed > before

    async def settle(self) -> None:
        """Two rounds of the copier, seen by this process: the cache is trusted after them."""
        for _ in range(2):
            assert await self.copier.run_round()
            await self.tick()

    async def tick(self) -> None:
        """Half a second passes on this process's clock, and it looks at the copy."""
        assert isinstance(self.clock, FixedClock)
        self.clock.advance(timedelta(seconds=INTERVAL))
        with suppress(CacheUnavailable):
            await self.cache.watch()

    def lookups(self, result: str) -> float:
        """The metric of look-ups by result."""
        name = "keyturn_revocation_cache_lookups_total"
        return self.metrics.registry.get_sample_value(name, {"result": result}) or 0.0

    def copies(self, result: str) -> float:
        """The metric of the copier's rounds by result."""
        name = "keyturn_revocation_copies_total"
        return self.metrics.registry.get_sample_value(name, {"result": result}) or 0.0


@asynccontextmanager
async def process(
    database_url: str, redis_url: str | None, clock: Clock | None = None, **redis: Any
) -> AsyncIterator[Process]:
    """Build one process's machinery; `redis` overrides its settings (`timeout`, ...)."""
    clock = clock or fixed_clock()
    metrics = Metrics()
    database = CountingDatabase(patient(database_url, pool_max=4), metrics)
    # A busy machine may need longer than 50 ms for an answer; tests of the deadline set their own.
    url = SecretStr(redis_url) if redis_url else None
    client = Cache(RedisSettings(url=url, **{"timeout": 2.0, **redis}), metrics, clock)
    cache = RevocationCache(client, clock, ISSUER, TRUST)
    copier = Copier(database, Copy(client, KEY, INTERVAL), metrics)
    revocations = Revocations(database, cache, metrics, clock)
    try:
        yield Process(database, client, cache, revocations, copier, metrics, clock)
    finally:
        await client.close()
        await database.close()
