"""Whether what is good once was used before: one statement, so that of two who try one is first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keyturn.crypto import opaque
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries

SQL = load_queries(__package__, "replays.sql")

_BETWEEN: Final = b"\x00"


@dataclass(frozen=True, slots=True)
class Replays:
    """What was used already, for as long as it could be used again."""

    database: Database

    async def is_first(self, kind: str, *parts: str, until: datetime) -> bool:
        """Note a use, and return whether it is the first one.

        `parts` are what the id belongs to, and the id: two clients may have one id each, as may a
        proof and an assertion. `until` is when the thing itself expires. Raises `Unavailable`.
        """
        digest = opaque.sha256(_BETWEEN.join(part.encode() for part in (kind, *parts)))
        return await self.database.execute(SQL["use"], digest, until) == 1


async def purge_expired(database: Statements, limit: int) -> int:
    """Delete at most `limit` ids that nobody could use any more; return how many."""
    return await database.execute(SQL["purge"], limit)
