"""Each minute: how many sessions are live, what the purge has left, which schema there is.

Counted here and not at a scrape, by the process that leads, because a scrape must cost nothing:
there may be several Prometheus servers, and many replicas. Of millions of sessions a sample is
read: 1,000 pages at most, whatever the table holds.
"""

from dataclasses import dataclass

from keyturn.authorizations import codes, device_codes
from keyturn.db.migrate import applied_version
from keyturn.db.pool import Database
from keyturn.db.queries import load_queries
from keyturn.errors import Unavailable
from keyturn.jobs.leader import Leadership
from keyturn.revocation import record
from keyturn.telemetry.labels import EXPIRING
from keyturn.telemetry.metrics import Metrics

SQL = load_queries(__package__, "census.sql")

POST = "census"
INTERVAL = 60.0

MOST_PAGES = 1000
"""Pages of the table of sessions that one census reads; tables that have no more are counted."""

MOST_ROWS = 100_000
"""Expired rows that are counted of any other table."""

WHOLE = 100.0


@dataclass(frozen=True, slots=True)
class Census:
    """The job of one process; only what its `leadership` says decides who counts."""

    database: Database
    leadership: Leadership
    metrics: Metrics
    required_schema: int

    async def run_once(self) -> None:
        """Look at the schema, and count if it is ours to do. Raises `Unavailable`."""
        applied = await applied_version(self.database)
        self.metrics.schema_version.labels("required").set(self.required_schema)
        self.metrics.schema_version.labels("applied").set(applied)
        if applied < self.required_schema:
            return  # what is counted may not be there yet
        if await self.leadership.leads(POST):
            await self._count()
        else:
            # What another process counts now must not be added to what this one counted once.
            self.metrics.sessions_active.set(0)
            for table in EXPIRING:
                self.metrics.expired_rows[table].set(0)

    async def _count(self) -> None:
        size = await self.database.fetch_row(SQL["pages"])
        share = WHOLE if size is None else WHOLE * MOST_PAGES / max(size["pages"], MOST_PAGES)
        sessions = await self.database.fetch_row(SQL["sessions"], share)
        others = await self.database.fetch_row(
            SQL["expired"], MOST_ROWS, record.LIFETIME, codes.KEPT, device_codes.KEPT
        )
        if sessions is None or others is None:
            raise Unavailable("census: no row")
        self.metrics.sessions_active.set(round(sessions["live"] * WHOLE / share))
        self.metrics.expired_rows["sessions"].set(round(sessions["expired"] * WHOLE / share))
        for table, rows in others.items():
            self.metrics.expired_rows[table].set(rows)
