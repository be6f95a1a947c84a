from datetime import UTC, datetime, timedelta

from keyturn.cache.breaker import Breaker
from keyturn.clock import FixedClock

PAUSE = timedelta(seconds=1)


def make():
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    return Breaker(clock, failures=3, pause=1.0), clock


def test_failures_with_an_answer_in_between_do_not_open_it():
    breaker, _ = make()
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.admits()


def test_failures_in_a_row_open_it_for_a_pause():
    breaker, clock = make()
    for _ in range(3):
        assert breaker.admits()
        breaker.failed()
    assert not breaker.admits()
    clock.advance(PAUSE - timedelta(milliseconds=1))
    assert not breaker.admits()


def test_after_the_pause_one_caller_probes_and_the_others_are_refused():
    breaker, clock = make()
    for _ in range(3):
        breaker.failed()
    clock.advance(PAUSE)
    assert [breaker.admits() for _ in range(5)] == [True, False, False, False, False]


def test_a_probe_that_is_answered_closes_it():
    breaker, clock = make()
    for _ in range(3):
        breaker.failed()
    clock.advance(PAUSE)
    assert breaker.admits()
    breaker.succeeded()
    assert breaker.admits()
    assert breaker.admits()


def test_a_probe_that_fails_keeps_it_open_for_another_pause():
    breaker, clock = make()
    for _ in range(3):
        breaker.failed()
    clock.advance(PAUSE)
    assert breaker.admits()
    breaker.failed()
    assert not breaker.admits()
    clock.advance(PAUSE)
    assert breaker.admits()


def test_a_probe_that_was_cancelled_is_followed_by_another_after_a_pause():
    """Who asked may have hung up; that says nothing of the server, and must not block for ever."""
    breaker, clock = make()
    for _ in range(3):
        breaker.failed()
    clock.advance(PAUSE)
    assert breaker.admits()
    clock.advance(PAUSE)
    assert breaker.admits()
