"""What an operator does while people are there is done, and not merely tried."""

import random
from types import SimpleNamespace

import pytest

from chaos.faults import deployments


class Operator:
    """A world in which a command is refused so many times."""

    def __init__(self, refusals):
        self.refusals = refusals

    async def command(self, *_words):
        self.refusals -= 1
        return SimpleNamespace(code=1 if self.refusals >= 0 else 0, said="too young")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(deployments, "LEAD_PAUSE", 0.0)


async def test_a_key_whose_lead_is_not_over_is_let_sign_when_it_is():
    world = Operator(3)
    await deployments.rotate_keys(world, random.Random(1), 0.0)
    assert world.refusals == -1


async def test_a_key_that_may_never_sign_fails_the_run(monkeypatch):
    monkeypatch.setattr(deployments, "LEAD_PATIENCE", 0.05)
    with pytest.raises(AssertionError, match="too young"):
        await deployments.rotate_keys(Operator(10**9), random.Random(1), 0.0)
