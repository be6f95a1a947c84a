"""Forgets audit events after a while: whole months at once, never one among others."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from keyturn.audit.trail import SQL
from keyturn.db.pool import Database

BATCH = 5000
"""Rows one statement deletes, of those that no month took."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one run of retention dropped."""

    months: Sequence[str] = ()
    """Names of tables: `audit_events_2025_10`."""
    unsorted: int = 0
    """Events of the default partition."""

    @property
    def anything(self) -> bool:
        """Whether there was something to drop."""
        return bool(self.months or self.unsorted)


@dataclass(frozen=True, slots=True)
class Retention:
    """Keeps events for so long, and up to a month longer: a month goes when all of it is older."""

    database: Database
    keep: timedelta

    async def run(self) -> Forgotten:
        """Drop what is older. Raises `Unavailable`, also when others hold the table: try again."""
        months = []
        while month := await self._drop_month():
            months.append(month)
        return Forgotten(months, await self._delete_unsorted())

    async def _drop_month(self) -> str | None:
        row = await self.database.fetch_row(SQL["drop_month"], self.keep)
        return None if row is None else row["month"]

    async def _delete_unsorted(self) -> int:
        total = 0
        while deleted := await self._delete_batch():
            total += deleted
        return total

    async def _delete_batch(self) -> int:
        async with self.database.transaction() as transaction:
            await transaction.fetch_row(SQL["allow_deletion"])
            return await transaction.execute(SQL["delete_unsorted"], self.keep, BATCH)
