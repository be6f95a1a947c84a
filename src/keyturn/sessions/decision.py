"""The verdict over a stored session and a presented token: pure, and in this order only.

The happy path never comes here. When its UPDATE found no row, one read on the primary does, and
these cases decide. Later cases concern live rows only, because they come after the first two.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Self

from keyturn.crypto.opaque import equal
from keyturn.db.pool import Row
from keyturn.sessions.model import Session
from keyturn.sessions.refresh_token import RefreshToken, RefreshTokenCodec

MOST_STEPS = 10_000
"""How far forward a superseded token is followed: more is not worth the CPU it would cost."""


class Case(Enum):
    """What a presented token is to a session."""

    MISSING = auto()
    REVOKED = auto()
    EXPIRED = auto()
    NOT_PROVEN = auto()
    """Bound to a key, and no proof by that key came along: no verdict over the token."""
    CURRENT = auto()
    CURRENT_IN_GRACE = auto()
    AHEAD = auto()
    """The client saw a commit that the database lost."""
    PARENT = auto()
    """The direct parent of the current token, and its answer may still be on the way."""
    SUPERSEDED = auto()
    """It was ours and its time is over: somebody kept a copy."""
    FOREIGN = auto()
    """Never ours, although the tag says so: a restored backup or a leaked key."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A row as the decision sees it."""

    session: Session
    token_hash: bytes = field(repr=False)
    next_hash: bytes = field(repr=False)
    generation: int
    rotated_at: datetime
    idle_lifetime: timedelta
    revoked: bool
    step_up: bool = False
    """Its next refresh ends the older sessions whose place it takes."""

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from the row of the query `read`."""
        return cls(
            session=Session.from_row(row),
            token_hash=row["token_hash"],
            next_hash=row["next_hash"],
            generation=row["generation"],
            rotated_at=row["rotated_at"],
            idle_lifetime=row["idle_lifetime"],
            revoked=row["revoked_at"] is not None,
            step_up=row["step_up"],
        )

    def is_within(self, grace: timedelta) -> bool:
        """Whether it rotated inside the grace, on either side of the database's now."""
        now = self.session.decided_at
        return self.generation > 0 and now - grace < self.rotated_at <= now + grace


@dataclass(frozen=True, slots=True)
class Presented:
    """A token somebody presents, the key they proved, and the grace their client has."""

    token: RefreshToken
    dpop_jkt: str | None
    grace: timedelta


def decide(stored: StoredSession | None, presented: Presented, codec: RefreshTokenCodec) -> Case:
    """Return what `presented` is to `stored`; the numbers are those of the rotation paper."""
    token = presented.token
    if stored is None:  # 1
        return Case.MISSING
    hash_ = token.hash
    is_next = equal(hash_, stored.next_hash)
    if stored.revoked:
        return Case.REVOKED
    if _is_over(stored, is_next=is_next):
        return Case.EXPIRED
    if stored.session.dpop_jkt not in {None, presented.dpop_jkt}:  # 2
        return Case.NOT_PROVEN
    if equal(hash_, stored.token_hash):  # 3
        within = stored.is_within(presented.grace)
        return Case.CURRENT_IN_GRACE if within else Case.CURRENT
    if is_next:  # 4
        return Case.AHEAD
    return _among_ancestors(stored, presented, codec)


def is_genuine(stored: StoredSession, token: RefreshToken, codec: RefreshTokenCodec) -> bool:
    """Whether `token` is any generation of this session, over or not: enough to log out."""
    hash_ = token.hash
    if equal(hash_, stored.token_hash) or equal(hash_, stored.next_hash):
        return True
    return _is_ancestor(stored, token, codec)


def _is_over(stored: StoredSession, *, is_next: bool) -> bool:
    session, now = stored.session, stored.session.decided_at
    if session.expires_at <= now:
        return True
    # The lost commit may be the very one that slid the idle expiry.
    spare = stored.idle_lifetime if is_next else timedelta(0)
    return session.idle_expires_at + spare <= now


def _among_ancestors(stored: StoredSession, presented: Presented, codec: RefreshTokenCodec) -> Case:
    token = presented.token
    if not _is_ancestor(stored, token, codec):  # 7
        return Case.FOREIGN
    in_flight = (
        stored.is_within(presented.grace)
        or stored.rotated_at > stored.session.decided_at
        or stored.session.dpop_jkt is not None
    )
    is_parent = token.generation == stored.generation - 1
    return Case.PARENT if is_parent and in_flight else Case.SUPERSEDED  # 5, 6


def _is_ancestor(stored: StoredSession, token: RefreshToken, codec: RefreshTokenCodec) -> bool:
    steps = stored.generation - token.generation
    if not 0 < steps <= MOST_STEPS:
        return False
    return equal(codec.descendant(token, stored.generation).hash, stored.token_hash)
