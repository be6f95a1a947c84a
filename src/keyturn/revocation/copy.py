"""The copier's words to Redis: read how far the set goes, add rows, put a whole set in place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from keyturn.cache.client import Argument, Cache
from keyturn.revocation.record import Revoked
from keyturn.revocation.scripts import ADD, READ, REPLACE, STAGE

MICROSECONDS = 1_000_000

LATEST = 4_000_000_000 * MICROSECONDS
"""No database tells a time after 2096; a larger `upto` is junk."""

STAGING_MILLISECONDS = 60_000
"""A copy that was given up goes away by itself."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the set said: `upto` as Redis writes it, and when, by the clock of Redis."""

    text: bytes
    read_at: bytes

    @property
    def upto(self) -> float | None:
        """The time up to which the set is complete; None when it says nothing usable."""
        try:
            value = float(self.text)
        except ValueError:
            return None
        return value if isfinite(value) and 0 < value < LATEST else None


@dataclass(frozen=True, slots=True)
class Copy:
    """The set in Redis. Everything raises `CacheUnavailable`."""

    cache: Cache
    key: str
    patience: float
    """Seconds after which a reading is too old to rest a write on."""

    async def read(self) -> Mark:
        """Return how far the set says it is complete."""
        text, read_at = await self.cache.eval(READ, [self.key])
        return Mark(text, read_at)

    async def add(self, mark: Mark, upto: int, rows: Sequence[Revoked]) -> frozenset[str] | None:
        """Add rows and move `upto`, if it still is as `mark` says; trim what has expired.

        Returns the members that were not there, None when refused.
        """
        start = self._start(mark, upto)
        added = await self.cache.eval(ADD, [self.key], start + _pairs(rows))
        return None if added is None else frozenset(member.decode() for member in added)

    async def stage(self, staging: str, rows: Sequence[Revoked]) -> int:
        """Add rows to a set nobody reads yet; return how many it did not have."""
        arguments: list[Argument] = [STAGING_MILLISECONDS]
        return int(await self.cache.eval(STAGE, [staging], arguments + _pairs(rows)))

    async def replace(
        self, mark: Mark, upto: int, staging: tuple[str, int], rows: Sequence[Revoked]
    ) -> bool:
        """Complete the staged set (its key, its size) with rows, and put it in place of this one.

        False when `upto` is no longer as `mark` says, or something is missing from the staged set.
        """
        name, size = staging
        start = [*self._start(mark, upto), size]
        return bool(await self.cache.eval(REPLACE, [self.key, name], start + _pairs(rows)))

    def _start(self, mark: Mark, upto: int) -> list[Argument]:
        return [mark.text, mark.read_at, int(self.patience * MICROSECONDS), upto]


def _pairs(rows: Iterable[Revoked]) -> list[Argument]:
    return [value for row in rows for value in (row.expires_at, row.member)]
