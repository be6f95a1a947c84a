"""A token of a bound session that came without its key: a thief's trace, or a broken client's.

Nothing is decided by it and the session does not change (case 2 of the decision), but operators
hear of it: once a session, because whoever holds the token could go on for as long as it lives.
"""

from dataclasses import dataclass

from keyturn.replays.replays import Replays
from keyturn.sessions.model import Session
from keyturn.telemetry.audit import Audit, AuditEvent

KIND = "dpop_refused"


@dataclass(frozen=True, slots=True)
class Unproven:
    """Tells of such tokens."""

    replays: Replays
    audit: Audit

    async def tell(self, session: Session) -> None:
        """Record the first one of a session. Raises `Unavailable`."""
        if await self.replays.is_first(KIND, str(session.id), until=session.expires_at):
            self.audit.record(
                AuditEvent(
                    type="dpop_refused",
                    user_id=session.user_id,
                    client_id=session.client_id,
                    session_id=session.id,
                    result="failed",
                )
            )
