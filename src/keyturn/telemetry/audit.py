"""Typed audit events, held in a bounded queue until the writing job puts them into PostgreSQL.

`record` never waits and never fails: an audit trail must not slow a sign-in down, nor refuse one
because a table is locked. A refresh is a metric, not an event. Events name people, clients and
sessions by id and hold no secret and no e-mail address.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from uuid import UUID

import structlog

from keyturn.clock import Clock
from keyturn.telemetry.logs import current_request_id
from keyturn.telemetry.metrics import Metrics

log = structlog.get_logger("keyturn.audit")

EventType = Literal[
    "sign_in",
    "sign_in_failed",
    "reauthenticated",
    "reauthentication_failed",
    "session_ended",
    "logout_refused",
    "logout_given_up",
    "login_started",
    "login_ended",
    "consent_granted",
    "consent_denied",
    "consent_withdrawn",
    "code_issued",
    "code_refused",
    "code_reuse",
    "logout_all",
    "refresh_reuse",
    "token_revoked",
    "password_changed",
    "user_added",
    "user_imported",
    "user_disabled",
    "user_enabled",
    "user_deleted",
    "client_added",
    "client_changed",
    "client_disabled",
    "client_enabled",
    "client_secret_rotated",
    "client_authentication_failed",
    "key_created",
    "key_rotated",
    "key_retired",
    "key_compromised",
]
"""Everything that is audited; the past tense of what somebody did."""

Detail: TypeAlias = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that happened; its id and time are added later.

    `ip` is the address as `web.client_ip` gives it. `detail` holds a few short facts.
    """

    type: EventType
    user_id: UUID | None = None
    client_id: str | None = None
    session_id: UUID | None = None
    ip: str | None = None
    result: Literal["ok", "failed"] = "ok"
    detail: Detail = field(default_factory=dict)
    request_id: str | None = None
    """Empty: the id of the request being answered, if there is one."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event in the queue, and when it happened by the monotonic clock."""

    event: AuditEvent
    request_id: str | None
    recorded_at: float


@dataclass(slots=True, eq=False)
class Audit:
    """The queue of one process; `limit` events wait, more are counted as lost."""

    clock: Clock
    metrics: Metrics
    limit: int
    _waiting: deque[Recorded] = field(default_factory=deque)
    _overflowing: bool = False

    def record(self, event: AuditEvent) -> None:
        """Queue one event. When the queue is full the event is lost, counted and logged once."""
        if len(self._waiting) >= self.limit:
            self._lose()
            return
        self._overflowing = False
        self._waiting.append(
            Recorded(
                event=event,
                request_id=event.request_id or current_request_id(),
                recorded_at=self.clock.monotonic(),
            )
        )

    def take(self, most: int) -> list[Recorded]:
        """Remove and return up to `most` events, the oldest first: for the writing job."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def waiting(self) -> int:
        """Return how many events are queued."""
        return len(self._waiting)

    def _lose(self) -> None:
        self.metrics.audit_failures.inc()
        if not self._overflowing:
            log.error("audit_queue_full", limit=self.limit)
        self._overflowing = True
