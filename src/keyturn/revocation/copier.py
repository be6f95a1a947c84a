"""Keeps the copy in Redis complete: the one writer of `upto`.

Each round reads `upto`, then PostgreSQL, then writes what is new together with the next `upto`,
in one script that refuses if the set changed meanwhile. So whatever happens to the set between
two rounds, or within one, is noticed before anybody is told that it is complete. When `upto` is
missing, junk, or later than the database's own time (an older backup, a clock that stepped
back), everything is copied into a new set, which then takes the place of the old one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from keyturn.crypto import opaque
from keyturn.db.pool import Database
from keyturn.revocation import record
from keyturn.revocation.cache import BATCH
from keyturn.revocation.copy import LATEST, MICROSECONDS, Copy, Mark
from keyturn.revocation.record import Recent, Revoked
from keyturn.telemetry.metrics import Metrics

OVERLAP = 30 * MICROSECONDS
"""Rows are read again from so long before `upto`: a transaction commits after its rows' time."""


@dataclass(slots=True, eq=False)
class Copier:
    """One process's copier; the leader runs rounds, and two at once would do no harm."""

    database: Database
    copy: Copy
    metrics: Metrics
    _upto: int | None = field(default=None, init=False)
    _written: frozenset[str] = field(default=frozenset(), init=False)
    """Members read in the last round: in the set, as long as `upto` is what we wrote then."""

    async def run_round(self) -> bool:
        """Copy what is new; False when the set changed meanwhile, for the next round to see to.

        Raises `Unavailable` and `CacheUnavailable`; nothing is half done then.
        """
        mark = await self.copy.read()
        if mark.upto is None:
            return await self._copy_everything()
        recent = await record.since(self.database, mark.upto - OVERLAP)
        known = self._written if mark.upto == self._upto else frozenset()
        new = _without(recent.rows, known)
        if mark.upto > recent.upto or len(new) > BATCH:
            return await self._copy_everything()
        return await self._copy_new(mark, recent, new)

    async def _copy_new(self, mark: Mark, recent: Recent, new: Sequence[Revoked]) -> bool:
        added = await self.copy.add(mark, recent.upto, new)
        if added is None:
            return False
        self._remember(recent)
        for row in new:
            if row.member in added:
                # Its revoker could not reach Redis: the copy lacked it until now.
                seconds = max(recent.upto - row.revoked_at, 0) / MICROSECONDS
                self.metrics.revocation_propagation.observe(seconds)
        return True

    async def _copy_everything(self) -> bool:
        staging = f"{self.copy.key}:{opaque.token_urlsafe(9)}"
        begun = (await record.since(self.database, LATEST)).upto
        size, staged = 0, set[str]()
        async for page in record.pages(self.database, BATCH):
            size += await self.copy.stage(staging, page)
            staged.update(row.member for row in page if row.revoked_at >= begun - OVERLAP)
        while True:
            mark = await self.copy.read()
            recent = await record.since(self.database, begun - OVERLAP)
            new = _without(recent.rows, staged)
            if len(new) <= BATCH:
                break
            size += await self.copy.stage(staging, new[:BATCH])
            staged.update(row.member for row in new[:BATCH])
        done = await self.copy.replace(mark, recent.upto, (staging, size), new)
        if done:
            self._remember(recent)
        return done

    def _remember(self, recent: Recent) -> None:
        self._upto = recent.upto
        self._written = frozenset(row.member for row in recent.rows)


def _without(rows: Iterable[Revoked], known: frozenset[str] | set[str]) -> list[Revoked]:
    return [row for row in rows if row.member not in known]
