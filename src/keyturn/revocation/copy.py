"""The copier's words to Redis: read how far the set goes, add rows, claim that it is complete."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import isfinite

from keyturn.cache.client import Cache
from keyturn.cache.lines import Argument
from keyturn.revocation.record import Horizon, Revoked
from keyturn.revocation.scripts import ADD, CLAIM, READ, REPLACE, STAGE

MICROSECONDS = 1_000_000

BOUND = 2.5
"""Seconds after its commit within which a revocation is in force everywhere, whatever fails.

A claim is `Copy.patience` seconds old at most when it is written, and is believed for the time of
the setting `revocation.trust` after that: together they are this long.
"""

STAGING_MILLISECONDS = 60_000
"""A copy that was given up goes away by itself."""


class Outcome(Enum):
    """What became of a claim; the values are the labels of the metric."""

    COPIED = "copied"
    LATE = "late"
    """Reading PostgreSQL took too long for the claim to be worth anything."""
    OVERTAKEN = "overtaken"
    """The set is no longer the one that was read."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the set said: two times as Redis writes them, and when, by the clock of that Redis."""

    text: bytes
    read_at: bytes
    epoch: int = 0
    """Which server that was: another one's clock is not to be compared with this one's."""

    def settled_by(self, now: int) -> int | None:
        """Return the time before which nothing is missing from the set.

        None when the mark says nothing that can be true while the database tells the time `now`.
        """
        upto, settled = map(_time, self.text.split(b" "))
        return None if upto is None or settled is None or max(upto, settled) > now else int(settled)


@dataclass(slots=True)
class Staged:
    """A set nobody reads yet."""

    key: str
    size: int = 0
    settled: int = 0
    """The time before which nothing is missing from it."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The set in Redis. Everything raises `CacheUnavailable`."""

    cache: Cache
    key: str
    patience: float
    """Seconds after which a reading is too old to rest a claim on."""

    async def read(self) -> Mark:
        """Return how far the set says it goes."""
        epoch = self.cache.epoch
        text, read_at = await self._read()
        if epoch != self.cache.epoch:
            # The server was found, or changed, by this question: which one answered is not known.
            epoch = self.cache.epoch
            text, read_at = await self._read()
        return Mark(text, read_at, epoch)

    async def _read(self) -> tuple[bytes, bytes]:
        text, read_at = await self.cache.eval(READ, [self.key], operation="copy")
        return text, read_at

    async def add(
        self, mark: Mark, settled: int, rows: Sequence[Revoked]
    ) -> tuple[Mark, list[Revoked]] | None:
        """Add rows and move `settled`, if this is the set's mark; that claims nothing yet.

        Return the set's next mark, and the rows that were not there; None when overtaken.
        """
        args: list[Argument] = [mark.text, settled, *_pairs(rows)]
        reply = await self.cache.eval(ADD, [self.key], args, operation="copy")
        if reply is None:
            return None
        text, added = reply
        return replace(mark, text=text), [rows[int(place)] for place in added.split()]

    async def claim(self, mark: Mark, horizon: Horizon) -> Outcome:
        """Say that the set with this mark has everything as of `horizon`; trim what has expired."""
        return await self._ask(CLAIM, [self.key], self._claim(mark, horizon), mark.epoch)

    async def stage(self, staged: Staged, rows: Sequence[Revoked]) -> None:
        """Add rows to a set nobody reads yet."""
        arguments: list[Argument] = [STAGING_MILLISECONDS, *_pairs(rows)]
        staged.size += await self.cache.eval(STAGE, [staged.key], arguments, operation="copy")

    async def replace(self, mark: Mark, horizon: Horizon, staged: Staged) -> Outcome:
        """Put a staged set, which has everything as of `horizon`, in the place of the marked one.

        Overtaken also when the staged set has not all its members any more.
        """
        args = [*self._claim(mark, horizon), staged.size]
        return await self._ask(REPLACE, [self.key, staged.key], args, mark.epoch)

    def _claim(self, mark: Mark, horizon: Horizon) -> list[Argument]:
        age = int(self.patience * MICROSECONDS)
        return [mark.text, mark.read_at, age, horizon.now, horizon.settled]

    async def _ask(
        self, script: str, keys: Sequence[str], args: Sequence[Argument], epoch: int
    ) -> Outcome:
        answer = await self.cache.eval(script, keys, args, operation="copy", epoch=epoch)
        return Outcome(answer.decode())


def _time(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value > 0 and isfinite(value) else None


def _pairs(rows: Iterable[Revoked]) -> list[Argument]:
    return [value for row in rows for value in (row.expires_at, row.member)]
