"""The states of a signing key, and its row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from keyturn.db.pool import Row


class State(StrEnum):
    """Where a key is in its life; also the label values of its metric."""

    NEXT = "next"
    SIGNING = "signing"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One row of `signing_keys`; `since` is when it entered its state, by the database clock."""

    kid: str
    state: State
    since: datetime
    created_at: datetime
    public_jwk: Mapping[str, str] = field(repr=False)
    sealed: bytes | None = field(repr=False)
    """The private half; None once retired, because a retired key never signs again."""
    sealed_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from a row of the `list` query; an unknown state is a `ValueError`."""
        return cls(
            kid=row["kid"],
            state=State(row["state"]),
            since=row["since"],
            created_at=row["created_at"],
            public_jwk=row["public_jwk"],
            sealed=row["private_sealed"],
            sealed_at=row["sealed_at"],
        )

    @property
    def secret_id(self) -> int | None:
        """The master secret its private half is sealed under: the first byte of the seal."""
        return self.sealed[0] if self.sealed else None
