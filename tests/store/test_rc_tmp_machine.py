"""The rotation page, against PostgreSQL: whatever anybody does, in any order and at once."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from keyturn.sessions.model import Outcome
from support.rotation_machine import RotationMachine
from support.rotation_stack import Stage
from support.rotation_world import MASTERS

# Hypothesis is synchronous; this is what lets a synchronous test ask for the async fixtures.
pytestmark = pytest.mark.usefixtures("anyio_backend")

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def campaign(url: str, histories: int, steps: int, *, derandomize: bool) -> Counter[str]:
    """Run the machine and return how often each outcome was seen."""
    tally: Counter[str] = Counter()
    with Stage.on(url, MASTERS) as stage:
        run_state_machine_as_test(
            lambda: RotationMachine(stage, tally),
            settings=settings(
                max_examples=histories,
                stateful_step_count=steps,
                deadline=None,
                derandomize=derandomize,
                database=None,
                suppress_health_check=QUIET,
                print_blob=True,
            ),
        )
    return tally


def test_the_server_does_what_the_oracle_says_in_every_history(database_url) -> None:
    seen = campaign(database_url, histories=25, steps=20, derandomize=True)
    assert sum(seen.values()) > 150, "hardly anything was tried"


def test_the_server_does_what_the_oracle_says_in_many_histories(database_url) -> None:
    seen = campaign(database_url, histories=70, steps=35, derandomize=False)
    print(dict(seen))
