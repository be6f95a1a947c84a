"""Twice a second: the leader copies revocations to Redis, and every process watches the copy.

Without a Redis there is no copy, and nothing to do.
"""

from dataclasses import dataclass, field

from keyturn.errors import CacheUnavailable, Unavailable
from keyturn.jobs.leader import Leadership
from keyturn.revocation.cache import RevocationCache
from keyturn.revocation.copier import Copier

POST = "copy_revocations"

ROUNDS = 3
"""A leader that failed so often in a row resigns, and does not apply for as many rounds."""


@dataclass(slots=True, eq=False)
class CopyRevocations:
    """One round of the copier, in the process that leads.

    A leader that cannot do its work, cut off from Redis or too slow to be believed, leaves it to
    another replica: each of them applies every round.
    """

    copier: Copier
    leadership: Leadership
    _failures: int = field(default=0, init=False)
    _rest: int = field(default=0, init=False)

    async def run_once(self) -> None:
        """Copy what is new. Raises `Unavailable`, `CacheUnavailable`."""
        if not self.copier.copy.cache.is_configured:
            return
        if self._rest:
            self._rest -= 1
        elif await self.leadership.leads(POST):
            await self._lead()

    async def _lead(self) -> None:
        try:
            done = await self.copier.run_round()
        except (Unavailable, CacheUnavailable):
            self.copier.metrics.revocation_copies("failed")
            await self._note(done=False)
            raise
        await self._note(done=done)

    async def _note(self, *, done: bool) -> None:
        self._failures = 0 if done else self._failures + 1
        if self._failures == ROUNDS:
            self._failures, self._rest = 0, ROUNDS
            await self.leadership.leave(POST)


@dataclass(frozen=True, slots=True)
class WatchRevocations:
    """One look at the copy, so that a process without traffic trusts it from its first token on."""

    cache: RevocationCache

    async def run_once(self) -> None:
        """Look. Raises `CacheUnavailable`."""
        if self.cache.cache.is_configured:
            await self.cache.watch()
