"""What a browser login is, what it starts from, and what it gives."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from uuid import UUID

from keyturn.db.pool import Row


@dataclass(frozen=True, slots=True)
class Login:
    """One browser signed in at this server, as of the statement that read it."""

    id: UUID
    user_id: UUID
    auth_time: datetime
    """The database's time of the last proof."""
    amr: tuple[str, ...]
    remembered: bool
    """Whether its cookie outlives the browser."""
    expires_at: datetime
    idle_expires_at: datetime
    decided_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from a row of any query that returns the login's members and `decided_at`."""
        return cls(
            id=row["id"],
            user_id=row["user_id"],
            auth_time=row["auth_time"],
            amr=tuple(row["amr"]),
            remembered=row["remembered"],
            expires_at=row["expires_at"],
            idle_expires_at=row["idle_expires_at"],
            decided_at=row["decided_at"],
        )


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """Who signs in, how they proved it, from where, and for how long."""

    user_id: UUID
    proof_time: datetime
    """The database's time when the password was about to be checked; becomes `auth_time`."""
    amr: tuple[str, ...] = ("pwd",)
    remembered: bool = False
    device: str | None = None
    ip: str | None = None
    replaces: UUID | None = None
    """A live login of the same browser that ends with this one."""


@dataclass(frozen=True, slots=True)
class StartedLogin:
    """A login and the value of its cookie: handed out now, kept as a hash."""

    login: Login
    value: str = field(repr=False)
