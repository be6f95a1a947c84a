"""The rows: written in the transaction that takes the right away, deleted when nobody needs them.

`sid` ends a session and every access token of it; `jti` ends one access token.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self, TypeAlias

from keyturn.db.pool import Database, Row, Statements
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
        """Build from a row of `since` or `page`."""
        return cls(row["member"], row["revoked_at"], row["expires_at"])


@dataclass(frozen=True, slots=True)
class Recent:
    """All that was revoked since a moment, as of `upto` (the database's time, microseconds)."""

    upto: int
    rows: tuple[Revoked, ...]


async def write(tx: Statements, kind: Kind, ids: Sequence[str]) -> None:
    """Record that these ended, now, in the caller's transaction; again is no harm.

    After the commit the caller announces them: `Revocations.announce`. Raises `Unavailable`.
    """
    if ids:
        await tx.execute(SQL["write"], kind, list(ids), LIFETIME)


async def since(database: Statements, moment: float) -> Recent:
    """Return what was revoked since `moment` (Unix microseconds). Raises `Unavailable`."""
    rows = await database.fetch(SQL["since"], moment)
    return Recent(
        rows[0]["upto"], tuple(Revoked.from_row(row) for row in rows if row["member"] is not None)
    )


async def pages(database: Database, size: int) -> AsyncIterator[Sequence[Revoked]]:
    """Yield every revocation in force, `size` at a time; what commits meanwhile may be missing."""
    last = ("", "")
    while rows := await database.fetch(SQL["page"], *last, size):
        yield [Revoked.from_row(row) for row in rows]
        last = (rows[-1]["kind"], rows[-1]["id"])


async def purge_expired(database: Statements, limit: int) -> int:
    """Delete at most `limit` expired revocations and return how many. Raises `Unavailable`."""
    return await database.execute(SQL["purge_expired"], LIFETIME, limit)
