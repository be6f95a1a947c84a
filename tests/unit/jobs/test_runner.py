"""Jobs go on, whatever happens to one of them."""

import asyncio

import pytest

from keyturn.errors import CacheUnavailable, Unavailable
from keyturn.jobs import runner
from keyturn.jobs.runner import Every, Runner

PATIENCE = 30.0


async def until(holds):
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.002)


class Work:
    """Fails as told, then succeeds."""

    def __init__(self, *troubles):
        self.troubles = list(troubles)
        self.done = 0

    async def __call__(self):
        if self.troubles:
            raise self.troubles.pop(0)
        self.done += 1


@pytest.fixture
def restart_soon(monkeypatch):
    monkeypatch.setattr(runner, "RESTART", 0.01)


async def stopped():
    return None


async def run_until(jobs, holds, on_stop=stopped):
    task = asyncio.create_task(Runner(jobs, on_stop).run())
    try:
        await until(holds)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_job_goes_on_after_trouble_with_either_store():
    work = Work(Unavailable("db"), CacheUnavailable("redis"), Unavailable("db"))
    await run_until([Every("work", 0.005, work)], lambda: work.done >= 3)
    assert work.troubles == []


async def test_a_mistake_of_ours_in_one_job_stops_neither_it_nor_the_others(restart_soon):
    broken, sound = Work(ZeroDivisionError(), KeyError("x")), Work()
    jobs = [Every("broken", 0.005, broken), Every("sound", 0.005, sound)]
    await run_until(jobs, lambda: broken.done >= 2 and sound.done >= 2)


async def test_stopping_waits_for_every_job_and_then_resigns():
    order = []

    class Slow:
        async def run(self):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                order.append("job stopped")

    async def resign():
        order.append("resigned")

    work = Work()
    await run_until([Slow(), Every("work", 0.005, work)], lambda: work.done, resign)
    assert order == ["job stopped", "resigned"]


async def test_trouble_is_told_once_and_so_is_recovery(capsys):
    work = Work(*(Unavailable("db") for _ in range(5)))
    job = Every("work", 0.001, work)
    task = asyncio.create_task(job.run())
    await until(lambda: work.done >= 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    told = capsys.readouterr().out
    assert told.count("job_failing") == 1
    assert told.count("job_recovered") == 1
