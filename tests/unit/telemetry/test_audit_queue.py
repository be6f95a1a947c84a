from datetime import UTC, datetime, timedelta

from keyturn.clock import FixedClock
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.logs import enter_request, leave_request
from keyturn.telemetry.metrics import Metrics


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
