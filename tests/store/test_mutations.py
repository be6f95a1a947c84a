"""Deleting any case of the rotation page makes the machine fail: each deletion, tried."""

import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from support.mutations import MUTATIONS, Mutation
from support.rotation_machine import RotationMachine
from support.rotation_stack import Stage
from support.rotation_world import MASTERS

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("anyio_backend")]

HISTORIES, STEPS = 400, 30


def test_every_mutation_has_a_name_of_its_own() -> None:
    assert len({mutation.title for mutation in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.title)
def test_the_machine_fails_without(mutation: Mutation, database_url: str) -> None:
    runs = 0
    began = time.monotonic()

    def machine() -> RotationMachine:
        nonlocal runs
        runs += 1
        return RotationMachine(stage)

    with mutation.applied(), Stage.on(database_url, MASTERS) as stage:
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=HISTORIES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    derandomize=True,
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except Exception as failure:  # noqa: BLE001 - any failure kills a mutant
            seconds = time.monotonic() - began
            print(f"killed in history {runs} ({seconds:.1f} s) by {type(failure).__name__}")
            return
    pytest.fail(f"survived {runs} histories")
