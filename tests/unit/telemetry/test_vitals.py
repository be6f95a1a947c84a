from datetime import UTC, datetime, timedelta

import pytest

from keyturn.clock import FixedClock
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.vitals import Vitals


@pytest.fixture
def vitals() -> Vitals:
    vitals = Vitals(FixedClock(datetime(2026, 9, 1, tzinfo=UTC)), Metrics(), lambda: True)
    vitals.mark_started()
    return vitals


def ready(vitals: Vitals) -> float | None:
    return vitals.metrics.registry.get_sample_value("keyturn_ready")


def test_a_started_process_with_a_key_is_ready(vitals):
    assert vitals.why_not_ready() == []
    assert ready(vitals) == 1


def test_a_scrape_is_told_at_once_though_nobody_asks_for_readiness(vitals):
    assert ready(vitals) == 1
    vitals.note_tick(0.25)
    vitals.clock.advance(timedelta(seconds=2.3))
    assert ready(vitals) == 0
    vitals.note_tick(0.25)
    vitals.clock.advance(timedelta(seconds=0.25))
    vitals.note_tick(0.25)
    assert ready(vitals) == 1
    vitals.mark_draining()
    assert ready(vitals) == 0


def test_a_process_that_has_not_started_is_not_ready(vitals):
    vitals.started = False
    assert vitals.why_not_ready() == ["starting"]
    assert ready(vitals) == 0


def test_a_draining_process_is_not_ready(vitals):
    vitals.mark_draining()
    assert vitals.why_not_ready() == ["draining"]
    assert vitals.metrics.draining._value.get() == 1


def test_a_process_without_a_signing_key_is_not_ready(vitals):
    vitals.can_sign = lambda: False
    assert vitals.why_not_ready() == ["no signing key"]
    assert ready(vitals) == 0


def test_REL_5_a_dependency_that_is_away_does_not_make_it_unready(vitals):
    vitals.note_dependency("postgres", "connect: refused")
    assert vitals.why_not_ready() == []
    assert not vitals.dependencies["postgres"].up


def test_a_loop_that_woke_late_is_not_ready_until_it_keeps_up_again(vitals):
    vitals.note_tick(0.25)
    vitals.clock.advance(timedelta(seconds=2.3))
    vitals.note_tick(0.25)
    assert vitals.lag() == pytest.approx(2.05)
    assert vitals.why_not_ready() == ["event loop late"]
    vitals.clock.advance(timedelta(seconds=0.25))
    vitals.note_tick(0.25)
    assert vitals.why_not_ready() == []


def test_a_loop_that_has_not_woken_is_late_already(vitals):
    vitals.note_tick(0.25)
    vitals.clock.advance(timedelta(seconds=2.3))
    assert vitals.why_not_ready() == ["event loop late"]
