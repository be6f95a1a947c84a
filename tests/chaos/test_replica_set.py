"""A server that ends by itself is no server that a fault ended."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import pytest

from chaos.replica_set import REPLICAS, SPARE, ReplicaSet, Spot
from support.replicas import Replica

SERVER = "import time; time.sleep(600)"
DYING = "print('out of memory', flush=True); raise SystemExit(7)"


class Balancer:
    """Finds everybody as they are wanted, and remembers what was."""

    def __init__(self):
        self.wanted = []

    async def until(self, _place, state):
        self.wanted.append(state)


class ServersOf:
    """Starts this program instead of ours."""

    def __init__(self, text):
        self.text = text

    def launch(self, environ, log, *command):
        with log.open("ab") as output:
            return subprocess.Popen([sys.executable, "-c", self.text], stdout=output)


@pytest.fixture
def running():
    wire = SimpleNamespace(port=1)
    place = SimpleNamespace(port=1, management_port=1, settings={})
    spots = [Spot(place, {1: wire}, wire) for _ in range(REPLICAS + SPARE)]
    one = ReplicaSet(Balancer(), ServersOf(SERVER), {}, spots)
    yield one
    one._end()


async def test_who_was_killed_is_replaced(running):
    await running.mend()
    await running.kill(running.serving[0])
    assert [spot.replica is None for spot in running.spots] == [True, False, True, True]
    await running.mend()
    assert len(running.serving) == 2


async def test_who_died_by_itself_is_not_replaced_in_silence(running):
    await running.mend()
    running.starts = ServersOf(DYING)
    replica = running.launch(running.free)
    await asyncio.to_thread(replica.process.wait)
    with pytest.raises(AssertionError, match="died by itself") as said:
        await running.mend()
    assert "out of memory" in str(said.value)


async def test_a_roll_has_all_new_ones_before_any_old_one_goes(running, monkeypatch):
    monkeypatch.setattr(Replica, "terminate", lambda one, _patience: one.kill() or 0)
    await running.mend()
    old = [spot.replica for spot in running.serving]
    running.balancer.wanted.clear()
    await running.roll()
    assert running.balancer.wanted == ["UP", "UP", "DOWN", "DOWN"]
    assert len(running.serving) == REPLICAS
    assert not {id(one) for one in old} & {id(spot.replica) for spot in running.serving}
