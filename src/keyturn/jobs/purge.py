"""Deletes what has expired, in batches small enough to hold nobody up."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from keyturn.clock import Clock
from keyturn.db.pool import Database
from keyturn.jobs.leader import Leadership
from keyturn.revocation import record
from keyturn.sessions import purge as sessions
from keyturn.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows are gone, by table."""

    sessions: int
    revocations: int


@dataclass(frozen=True, slots=True)
class Purge:
    """One purge; `batch` bounds the rows of one statement."""

    database: Database
    metrics: Metrics
    clock: Clock
    batch: int

    async def run(self) -> Purged:
        """Delete everything that has expired by now. Raises `Unavailable`; begin again then."""
        # The process clock only bounds the range of ids; the rows' own expiry is the database's.
        now = self.clock.now()
        purged = Purged(
            sessions=await self._all(
                "sessions", sessions.purge_expired(self.database, now, self.batch)
            ),
            revocations=await self._all("revocations", self._revocations()),
        )
        self.metrics.purge_success.set(self.clock.now().timestamp())
        return purged

    async def _revocations(self) -> AsyncIterator[int]:
        while deleted := await record.purge_expired(self.database, self.batch):
            yield deleted

    async def _all(self, table: str, batches: AsyncIterator[int]) -> int:
        total = 0
        async for deleted in batches:
            self.metrics.purged(table, deleted)
            total += deleted
        return total


@dataclass(frozen=True, slots=True)
class PurgeExpired:
    """The job: the purge, in the process that leads."""

    purge: Purge
    leadership: Leadership

    async def run_once(self) -> None:
        """Purge, if it is ours to do. Raises `Unavailable`."""
        if await self.leadership.leads("purge"):
            await self.purge.run()
