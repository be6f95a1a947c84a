"""One Redis and every trouble it can have, while sessions are revoked, copied and checked."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import redis.asyncio

from keyturn.dev.valkey import ValkeyServer
from keyturn.errors import CacheUnavailable
from support.proxy import Proxy
from support.revoking import INTERVAL, KEY, Process

BOUND = 2.5
"""Seconds after which nothing revoked may be accepted."""


@dataclass
class Storm:
    """`leader` copies, `wired` revokes through a wire that is cut, `checker` asks all the time."""

    valkey: ValkeyServer
    wire: Proxy
    seed: int
    leader: Process = None  # type: ignore[assignment]
    checker: Process = None  # type: ignore[assignment]
    wired: Process = None  # type: ignore[assignment]
    ended: dict[str, float] = field(default_factory=dict)
    accepted_late: list[tuple[str, float]] = field(default_factory=list)
    refused_others: int = 0
    checks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ends_at: float = 0.0

    async def rage(self, seconds: float) -> None:
        """Let everything run at once for so long; any exception ends it."""
        self.ends_at = time.monotonic() + seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                for work in (self._copy, self._watch, self._revoke, self._check, self._break):
                    tasks.create_task(work())

    @property
    def rages(self) -> bool:
        """Whether to go on: a cancellation may be lost in the driver, which waits by `wait_for`."""
        return time.monotonic() < self.ends_at

    def lookups(self, result: str) -> float:
        """The checker's look-ups by result."""
        return self.checker.lookups(result)

    async def _copy(self) -> None:
        while self.rages:
            with suppress(CacheUnavailable):
                await self.leader.copier.run_round()
            await asyncio.sleep(INTERVAL)

    async def _watch(self) -> None:
        while self.rages:
            for process in (self.checker, self.wired):
                with suppress(CacheUnavailable):
                    await process.cache.watch()
            await asyncio.sleep(INTERVAL)

    async def _revoke(self) -> None:
        for number in range(1_000_000):
            sid = f"{self.seed}-{number}"
            await self.wired.revoke(sid)
            self.ended[sid] = time.monotonic()
            await asyncio.sleep(0.02)

    async def _check(self) -> None:
        """Ask about the sessions that are just old enough, from both sides of the wire."""
        while self.rages:
            await asyncio.sleep(0.005)
            asked_at = time.monotonic()
            old = [(sid, at) for sid, at in self.ended.items() if BOUND < asked_at - at < 2 * BOUND]
            for process in (self.checker, self.wired):
                self.refused_others += not await process.accepts("somebody else")
                for sid, at in old[:: max(1, len(old) // 4)]:
                    self.checks += 1
                    if await process.accepts(sid):
                        self.accepted_late.append((sid, time.monotonic() - at))

    async def _break(self) -> None:
        chance = random.Random(self.seed)
        faults = [self._cut, self._cut, self._flush, self._freeze, self._restart, self._junk]
        faults += [self._evict, self._roll_back]
        while self.rages:
            chance.shuffle(faults)
            for fault in faults:
                await asyncio.sleep(chance.uniform(0.2, 1.2))
                self.faults[fault.__name__] += 1
                await fault(chance.uniform(0.1, 1.5))
                if not self.rages:
                    return

    async def _cut(self, seconds: float) -> None:
        await self.wire.refuse()
        await asyncio.sleep(seconds)
        await self.wire.mend()

    async def _freeze(self, seconds: float) -> None:
        self.valkey.freeze()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.valkey.thaw()

    async def _restart(self, _seconds: float) -> None:
        await self.valkey.restart()

    async def _flush(self, _seconds: float) -> None:
        async with self._operator() as client:
            await client.flushall()

    async def _junk(self, _seconds: float) -> None:
        # At once: the copier may put a good copy there in between.
        async with self._operator() as client, client.pipeline(transaction=True) as both:
            await both.delete(KEY).lpush(KEY, "junk").execute()

    async def _evict(self, _seconds: float) -> None:
        async with self._operator() as client:
            for number in range(1000):
                await client.set(f"filler:{number}", "x" * 10_000)

    async def _roll_back(self, seconds: float) -> None:
        """What a lagging replica holds, put in place after it has lagged for a while."""
        async with self._operator() as client:
            old = await client.dump(KEY)
            await asyncio.sleep(seconds)
            if old is not None:
                await client.restore(KEY, 0, old, replace=True)

    def _operator(self) -> redis.asyncio.Redis:
        return redis.asyncio.from_url(self.valkey.url, protocol=2)
