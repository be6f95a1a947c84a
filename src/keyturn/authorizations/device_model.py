"""What a device asks for, what a person is shown of it, and what a device code is bound to."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from keyturn.clients.model import Client
from keyturn.db.pool import Row

Decision = Literal["approved", "denied"]


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A checked device authorization request (RFC 8628 section 3.1)."""

    client: Client
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    device: str | None = None
    """What the device calls itself."""
    ip: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedCodes:
    """What the device is given: one code for itself, one for its person (section 3.2)."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    """As people see it."""
    expires_in: int
    interval: int


@dataclass(frozen=True, slots=True)
class DeviceRedemption:
    """What an authenticated client brings to the token endpoint (section 3.4)."""

    client: Client
    device_code: str = field(repr=False)
    audiences: tuple[str, ...] | None = None
    """The resources it wants a token for; None: all that were granted (RFC 8707 section 2.2)."""
    dpop_jkt: str | None = None
    """The key the session is to be bound to (RFC 9449 section 5)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person is asked by a user code; all times are the database's."""

    client_id: str
    scopes: frozenset[str]
    device: str | None
    ip: str | None
    decision: Decision | None
    """What they themselves have said before."""
    created_at: datetime
    decided_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from the row of the query `find_user_code`."""
        return cls(
            client_id=row["client_id"],
            scopes=frozenset(row["scopes"]),
            device=row["device"],
            ip=row["ip"],
            decision=row["decision"],
            created_at=row["created_at"],
            decided_at=row["decided_at"],
        )


@dataclass(frozen=True, slots=True)
class StoredDeviceCode:
    """A device code as of one statement."""

    client_id: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    device: str | None
    ip: str | None
    decision: Decision | None
    consumed: bool
    expired: bool

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from the row of the query `read_device_code`."""
        return cls(
            client_id=row["client_id"],
            scopes=frozenset(row["scopes"]),
            audiences=tuple(row["audiences"]),
            device=row["device"],
            ip=row["ip"],
            decision=row["decision"],
            consumed=row["consumed"],
            expired=row["expired"],
        )


@dataclass(frozen=True, slots=True)
class Approval:
    """Who said yes to a device, and how they had proven who they are."""

    user_id: UUID
    auth_time: datetime
    amr: tuple[str, ...]

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from the row of the query `read_device_code`, of one that was approved."""
        return cls(row["user_id"], row["auth_time"], tuple(row["amr"]))
