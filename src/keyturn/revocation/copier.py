"""Keeps the copy in Redis complete: the one writer of `upto` and `settled`.

A pass reads the set's mark, then asks PostgreSQL for its time and for what is new, page by page,
then writes each page, and at the end claims that the set is complete: all by scripts that refuse
if the mark changed meanwhile. So whatever happens to the set between two passes, or within one, is
noticed before anybody is told that it is complete. When the mark is missing, junk, or later than
the database's own time (an older backup, a clock that stepped back), everything is copied into a
new set, which then takes the place of the old one.

A pass that took longer than a claim may be held up is followed by another at once. It finds only
what is newer than the first, so that a million revocations take one long pass and a short one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from keyturn.crypto import opaque
from keyturn.db.pool import Database
from keyturn.revocation import record
from keyturn.revocation.cache import BATCH
from keyturn.revocation.copy import MICROSECONDS, Copy, Mark, Outcome, Staged
from keyturn.revocation.record import Horizon, Revoked
from keyturn.telemetry.metrics import Metrics

OVERLAP = 5 * MICROSECONDS
"""A round reads again from so long before `settled`, in case the database's clock was set back by
less than that unnoticed, or that of a new primary is behind the old one's."""

PASSES = 3
"""In one round, before it is given up."""


@dataclass(slots=True, eq=False)
class Copier:
    """One process's copier; the leader runs rounds, and two at once would do no harm.

    It remembers nothing: how far the set goes stands in the set, and changes with it.
    """

    database: Database
    copy: Copy
    metrics: Metrics
    overlap: int = OVERLAP

    async def run_round(self) -> bool:
        """Copy what is new and claim it; False when that was not possible, for the next round.

        Raises `Unavailable` and `CacheUnavailable`; what was copied until then stays.
        """
        staged = Staged(f"{self.copy.key}:{opaque.token_urlsafe(9)}")
        outcome = await self._pass(staged, self.overlap)
        for _ in range(PASSES - 1):
            if outcome is Outcome.LATE:
                outcome = await self._pass(staged, 0)
        self.metrics.revocation_copies(outcome.value)
        return outcome is Outcome.COPIED

    async def _pass(self, staged: Staged, overlap: int) -> Outcome:
        mark = await self.copy.read()
        horizon = await record.horizon(self.database)
        settled = mark.settled_by(horizon.now)
        if settled is None:
            return await self._copy_everything(mark, horizon, staged)
        async for page in record.since(self.database, settled - overlap, BATCH):
            reached = min(horizon.settled, page[-1].revoked_at)
            # No write leaves the mark as it was: a replica that was promoted without the last one
            # would else be taken for complete. To settle less is always true.
            settled = reached if reached > settled else settled - 1
            written = await self.copy.add(mark, settled, page)
            if written is None:
                return Outcome.OVERTAKEN
            mark, late = written
            self._observe(horizon, late)
        return await self.copy.claim(mark, Horizon(horizon.now, max(settled, horizon.settled)))

    async def _copy_everything(self, mark: Mark, horizon: Horizon, staged: Staged) -> Outcome:
        async for page in record.since(self.database, staged.settled, BATCH):
            await self.copy.stage(staged, page)
        staged.settled = horizon.settled
        return await self.copy.replace(mark, horizon, staged)

    def _observe(self, horizon: Horizon, late: Iterable[Revoked]) -> None:
        """Note how late these came: their revokers could not reach Redis."""
        for row in late:
            seconds = max(horizon.now - row.revoked_at, 0) / MICROSECONDS
            self.metrics.revocation_propagation.observe(seconds)
