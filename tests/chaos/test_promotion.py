"""Faults that could pass without having happened say so."""

import random
import time
from types import SimpleNamespace
from uuid import uuid4

import pytest

from chaos.faults import promotion
from chaos.faults.lost_rotations import went_back
from chaos.history import History
from chaos.judge import judge
from chaos.promises import Promises
from chaos.report import report


class SlowReplica:
    """Up after some questions; ready, on a standby, as soon as it is up."""

    def __init__(self, *, ends=False):
        self.questions = 0
        self.process = SimpleNamespace(poll=lambda: 1 if ends else None)

    def is_live(self):
        self.questions += 1
        return self.questions > 3

    def is_ready(self):
        return self.questions > 3


def world_with(replica):
    async def kill(_spot):
        pass

    pair = SimpleNamespace(standby=SimpleNamespace(port=1))
    free = SimpleNamespace(postgres_wires={1: SimpleNamespace(port=1)})
    replica_set = SimpleNamespace(free=free, launch=lambda *_, **__: replica, kill=kill)
    return SimpleNamespace(databases=SimpleNamespace(pair=pair), replica_set=replica_set)


async def test_a_replica_that_needs_long_to_be_up_is_still_asked_whether_it_is_ready():
    with pytest.raises(AssertionError, match="ready, on a standby"):
        await promotion.point_at_standby(world_with(SlowReplica()), random.Random(1), 0.05)


async def test_a_replica_that_ends_at_once_is_not_waited_for():
    await promotion.point_at_standby(world_with(SlowReplica(ends=True)), random.Random(1), 0.05)


def test_sessions_of_which_an_older_token_is_current_again_are_counted():
    back, on, same, gone = (uuid4() for _ in range(4))
    before = {back: 3, on: 3, same: 3, gone: 3}
    assert went_back(before, {back: 2, on: 4, same: 3}) == 1


def test_what_a_fault_undid_is_reported():
    history = History(time.monotonic, b"salt")
    history.note("F4", "begins")
    history.note("F4", "undoes", 5)
    history.note("F4", "ends")
    verdict = judge(history.events, Promises())
    assert verdict.undone == {"F4": 5}
    assert len(verdict.windows) == 1
    assert "rotations undone, which must heal: F4 5" in report("A run", verdict, {})
