"""What a user is: a person with an account; `sub` is the id, never reassigned."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from keyturn.db.pool import Row
from keyturn.errors import InvalidRequest

MOST_NAME = 200
"""Characters of a person's name."""


@dataclass(frozen=True, slots=True)
class User:
    """One account that has not been deleted; never carries its password hash."""

    id: UUID
    email: str
    """As it was entered, for display and for writing to; compare keys, never this."""
    name: str | None
    email_verified: bool
    disabled_at: datetime | None
    created_at: datetime
    version: str = field(compare=False)
    """Another one after every change (`versions`)."""

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from a row of any query that returns the account's members."""
        return cls(
            id=row["id"],
            email=row["email"],
            name=row["name"],
            email_verified=row["email_verified"],
            disabled_at=row["disabled_at"],
            created_at=row["created_at"],
            version=row["version"],
        )

    @property
    def is_active(self) -> bool:
        """Whether this person may sign in at all."""
        return self.disabled_at is None

    def claims(self, names: Iterable[str]) -> Mapping[str, Any]:
        """Return the members a client lists, as OpenID Connect Core section 5.1 names them."""
        members = {"email": self.email, "email_verified": self.email_verified, "name": self.name}
        return {name: members[name] for name in names if members.get(name) is not None}


def parse_name(entered: str | None) -> str | None:
    """Return a name without surrounding blanks; an empty one is none.

    Raises `InvalidRequest` for one that is too long or holds what cannot be printed.
    """
    name = (entered or "").strip()
    if len(name) > MOST_NAME:
        raise InvalidRequest(f"name: longer than {MOST_NAME} characters")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        raise InvalidRequest("name: a character that cannot be printed")
    return name or None


@dataclass(frozen=True, slots=True)
class NewUser:
    """What an account is made of; without a password nobody can sign in to it yet."""

    email: str
    name: str | None = None
    password: str | None = field(default=None, repr=False)
    email_verified: bool = False
    id: UUID | None = None
    """An id of another system to keep; None draws one."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a sign-in is checked against, as it was when the check began."""

    user: User
    email_key: str = field(repr=False)
    password_hash: str | None = field(repr=False)
    valid_after: datetime
    proof_time: datetime
    """The database's time of this read: sessions start only if nothing closed since."""

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from a row of the queries `credential_by_email` and `credential_by_id`."""
        return cls(
            user=User.from_row(row),
            email_key=row["email_key"],
            password_hash=row["password_hash"],
            valid_after=row["valid_after"],
            proof_time=row["proof_time"],
        )


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A person who has just proved who they are; hand `proof_time` to the session's start."""

    user: User
    proof_time: datetime
