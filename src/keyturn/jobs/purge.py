"""Deletes what has expired, in batches small enough to hold nobody up."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from keyturn.authorizations import codes, device_codes, requests
from keyturn.clock import Clock
from keyturn.creations import creations
from keyturn.db.pool import Database, Statements
from keyturn.jobs.leader import Leadership
from keyturn.logins import logins
from keyturn.replays import replays
from keyturn.revocation import record
from keyturn.sessions import purge as sessions
from keyturn.telemetry.metrics import Metrics

PurgeBatch = Callable[[Statements, int], Awaitable[int]]
"""Deletes at most so many rows and says how many."""


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows are gone, by table."""

    sessions: int
    revocations: int
    logins: int = 0
    requests: int = 0
    codes: int = 0
    device_codes: int = 0
    replays: int = 0
    creations: int = 0


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
            revocations=await self._all("revocations", self._repeated(record.purge_expired)),
            logins=await self._all("logins", self._repeated(logins.purge_expired)),
            requests=await self._all(
                "authorization_requests", self._repeated(requests.purge_expired)
            ),
            codes=await self._all("authorization_codes", self._repeated(codes.purge_expired)),
            device_codes=await self._all(
                "device_authorizations", self._repeated(device_codes.purge_expired)
            ),
            replays=await self._all("replays", self._repeated(replays.purge_expired)),
            creations=await self._all("creations", self._repeated(creations.purge_expired)),
        )
        self.metrics.purge_success.set(self.clock.now().timestamp())
        return purged

    async def _repeated(self, purge: PurgeBatch) -> AsyncIterator[int]:
        while deleted := await purge(self.database, self.batch):
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
