"""Expired sessions are deleted: a range of the primary key, since ids are in order of expiry."""

from collections.abc import AsyncIterator
from datetime import datetime

from keyturn.crypto import opaque
from keyturn.db.pool import Statements
from keyturn.db.queries import load_queries
from keyturn.sessions.end import FIRST

SQL = load_queries(__package__, "sessions.sql")


async def purge_expired(database: Statements, now: datetime, batch: int) -> AsyncIterator[int]:
    """Delete every session past its absolute expiry; yield how many of each `batch` looked at.

    Revoked ones stay until then: "revoked" and "never heard of" must remain different things.
    `now` bounds the ids that are looked at; `expires_at`, by the database's clock, decides.
    Raises `Unavailable`.
    """
    last, floor = FIRST, opaque.session_id_floor(now)
    # Each batch begins where the last one ended: what is deleted stays in the index, to be read
    # again by whoever comes along, as long as anybody's snapshot is older.
    while last is not None:
        row = await database.fetch_row(SQL["purge_expired"], last, floor, batch)
        last = None if row is None else row["last"]
        yield 0 if row is None else row["deleted"]
