"""One delivery as it is claimed, and what the client's answer means for it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal, Self
from uuid import UUID

from keyturn.db.pool import Row

Outcome = Literal["delivered", "refused", "failed"]
"""`failed` is tried again."""

DONE = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT})
PASSING = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
"""Of the 4xx, what says "not now" and not "never"."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one client is to be told, claimed for one attempt."""

    session_id: UUID
    user_id: UUID
    client_id: str
    uri: str | None
    """None: the client is disabled, or takes no logout tokens any more."""
    profile: str | None
    """The client's: it decides what the token is signed with."""
    attempt: int
    claimed_at: datetime
    """The database's time."""
    waited: timedelta
    """Since the session ended."""
    is_late: bool
    """Its time was over before this attempt."""
    is_last: bool
    """Its time will be over before the next one."""

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from a row of `claim`."""
        return cls(
            session_id=row["session_id"],
            user_id=row["user_id"],
            client_id=row["client_id"],
            uri=row["uri"],
            profile=row["profile"],
            attempt=row["attempts"],
            claimed_at=row["claimed_at"],
            waited=row["waited"],
            is_late=row["is_late"],
            is_last=row["is_last"],
        )


def outcome_of(status: int) -> Outcome:
    """Return what an answer means (Back-Channel Logout section 2.8).

    A redirect is not followed and counts as trouble; so does everything a proxy says on behalf of
    a client that is being restarted.
    """
    if status in DONE:
        return "delivered"
    if HTTPStatus(400) <= status < HTTPStatus(500) and status not in PASSING:
        return "refused"
    return "failed"
