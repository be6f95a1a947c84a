"""The health of several processes as one answer."""

import pytest

from keyturn.clock import SystemClock
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.vitals import Dependency, Vitals
from keyturn.workers.pulse import Pulse
from keyturn.workers.state import State, told

READY = State(started=True, serving=True, reasons=())
STARTING = State()
LATE = State(started=True, serving=True, reasons=("event loop late",))
CLOSED = State(started=True, serving=False, reasons=())


def parent(**facts) -> Vitals:
    vitals = Vitals(SystemClock(), Metrics(), lambda: True)
    for name, value in {"started": True, **facts}.items():
        setattr(vitals, name, value)
    return vitals


@pytest.mark.parametrize(
    ("facts", "workers", "reasons"),
    [
        ({}, (READY, READY), []),
        ({}, (READY, STARTING), []),
        ({}, (STARTING, STARTING), ["no worker ready", "starting"]),
        ({}, (STARTING, LATE), ["no worker ready", "starting", "event loop late"]),
        ({}, (CLOSED,), ["no worker ready"]),
        ({"started": False}, (READY,), ["starting"]),
        ({"draining": True}, (READY,), ["draining"]),
    ],
)
def test_it_is_ready_while_one_worker_is_and_it_is_not_going_away(facts, workers, reasons):
    assert Pulse(parent(**facts), lambda: workers).why_not_ready() == reasons


def test_it_has_started_once_everybody_had_and_a_replacement_does_not_undo_that():
    workers = [READY, STARTING]
    pulse = Pulse(parent(), lambda: workers)
    assert not pulse.started
    workers[1] = LATE
    assert pulse.started
    workers[0] = STARTING
    assert pulse.started


def test_a_dependency_that_one_process_does_not_reach_is_away():
    up, old, away = Dependency(True, 9.0), Dependency(True, 5.0), Dependency(False, 8.0, "timeout")
    vitals = parent(dependencies={"postgres": up, "redis": up})
    workers = [State(dependencies={"postgres": old}), State(dependencies={"redis": away})]
    assert Pulse(vitals, lambda: workers).dependencies == {"postgres": old, "redis": away}


def test_what_a_worker_tells_of_itself_arrives():
    vitals = parent(started=False)
    vitals.note_dependency("redis", "timeout")
    state = State.read(told(vitals, serving=True), vitals.clock.monotonic())
    assert (state.started, state.serving, state.reasons) == (False, True, ("starting",))
    assert (state.dependencies["redis"].up, state.dependencies["redis"].reason) == (
        False,
        "timeout",
    )
    age = vitals.clock.monotonic() - state.dependencies["redis"].checked_at
    assert 0 <= age < 5
