"""What is kept of a registration, and of a token that lets somebody register."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from keyturn.clients.model import Client
from keyturn.db.pool import Row


@dataclass(frozen=True, slots=True)
class Managed:
    """A live client that registered itself, and what stands beside it."""

    client: Client
    created_at: datetime
    details: dict[str, Any]
    """`contacts`, `software_id`, `software_version`, as far as they were sent."""
    scopes: tuple[str, ...] | None
    """The most its initial access token allowed; None: whatever the settings do."""
    is_used: bool
    """Whether it ever had a token."""


@dataclass(frozen=True, slots=True)
class InitialToken:
    """A token of an operator's, by which clients may be registered until it is used up."""

    id: UUID
    name: str
    uses: int
    """How many live clients it may have."""
    used: int
    """How many it has."""
    scopes: tuple[str, ...] | None
    expires_at: datetime
    revoked_at: datetime | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "InitialToken":
        """Build one from a row."""
        scopes = row["scopes"]
        return cls(
            id=row["id"],
            name=row["name"],
            uses=row["uses"],
            used=row["used"],
            scopes=None if scopes is None else tuple(scopes),
            expires_at=row["expires_at"],
            revoked_at=row["revoked_at"],
            created_at=row["created_at"],
        )


@dataclass(frozen=True, slots=True)
class Issued:
    """A registered client, with what is shown once."""

    managed: Managed
    token: str = field(repr=False)
    """The registration access token."""
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new initial access token: its value is shown once."""

    token: InitialToken
    value: str = field(repr=False)
    again: bool = False
    """It had been made before, by the same request."""
