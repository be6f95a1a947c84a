"""What a session is, and what a refresh answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from keyturn.db.pool import Row


class Outcome(StrEnum):
    """What became of one refresh; also the label values of its metric."""

    ROTATED = "rotated"
    COALESCED = "coalesced"
    REPLAYED = "replayed"
    HEALED = "healed"
    KEPT = "kept"
    REUSE = "reuse"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Session:
    """The members of a session that tokens are made from, as of the deciding statement."""

    id: UUID
    user_id: UUID
    client_id: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    claims: Mapping[str, Any]
    auth_time: datetime
    acr: str | None
    amr: tuple[str, ...]
    dpop_jkt: str | None
    remembered: bool | None
    idle_expires_at: datetime
    expires_at: datetime
    decided_at: datetime
    """The database's time when the deciding statement ran: `iat` of the tokens."""
    status_index: int | None = None
    """Its place in the status lists; None: it began before there were any."""

    @property
    def seconds_left(self) -> int:
        """Whole seconds until the session ends if it is not used again."""
        end = min(self.idle_expires_at, self.expires_at)
        return max(0, int((end - self.decided_at).total_seconds()))

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from a row of any query that returns the session's members and `decided_at`."""
        return cls(
            id=row["id"],
            user_id=row["user_id"],
            client_id=row["client_id"],
            scopes=frozenset(row["scopes"]),
            audiences=tuple(row["audiences"]),
            claims=row["claims"] or {},
            auth_time=row["auth_time"],
            acr=row["acr"],
            amr=tuple(row["amr"]),
            dpop_jkt=row["dpop_jkt"],
            remembered=row["remembered"],
            idle_expires_at=row["idle_expires_at"],
            expires_at=row["expires_at"],
            decided_at=row["decided_at"],
            status_index=row["status_index"],
        )


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A refresh that succeeded: the session, the token the client now holds, and how."""

    session: Session
    refresh_token: str
    outcome: Outcome
    unchanged: bool
    """The token equals the presented one: a late answer must then not move a cookie jar."""
    scopes: frozenset[str]
    audiences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Started:
    """A session that has just begun, and its first refresh token."""

    session: Session
    refresh_token: str
