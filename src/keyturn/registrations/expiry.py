"""Clients that registered themselves and were never used are closed after a while."""

from dataclasses import dataclass
from datetime import timedelta

from keyturn.clients import statements
from keyturn.db.pool import Database
from keyturn.db.queries import load_queries
from keyturn.telemetry.audit import Audit, AuditEvent

SQL = load_queries(__package__, "registrations.sql")

BATCH = 100


@dataclass(frozen=True, slots=True)
class Expiry:
    """Closes them; `after` is counted from the registration."""

    database: Database
    audit: Audit
    after: timedelta

    async def run(self) -> int:
        """Close everything that is due and return how many. Raises `Unavailable`."""
        total = 0
        while closed := await self._batch():
            total += len(closed)
            for client_id in closed:
                self.audit.record(AuditEvent("client_expired", client_id=client_id))
        return total

    async def _batch(self) -> list[str]:
        async with statements.writing(self.database) as tx:
            rows = await tx.fetch(SQL["end_unused"], self.after, BATCH)
            closed = [row["client_id"] for row in rows]
            for client_id in closed:
                await statements.disable(tx, client_id)
            await statements.announce(tx, closed)
        return closed
