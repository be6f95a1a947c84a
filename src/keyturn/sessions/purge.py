"""Expired sessions are deleted: a range of the primary key, since ids are in order of expiry."""

from datetime import datetime

from keyturn.crypto import opaque
from keyturn.db.pool import Statements
from keyturn.db.queries import load_queries

SQL = load_queries(__package__, "sessions.sql")


async def purge_expired(database: Statements, now: datetime, limit: int) -> int:
    """Delete at most `limit` sessions past their absolute expiry and return how many.

    Revoked ones stay until then: "revoked" and "never heard of" must remain different things.
    `now` bounds the ids that are looked at; `expires_at`, by the database's clock, decides.
    Raises `Unavailable`.
    """
    return await database.execute(SQL["purge_expired"], opaque.session_id_floor(now), limit)
