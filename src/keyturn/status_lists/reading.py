"""Brings what a process knows up to date: the news where it can, else everything.

What is revoked now is dated now and seen when its transaction commits, which may be much later.
So a reading begins where the one before had settled, as the copier to Redis does, and a little
earlier, for a clock that was set back unnoticed. It begins with nothing when it cannot tell that it
speaks to the database that the one before spoke to: time or numbers have gone backwards (a standby
was promoted that had not heard the last of it, and gives the same indices to other sessions), the
last reading failed, or it is long ago.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from keyturn.db.pool import Database
from keyturn.db.queries import load_queries
from keyturn.revocation import record
from keyturn.revocation.copier import OVERLAP
from keyturn.revocation.record import Horizon
from keyturn.revocation.record import Revoked as Row
from keyturn.status_lists.known import Known, Revoked

SQL = load_queries(__package__, "status_lists.sql")

SESSION: Final = "sid:"
PAGE: Final = 1000
"""Revocations taken in at once: some ten milliseconds, in which nobody else is served."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads revoked sessions. Raises `Unavailable`, after which `known` is good for nothing."""

    database: Database

    async def after(self, known: Known | None) -> Known:
        """Return what is known now: `known` itself, gone on with, or something new."""
        horizon = await record.horizon(self.database)
        last_index = await self._last_index()
        if known is None or not _continues(known, horizon, last_index):
            known = Known(Horizon(horizon.now, 0), last_index)
        start = known.horizon.settled - OVERLAP
        async for page in record.since(self.database, start, PAGE):
            known.add(await self._placed(page))
        # What was settled once is settled for ever, also while a writer hides when it began.
        settled = max(known.horizon.settled, horizon.settled)
        known.advance(Horizon(horizon.now, settled), last_index, settled - OVERLAP)
        return known

    async def _last_index(self) -> int:
        [row] = await self.database.fetch(SQL["reach"])
        return int(row["last_value"])

    async def _placed(self, page: Sequence[Row]) -> list[Revoked]:
        sessions = [one for one in page if one.member.startswith(SESSION)]
        names = [one.member.removeprefix(SESSION) for one in sessions]
        [row] = await self.database.fetch(SQL["indices"], names)
        return [
            Revoked(place, one.revoked_at, one.expires_at)
            for place, one in zip(row["indices"], sessions, strict=True)
            if place is not None
        ]


def _continues(known: Known, horizon: Horizon, last_index: int) -> bool:
    return horizon.now >= known.horizon.now and last_index >= known.last_index
