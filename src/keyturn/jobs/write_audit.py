"""Puts audit events into PostgreSQL in batches; while it is away, they wait in the queue."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from keyturn.audit.trail import SQL
from keyturn.clock import Clock
from keyturn.db.pool import Database
from keyturn.errors import Unavailable
from keyturn.telemetry.audit import Audit, Recorded
from keyturn.telemetry.metrics import Metrics

MOST_AT_ONCE = 500
MONTHS_AHEAD = 3
LONGEST_PAUSE = 5.0
"""Seconds between two attempts while the database is away."""

PARTITION_INTERVAL = 86_400.0
"""Seconds between two looks at the partitions."""

PARTITION_RETRY = 600.0
"""Seconds until partitions that could not be made are tried again."""

log = structlog.get_logger("keyturn.jobs")


@dataclass(frozen=True, slots=True)
class Dated:
    """An event with the database's time of its happening, the same at each attempt."""

    recorded: Recorded
    at: datetime


@dataclass(slots=True, eq=False)
class WriteAudit:
    """The writing job of one process; batches never overlap."""

    database: Database
    audit: Audit
    metrics: Metrics
    clock: Clock
    interval: float
    """Seconds between two batches."""
    _batch: list[Dated] = field(default_factory=list)
    _partitions_due: float = float("-inf")
    _flushing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Write what is queued, again and again, until cancelled; trouble is told once."""
        pause = self.interval
        while True:
            await self._make_partitions()
            try:
                await self.flush()
            except Unavailable as error:
                if pause == self.interval:
                    log.warning("write_audit_failing", reason=error.detail)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                pause = self.interval
            await asyncio.sleep(pause)

    async def flush(self) -> None:
        """Write everything that is queued. Raises `Unavailable`; nothing is lost then."""
        async with self._flushing:
            while self._batch or self.audit.waiting():
                await self._write_batch()

    async def close(self, seconds: float) -> None:
        """Write what is left within `seconds`, at the end of the process; count what is lost."""
        try:
            async with asyncio.timeout(seconds):
                await self.flush()
        except (TimeoutError, Unavailable) as error:
            log.warning("write_audit_failing", reason=type(error).__name__)
            self.audit.lose("shutdown", self.unwritten())

    def unwritten(self) -> int:
        """Return how many events are not in the database yet."""
        return len(self._batch) + self.audit.waiting()

    async def _write_batch(self) -> None:
        if not self._batch:
            self._batch = await self._date(MOST_AT_ONCE)
        try:
            await self._insert(self._batch)
        except Unavailable:
            raise
        except Exception:
            # Not trouble but a statement PostgreSQL refuses: it would refuse it for ever.
            log.exception("audit_batch_refused", events=len(self._batch))
            await self._insert_one_by_one()
        self._batch = []

    async def _insert_one_by_one(self) -> None:
        while self._batch:
            try:
                await self._insert(self._batch[:1])
            except Unavailable:
                raise
            except Exception:
                log.exception("audit_event_refused", type=self._batch[0].recorded.event.type)
                self.audit.lose("refused")
            del self._batch[0]

    async def _date(self, most: int) -> list[Dated]:
        """Take events from the queue and date them by the database's clock."""
        row = await self.database.fetch_row(SQL["clock"])
        if row is None:
            raise Unavailable("clock: no row")
        ticks = self.clock.monotonic()
        return [
            Dated(
                recorded,
                row["now"] - timedelta(seconds=max(0.0, ticks - recorded.recorded_at)),
            )
            for recorded in self.audit.take(most)
        ]

    async def _insert(self, batch: Sequence[Dated]) -> None:
        events = [dated.recorded.event for dated in batch]
        await self.database.execute(
            SQL["write"],
            [dated.recorded.id for dated in batch],
            [dated.at for dated in batch],
            [event.type for event in events],
            [event.result for event in events],
            [event.user_id for event in events],
            [event.client_id for event in events],
            [event.session_id for event in events],
            [event.ip for event in events],
            [event.request_id for event in events],
            [dict(event.detail) for event in events],
            [str(event.actor) for event in events],
        )
        for event in events:
            self.metrics.audit_events(event.type)

    async def _make_partitions(self) -> None:
        """Make the next months, when it is time to; a failure is told and costs no event."""
        now = self.clock.monotonic()
        if now < self._partitions_due:
            return
        # A role without CREATE, or a dump that holds the default partition: that one takes the
        # events meanwhile.
        self._partitions_due = now + PARTITION_RETRY
        try:
            row = await self.database.fetch_row(SQL["make_partitions"], MONTHS_AHEAD)
        except Unavailable as error:
            log.warning("audit_partitions_not_made", reason=error.detail)
        except Exception:
            log.exception("audit_partitions_not_made")
        else:
            self._partitions_due = now + PARTITION_INTERVAL
            if row is not None and row["made"]:
                log.info("audit_partitions_made", made=row["made"])


async def write_now(database: Database, audit: Audit, metrics: Metrics, clock: Clock) -> None:
    """Write what a command recorded before it ends. Raises `Unavailable`: so much is lost."""
    writer = WriteAudit(database, audit, metrics, clock, interval=0)
    try:
        await writer.flush()
    except Unavailable as trouble:
        lost = f"{writer.unwritten()} audit events not written"
        raise Unavailable(f"{trouble.detail}; {lost}") from trouble
