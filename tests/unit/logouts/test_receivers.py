"""Who may be called, how long a client that fails rests, and what an answer means."""

from datetime import timedelta

import pytest

from keyturn.logouts import receivers
from keyturn.logouts.model import outcome_of
from keyturn.logouts.queue import DELAYS, FIRST_DELAY, LONGEST_DELAY, delays
from keyturn.logouts.receivers import LONGEST_REST, MOST, MOST_FAILING, SHARE, Receivers
from keyturn.outgoing.client import SECONDS


def seconds(*counts):
    return [timedelta(seconds=one) for one in counts]


def test_the_delays_double_up_to_the_longest():
    assert delays(*seconds(10, 60)) == seconds(10, 20, 40, 60)
    assert delays(*seconds(60, 60)) == seconds(60)
    assert (DELAYS[0], DELAYS[-1]) == (FIRST_DELAY, LONGEST_DELAY)


def test_the_shortest_delay_outlives_an_attempt():
    """Else another process would make the same call while this one is still at it."""
    assert FIRST_DELAY.total_seconds() * 0.75 > SECONDS + 1


@pytest.mark.parametrize(
    ("outcome", "statuses"),
    [
        ("delivered", [200, 204]),
        ("refused", [400, 401, 403, 404, 405, 410, 415, 422]),
        (
            "failed",
            [408, 425, 429, 500, 501, 502, 503, 504, 301, 302, 303, 307, 308, 201, 202, 206],
        ),
    ],
)
def test_what_an_answer_means(outcome, statuses):
    assert {outcome_of(status) for status in statuses} == {outcome}


def test_a_client_has_a_share_of_the_calls():
    known = Receivers()
    for _ in range(SHARE):
        assert known.resting(0) == []
        known.begin("a")
    assert known.resting(0) == ["a"]
    assert known.free == MOST - SHARE
    known.end("a")
    assert known.resting(0) == []
    assert known.free == MOST - SHARE + 1


def test_one_that_fails_rests_longer_each_time_and_is_called_by_itself():
    known, now, rests = Receivers(), 0.0, []
    assert known.failed("a", now)
    while not rests or rests[-1] < LONGEST_REST:
        rest = known._failing["a"].rest
        assert known.resting(now + rest - 0.01) == ["a"]
        now += rest
        assert known.resting(now) == []
        rests.append(rest)
        known.begin("a")
        assert known.resting(now) == ["a"], "one call to it, not a share"
        known.end("a")
        assert not known.failed("a", now), "it is known to fail"
    assert rests == [1, 2, 4, 8, 16, 32, 60]
    assert known.answered("a")
    assert not known.answered("a")
    assert known.resting(now) == []


def test_calls_that_fail_together_count_once():
    known = Receivers()
    known.failed("a", 0)
    for _ in range(SHARE - 1):
        known.failed("a", 0.5)
    assert known._failing["a"].rest == receivers.FIRST_REST


def test_all_that_fail_together_hold_half_at_most():
    known = Receivers()
    dead = [f"dead-{number}" for number in range(MOST)]
    for one in dead:
        known.failed(one, 0)
    for one in dead[:MOST_FAILING]:
        assert one not in known.resting(LONGEST_REST)
        known.begin(one)
    assert sorted(known.resting(LONGEST_REST)) == sorted(dead)
    assert known.free == MOST - MOST_FAILING
    known.end(dead[0])
    assert known.resting(LONGEST_REST) == dead[1:MOST_FAILING]
