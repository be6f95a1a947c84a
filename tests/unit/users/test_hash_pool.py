"""The pool that hashes run in: bounded, and without leaks (CR-3)."""

import asyncio
import threading

import pytest

from keyturn.clock import SystemClock
from keyturn.errors import Unavailable
from keyturn.settings_credentials import PasswordsSettings
from keyturn.telemetry.metrics import Metrics
from keyturn.users.hash_pool import HashPool, cores


class Gate:
    """Work that holds its thread until the gate opens, and counts how many run at once."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.lock = threading.Lock()
        self.running = self.most = self.done = 0

    def __call__(self) -> str:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.open.wait(20)
        with self.lock:
            self.running -= 1
            self.done += 1
        return "done"


@pytest.fixture
async def gate():
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
async def make_pool(gate):
    pools = []

    def make(**settings) -> HashPool:
        pools.append(HashPool(PasswordsSettings(**settings), Metrics(), SystemClock()))
        return pools[-1]

    yield make
    gate.open.set()
    for pool in pools:
        await pool.close()


def sample(pool: HashPool, name: str, **labels: str) -> float | None:
    return pool.metrics.registry.get_sample_value(f"keyturn_password_hash_{name}", labels)


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.002)


async def test_as_many_run_at_once_as_there_are_workers(make_pool, gate):
    pool = make_pool(workers=2, queue_limit=10)
    tasks = [asyncio.create_task(pool.run(gate)) for _ in range(8)]
    await until(lambda: gate.running == 2)
    assert sample(pool, "queue_length") == 6
    gate.open.set()
    assert await asyncio.gather(*tasks) == ["done"] * 8
    assert gate.most == 2
    await until(lambda: sample(pool, "queue_length") == 0)
    assert sample(pool, "duration_seconds_count", algorithm="argon2") == 8


async def test_without_a_setting_there_is_a_worker_a_core(make_pool, gate):
    pool = make_pool(queue_limit=100)
    tasks = [asyncio.create_task(pool.run(gate)) for _ in range(cores() + 5)]
    await until(lambda: gate.running == cores())
    gate.open.set()
    await asyncio.gather(*tasks)
    assert gate.most == cores()


async def test_beyond_the_queue_callers_are_turned_away_at_once(make_pool, gate):
    pool = make_pool(workers=1, queue_limit=3)
    tasks = [asyncio.create_task(pool.run(gate)) for _ in range(4)]
    await until(lambda: gate.running == 1)
    with pytest.raises(Unavailable) as refusal:
        await pool.run(gate)
    assert (refusal.value.status, refusal.value.retry_after) == (503, 2)
    assert sample(pool, "refused_total", reason="queue") == 1
    gate.open.set()
    await asyncio.gather(*tasks)
    await until(lambda: pool._held == 0)
    assert await pool.run(gate) == "done"


async def test_who_stops_waiting_frees_the_place(make_pool, gate):
    pool = make_pool(workers=1, queue_limit=3)
    running = asyncio.create_task(pool.run(gate))
    await until(lambda: gate.running == 1)
    for _ in range(50):
        waiting = [asyncio.create_task(pool.run(gate)) for _ in range(3)]
        await until(lambda: pool._held == 4)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await until(lambda: pool._held == 1)
    gate.open.set()
    assert await running == "done"
    assert gate.done == 1, "what was called off must not be hashed"


async def test_a_hash_that_runs_holds_its_place_although_nobody_waits(make_pool, gate):
    """A running hash cannot be stopped: counting it as gone would let callers overfill memory."""
    pool = make_pool(workers=1, queue_limit=1)
    running = asyncio.create_task(pool.run(gate))
    await until(lambda: gate.running == 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert pool._held == 1
    gate.open.set()
    await until(lambda: pool._held == 0)


async def test_the_deadline_turns_waiters_away_and_frees_their_places(make_pool, gate):
    pool = make_pool(workers=1, queue_limit=5, deadline=0.05)
    results = await asyncio.gather(*(pool.run(gate) for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 4
    assert sample(pool, "refused_total", reason="deadline") == 4
    assert pool._held == 1
    gate.open.set()
    await until(lambda: pool._held == 0)


async def test_an_error_in_the_work_reaches_the_caller(make_pool):
    pool = make_pool(workers=1)
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    await until(lambda: pool._held == 0)
