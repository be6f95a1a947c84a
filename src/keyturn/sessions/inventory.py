"""All sessions, as an operator looks at them: page by page, in the order in which they expire."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from keyturn.clock import Clock
from keyturn.crypto.opaque import session_id_floor
from keyturn.db.pool import Database, Row
from keyturn.db.queries import load_queries
from keyturn.errors import NotFound

SQL = load_queries(__package__, "sessions.sql")

SCANNED: Final = 5000
"""Rows that one page without a user looks at."""


@dataclass(frozen=True, slots=True)
class ListedSession:
    """One session; never a token of it, nor a hash of one."""

    id: UUID
    user_id: UUID
    client_id: str
    login_id: UUID | None
    scopes: Sequence[str]
    audiences: Sequence[str]
    offline: bool
    bound: bool
    """To a DPoP key."""
    auth_time: datetime
    amr: Sequence[str]
    device: str | None
    ip: str | None
    created_at: datetime
    last_used_at: datetime
    ends_at: datetime
    """When it is over if it is not used again."""
    revoked_at: datetime | None
    revoke_reason: str | None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from a row of the queries `describe`, `page_of_user` and `page_in_range`."""
        return cls(**dict(row))


@dataclass(frozen=True, slots=True)
class SessionsPage:
    """Some live sessions, perhaps none, and the id to go on after; None: there are no more."""

    sessions: Sequence[ListedSession]
    last: UUID | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """The sessions of everybody."""

    database: Database
    clock: Clock

    async def get(self, session_id: UUID) -> ListedSession:
        """Return one session, live or not. Raises `NotFound` once it is purged."""
        row = await self.database.fetch_row(SQL["describe"], session_id)
        if row is None:
            raise NotFound("session: no such id")
        return ListedSession.from_row(row)

    async def of_user(
        self, user_id: UUID, client_id: str | None, after: UUID | None, limit: int
    ) -> SessionsPage:
        """Return up to `limit` live sessions of a user, beyond `after`."""
        start = after or UUID(int=0)
        rows = await self.database.fetch(SQL["page_of_user"], user_id, start, client_id, limit)
        return _page(rows, limit, None)

    async def of_client(
        self, client_id: str | None, after: UUID | None, limit: int
    ) -> SessionsPage:
        """Return up to `limit` live sessions at a client (None: at any), beyond `after`.

        A page looks at a bounded part of the table: it may be short, or empty, and not the last.
        """
        # Ids are in the order of expiry: what has expired need not be walked through.
        start = after or session_id_floor(self.clock.now())
        scanned = await self.database.fetch_row(SQL["range_after"], start, SCANNED)
        if scanned is None or not scanned["rows"]:
            return SessionsPage((), None)
        last: UUID = scanned["last"]
        rows = await self.database.fetch(SQL["page_in_range"], start, last, client_id, limit)
        return _page(rows, limit, last if scanned["rows"] == SCANNED else None)


def _page(rows: Sequence[Row], limit: int, otherwise: UUID | None) -> SessionsPage:
    sessions = [ListedSession.from_row(row) for row in rows]
    return SessionsPage(sessions, sessions[-1].id if len(sessions) == limit else otherwise)
