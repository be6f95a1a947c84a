from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson

from keyturn.audit.trail import SHOWN
from keyturn.clock import FixedClock
from keyturn.telemetry.audit import SELDOM, Audit, AuditEvent
from keyturn.telemetry.callers import (
    CLI,
    SERVER,
    Actor,
    acting_as,
    acts,
    acts_unless_known,
    enter_call,
    leave_call,
)
from keyturn.telemetry.logs import LineWriter, enter_request, leave_request
from keyturn.telemetry.metrics import Metrics
from support.log_lines import caught_logs


def an_audit(limit: int = 3) -> Audit:
    return Audit(FixedClock(datetime(2026, 9, 1, tzinfo=UTC)), Metrics(), limit)


def lost(audit: Audit) -> float:
    return audit.metrics.audit_failures._children["queue_full"]._value.get()


def test_events_leave_in_the_order_they_came():
    audit = an_audit()
    for kind in ("sign_in", "logout_all", "user_added"):
        audit.record(AuditEvent(type=kind))
    assert [one.event.type for one in audit.take(2)] == ["sign_in", "logout_all"]
    assert [one.event.type for one in audit.take(2)] == ["user_added"]
    assert audit.take(2) == []


def test_an_event_remembers_when_it_was_recorded_and_for_which_request():
    audit = an_audit()
    audit.clock.advance(timedelta(seconds=5))
    entered = enter_request("id-1")
    audit.record(AuditEvent(type="sign_in"))
    audit.record(AuditEvent(type="sign_in", request_id="given"))
    leave_request(entered)
    audit.record(AuditEvent(type="sign_in"))
    assert [(one.event.request_id, one.recorded_at) for one in audit.take(3)] == [
        ("id-1", 5.0),
        ("given", 5.0),
        (None, 5.0),
    ]


def test_a_full_queue_loses_and_counts_the_newest():
    audit = an_audit(limit=2)
    for kind in ("sign_in", "logout_all", "user_added", "user_deleted"):
        audit.record(AuditEvent(type=kind))
    assert (audit.waiting(), lost(audit)) == (2, 2.0)
    assert [one.event.type for one in audit.take(9)] == ["sign_in", "logout_all"]
    audit.record(AuditEvent(type="user_enabled"))
    assert (audit.waiting(), lost(audit)) == (1, 2.0)


USER = UUID(int=7)


def actors(audit: Audit) -> list[tuple[str, str | None]]:
    return [(str(one.event.actor), one.event.ip) for one in audit.take(99)]


def test_who_acts_is_whoever_showed_it_last_and_nobody_outside_of_a_request():
    audit = an_audit(9)
    audit.record(AuditEvent("key_rotated"))
    called = enter_call("192.0.2.1")
    audit.record(AuditEvent("sign_in_failed"))
    acts(Actor.client("web"))
    acts_unless_known(Actor.user(USER))
    audit.record(AuditEvent("code_issued"))
    acts(Actor.user(USER))
    audit.record(AuditEvent("logout_all", ip="192.0.2.9"))
    with acting_as(Actor.client("ops")):
        audit.record(AuditEvent("user_disabled"))
    audit.record(AuditEvent("consent_denied", actor=SERVER))
    leave_call(called)
    acts(Actor.user(USER))
    acts_unless_known(Actor.user(USER))
    audit.record(AuditEvent("key_retired"))
    user = f"user:{USER}"
    here = "192.0.2.1"
    assert actors(audit) == [
        ("server", None), ("anonymous", here), ("client:web", here), (user, "192.0.2.9"),
        ("client:ops", here), ("server", here), ("server", None),
    ]  # fmt: skip


def test_a_command_says_who_runs_it_in_every_event():
    audit = an_audit()
    audit.actor, audit.facts = CLI, {"os_user": "root"}
    audit.record(AuditEvent("user_imported", detail={"added": 3}))
    (one,) = audit.take(1)
    assert (str(one.event.actor), one.event.detail) == ("cli", {"os_user": "root", "added": 3})


def test_what_a_stranger_repeats_is_recorded_once_in_a_while():
    audit = an_audit(99)
    for _ in range(3):
        audit.record_seldom(AuditEvent("sign_in_throttled"), "192.0.2.1", "address")
        audit.record_seldom(AuditEvent("sign_in_throttled"), "192.0.2.2", "address")
    assert len(audit.take(99)) == 2
    audit.clock.advance(timedelta(seconds=SELDOM))
    audit.record_seldom(AuditEvent("sign_in_throttled"), "192.0.2.1", "address")
    assert len(audit.take(99)) == 1


def test_what_strangers_invent_is_forgotten_again(monkeypatch):
    monkeypatch.setattr("keyturn.telemetry.audit.MOST_SELDOM", 10)
    audit = an_audit(999)
    for number in range(100):
        audit.record_seldom(AuditEvent("introspection_refused"), str(number))
    assert len(audit._seldom) == 10
    audit.record_seldom(AuditEvent("introspection_refused"), "99")
    assert audit.waiting() == 100


class Pipe:
    """A stream that can break."""

    def __init__(self):
        self.lines, self.broken = [], False

    def write(self, data):
        if self.broken:
            raise BrokenPipeError
        self.lines.append(data)
        return len(data)


def test_each_event_is_a_marked_line_on_the_stream_also_when_the_queue_is_full():
    audit, pipe = an_audit(limit=1), Pipe()
    audit.stream = LineWriter(pipe)
    with caught_logs():
        for kind in ("sign_in", "sign_in_failed"):
            audit.record(AuditEvent(kind, user_id=USER, detail={"scope": "a b", "token": "krt1_x"}))
    first, second = (orjson.loads(line) for line in pipe.lines)
    (queued,) = audit.take(9)
    assert list(first) == ["stream", *SHOWN]
    assert (first["stream"], first["id"]) == ("audit", str(queued.id))
    assert first["at"] == "2026-09-01T00:00:00Z"
    assert (first["user_id"], first["actor"]) == (str(USER), "server")
    assert first["detail"] == {"scope": "a b", "token": "[redacted]"}
    assert second["type"] == "sign_in_failed"
    assert lost(audit) == 1.0


def test_a_broken_stream_is_counted_told_once_and_costs_no_event():
    audit, pipe = an_audit(limit=99), Pipe()
    audit.stream = LineWriter(pipe)
    with caught_logs() as caught:
        for broken in (True, True, False, True):
            pipe.broken = broken
            audit.record(AuditEvent("sign_in"))
    told = [(one["event"], one["reason"]) for one in caught.all()]
    assert told == [("audit_events_lost", "stdout")] * 2
    assert audit.metrics.audit_failures._children["stdout"]._value.get() == 3.0
    assert audit.waiting() == 4


def test_events_in_memory_are_measured():
    audit = an_audit()
    audit.record(AuditEvent("sign_in"))
    assert audit.metrics.registry.get_sample_value("keyturn_audit_events_waiting") == 1.0
