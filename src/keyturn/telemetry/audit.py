"""Typed audit events, held in a bounded queue until the writing job puts them into PostgreSQL.

`record` never waits and never fails: an audit trail must not slow a sign-in down, nor refuse one
because a table is locked. A refresh is a metric, not an event. Events name people, clients and
sessions by id and hold no secret and no e-mail address. Who acts, and from where, a door notes once
for all events of a request (`telemetry.callers`).
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

import orjson
import structlog

from keyturn.clock import Clock
from keyturn.crypto import opaque
from keyturn.telemetry.callers import SERVER, Actor, current_caller
from keyturn.telemetry.event_types import EventType
from keyturn.telemetry.logs import LineWriter, current_request_id, redact
from keyturn.telemetry.metrics import Metrics

SELDOM = 300.0
"""Seconds in which the same is not recorded again, of what anybody can cause at any rate."""

MOST_SELDOM = 4096
"""So many different such things are remembered."""

log = structlog.get_logger("keyturn.audit")

Result: TypeAlias = Literal["ok", "failed"]
Detail: TypeAlias = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that happened; its id and time are added later.

    `detail` holds a few short facts.
    """

    type: EventType
    user_id: UUID | None = None
    """Whom it was done to; so are the client and the session."""
    client_id: str | None = None
    session_id: UUID | None = None
    ip: str | None = None
    """As `web.client_ip` gives it. Empty: of the request being answered, if there is one."""
    result: Result = "ok"
    detail: Detail = field(default_factory=dict)
    request_id: str | None = None
    """Empty: the id of the request being answered, if there is one."""
    actor: Actor | None = None
    """Empty: who calls, as far as the door knows by then; else whoever runs this process."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event in the queue, complete, and when it happened by the monotonic clock."""

    id: UUID
    event: AuditEvent
    recorded_at: float

    def members(self, at: datetime) -> dict[str, object]:
        """Return it as the stream on stdout and the export show it, dated `at`."""
        event = self.event
        return {
            "id": self.id,
            "at": at,
            "type": event.type,
            "result": event.result,
            "actor": str(event.actor),
            "user_id": event.user_id,
            "client_id": event.client_id,
            "session_id": event.session_id,
            "ip": event.ip,
            "request_id": event.request_id,
            "detail": redact(event.detail),
        }


@dataclass(slots=True, eq=False)
class Audit:
    """The queue of one process; `limit` events wait, more are counted as lost."""

    clock: Clock
    metrics: Metrics
    limit: int
    actor: Actor = SERVER
    """Who acts in this process when nobody calls it."""
    facts: Detail = field(default_factory=dict)
    """What the detail of each event of this process says besides its own."""
    stream: LineWriter | None = None
    """Where each event is written besides, at once: the database may be away for hours."""
    _waiting: deque[Recorded] = field(default_factory=deque)
    _losing: set[str] = field(default_factory=set)
    _seldom: OrderedDict[tuple[str, ...], float] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        """Let scrapes ask how many events are not in the database yet."""
        self.metrics.audit_waiting.set_function(self.waiting)

    def record(self, event: AuditEvent) -> None:
        """Queue one event. When the queue is full the event is lost, counted and logged once."""
        recorded = Recorded(opaque.random_uuid(), self._completed(event), self.clock.monotonic())
        self._show(recorded)
        if len(self._waiting) >= self.limit:
            self.lose("queue_full")
            return
        self._losing.discard("queue_full")
        self._waiting.append(recorded)

    def record_seldom(self, event: AuditEvent, *about: str) -> None:
        """Record what a stranger can cause as often as they like: once in a while for each `about`.

        In each process, and as long as not too many different ones are going on.
        """
        key, now = (event.type, *about), self.clock.monotonic()
        if now - self._seldom.get(key, float("-inf")) < SELDOM:
            return
        self._seldom[key] = now
        self._seldom.move_to_end(key)
        if len(self._seldom) > MOST_SELDOM:
            self._seldom.popitem(last=False)
        self.record(event)

    def take(self, most: int) -> list[Recorded]:
        """Remove and return up to `most` events, the oldest first: for the writing job."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def waiting(self) -> int:
        """Return how many events are queued."""
        return len(self._waiting)

    def lose(self, reason: str, events: int = 1) -> None:
        """Count events as lost, and say so once until one goes well again."""
        self.metrics.audit_failures(reason, events)
        if reason not in self._losing:
            log.error("audit_events_lost", reason=reason, events=events)
        self._losing.add(reason)

    def _completed(self, event: AuditEvent) -> AuditEvent:
        caller = current_caller()
        return replace(
            event,
            actor=event.actor or (self.actor if caller is None else caller.actor),
            ip=event.ip or (None if caller is None else caller.ip),
            request_id=event.request_id or current_request_id(),
            detail={**self.facts, **event.detail},
        )

    def _show(self, recorded: Recorded) -> None:
        if self.stream is None:
            return
        shown = {"stream": "audit", **recorded.members(self.clock.now())}
        if self.stream.write(orjson.dumps(shown, option=orjson.OPT_UTC_Z)):
            self._losing.discard("stdout")
        else:
            self.lose("stdout")
