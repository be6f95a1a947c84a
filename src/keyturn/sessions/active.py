"""The sessions a person sees: where they are signed in, and that they proved themselves again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from keyturn.db.pool import Database, Row
from keyturn.db.queries import load_queries
from keyturn.errors import InvalidGrant
from keyturn.sessions.model import Session

SQL = load_queries(__package__, "sessions.sql")


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """One line of "where am I signed in"."""

    id: UUID
    client_id: str
    login_id: UUID | None
    """The browser login it hangs on; None when it began in an app of its own."""
    offline: bool
    """Whether it outlives that login (`offline_access`)."""
    device: str | None
    ip: str | None
    created_at: datetime
    last_used_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from the row of the query `list_of_user`."""
        return cls(
            id=row["id"],
            client_id=row["client_id"],
            login_id=row["login_id"],
            offline=row["offline"],
            device=row["device"],
            ip=row["ip"],
            created_at=row["created_at"],
            last_used_at=row["last_used_at"],
        )


@dataclass(frozen=True, slots=True)
class ActiveSessions:
    """Lists a user's live sessions and moves the `auth_time` of one."""

    database: Database

    async def of_user(self, user_id: UUID) -> Sequence[ActiveSession]:
        """Return the live sessions of a user, the latest first."""
        rows = await self.database.fetch(SQL["list_of_user"], user_id)
        return [ActiveSession.from_row(row) for row in rows]

    async def reauthenticated(
        self, session: Session, proof_time: datetime, amr: tuple[str, ...]
    ) -> Session:
        """Record a fresh proof on the row, so that later refreshes carry it.

        Raises `InvalidGrant` when the session ended in the meantime.
        """
        row = await self.database.fetch_row(
            SQL["reauthenticate"], session.id, proof_time, list(amr)
        )
        if row is None:
            raise InvalidGrant("session: ended during re-authentication")
        return Session.from_row(row)
