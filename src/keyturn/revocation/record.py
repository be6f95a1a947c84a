"""The rows: written in the transaction that takes the right away, deleted when nobody needs them.

`sid` ends a session and every access token of it; `jti` ends one access token.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self, TypeAlias

from keyturn.db.pool import Row, Statements
from keyturn.db.queries import load_queries
from keyturn.settings import LONGEST_ACCESS_TOKEN

SQL = load_queries(__package__, "revocations.sql")

Kind: TypeAlias = Literal["sid", "jti"]

LIFETIME = timedelta(seconds=LONGEST_ACCESS_TOKEN) + timedelta(minutes=5)
"""A revocation outlives every access token that was signed before it, and clock skew."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One row, as the copy in Redis holds it; times in Unix microseconds."""

    member: str
    """`kind:id`."""
    revoked_at: int
    expires_at: int

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from a row of `since`."""
        return cls(f"{row['kind']}:{row['id']}", row["revoked_at"], row["expires_at"])


@dataclass(frozen=True, slots=True)
class Horizon:
    """What the database said at one moment, in Unix microseconds of its clock.

    Whatever had been committed by `now` is seen by every later statement. Whatever will be
    committed later has a `revoked_at` of at least `settled`.
    """

    now: int
    settled: int


async def write(tx: Statements, kind: Kind, ids: Sequence[str]) -> None:
    """Record that these ended, now, in the caller's transaction; again is no harm.

    After the commit the caller announces them: `Revocations.announce`. Raises `Unavailable`.
    """
    if ids:
        await tx.execute(SQL["write"], kind, list(ids), LIFETIME)


async def horizon(database: Statements) -> Horizon:
    """Ask for the time, and before which no row can come to light. Raises `Unavailable`."""
    [row] = await database.fetch(SQL["horizon"], LIFETIME)
    return Horizon(row["now"], row["settled"])


async def since(database: Statements, moment: float, size: int) -> AsyncIterator[Sequence[Revoked]]:
    """Yield what was revoked since `moment` and is in force, oldest first, `size` rows at a time.

    A page is as old as its own statement. Raises `Unavailable`.
    """
    place = (moment, "", "")
    while rows := await database.fetch(SQL["since"], *place, size):
        yield [Revoked.from_row(row) for row in rows]
        if len(rows) < size:
            return
        place = (rows[-1]["revoked_at"], rows[-1]["kind"], rows[-1]["id"])


async def purge_expired(database: Statements, limit: int) -> int:
    """Delete at most `limit` expired revocations and return how many. Raises `Unavailable`."""
    return await database.execute(SQL["purge_expired"], LIFETIME, limit)
