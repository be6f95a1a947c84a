"""Asks the dependencies whether they answer, and the event loop whether it keeps up."""

import asyncio
from dataclasses import dataclass

from keyturn.cache.client import Cache
from keyturn.db.pool import Database
from keyturn.db.queries import load_queries
from keyturn.errors import CacheUnavailable, Unavailable
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.vitals import Vitals

SQL = load_queries(__package__, "probe.sql")

INTERVAL = 2.0
"""Seconds between two probes."""

TICK = 0.25
"""Seconds between two looks at the loop's lag."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The probing job; `cache` is None, or not configured, where there is none."""

    database: Database
    cache: Cache | None
    vitals: Vitals
    metrics: Metrics

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_loop())
            tasks.create_task(self._watch_dependencies())

    async def ask(self) -> None:
        """Ask each dependency once and note what it said."""
        self.vitals.note_dependency("postgres", await self._ask_database())
        if self.cache is not None and self.cache.is_configured:
            self.vitals.note_dependency("redis", await self._ask_cache(self.cache))

    async def _watch_loop(self) -> None:
        while True:
            self.vitals.note_tick(TICK)
            await asyncio.sleep(TICK)

    async def _watch_dependencies(self) -> None:
        while True:
            await self.ask()
            await asyncio.sleep(INTERVAL)

    async def _ask_database(self) -> str:
        asked_at = self.vitals.clock.now()
        try:
            row = await self.database.fetch_row(SQL["ping"])
        except Unavailable as error:
            return error.detail
        if row is not None:
            # It was read half-way there and back, give or take what the way took.
            halfway = (self.vitals.clock.now() - asked_at) / 2
            self.metrics.clock_skew.set((row["now"] - asked_at - halfway).total_seconds())
        return ""

    async def _ask_cache(self, cache: Cache) -> str:
        try:
            await cache.execute("PING")
        except CacheUnavailable as error:
            return str(error) or "no answer"
        return ""
