"""Which replica copies revocations: one that leads and can do it, else another."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import redis.asyncio

from keyturn.app import _upkeep
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.errors import CacheUnavailable
from keyturn.jobs.copy_revocations import POST, ROUNDS, CopyRevocations
from keyturn.jobs.leader import Leadership
from keyturn.parts import Parts
from keyturn.revocation.copy import Copy
from keyturn.telemetry.metrics import Metrics
from support import replicas
from support.patience import patient
from support.revoking import KEY, Process, process

NOWHERE = "redis://127.0.0.1:1"


@dataclass
class Replica:
    """One process with the job, and its posts."""

    process: Process
    leadership: Leadership
    job: CopyRevocations

    async def copies(self) -> bool:
        """Run the job once; return whether it copied."""
        before = self.process.copies("copied")
        await self.job.run_once()
        return self.process.copies("copied") > before


@pytest.fixture
async def replica(database_url, redis_url):
    """Makes a replica on the test's PostgreSQL and Redis, or on another Redis."""
    async with AsyncExitStack() as stack:

        async def make(redis: str = redis_url) -> Replica:
            running = await stack.enter_async_context(process(database_url, redis))
            leadership = Leadership(patient(database_url), Metrics())
            stack.push_async_callback(leadership.resign)
            return Replica(running, leadership, CopyRevocations(running.copier, leadership))

        yield make


async def test_of_two_replicas_one_copies(replica):
    first, second = await replica(), await replica()
    assert await first.copies()
    assert not await second.copies()
    assert await first.copies()


async def test_a_leader_that_cannot_reach_redis_leaves_copying_to_another(replica, redis_url):
    cut_off, other = await replica(NOWHERE), await replica()
    assert await cut_off.leadership.leads("purge")
    for failures in range(ROUNDS):
        assert failures == 0 or not await other.copies()
        with pytest.raises(CacheUnavailable):
            await cut_off.copies()
    assert cut_off.process.copies("failed") == ROUNDS
    assert not await cut_off.copies()
    assert await other.copies()
    assert not await cut_off.leadership.leads(POST)
    assert not await other.leadership.leads("purge")
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.zscore(KEY, "upto") is not None


async def test_a_leader_that_is_too_slow_to_be_believed_leaves_copying_to_another(replica):
    slow, other = await replica(), await replica()
    slow.process.copier.copy = Copy(slow.process.redis, KEY, patience=-1.0)
    for failures in range(ROUNDS):
        assert failures == 0 or not await other.copies()
        assert not await slow.copies()
    assert slow.process.copies("late") == ROUNDS
    assert await other.copies()


async def test_failures_with_a_success_between_them_are_no_reason_to_leave(replica):
    one, other = await replica(), await replica()
    copies, always_late = one.process.copier.copy, Copy(one.process.redis, KEY, patience=-1.0)
    for _ in range(ROUNDS):
        one.process.copier.copy = always_late
        assert not await one.copies()
        one.process.copier.copy = copies
        assert await one.copies()
        assert not await other.copies()


async def test_who_left_applies_again_when_nobody_else_wants_to_copy(replica):
    alone = await replica()
    working = alone.process.copier.copy
    alone.process.copier.copy = Copy(alone.process.redis, KEY, patience=-1.0)
    for _ in range(ROUNDS):
        assert not await alone.copies()
    alone.process.copier.copy = working
    assert [await alone.copies() for _ in range(ROUNDS + 1)] == [False] * ROUNDS + [True]


@pytest.mark.parametrize("trust", ["2.0", "0.5"])
async def test_how_late_a_claim_may_be_and_how_long_it_is_believed_are_two_seconds_and_a_half(
    database_url, redis_url, trust
):
    environ = replicas.settings(database_url, redis_url, revocation__trust=trust)
    parts = Parts.of(load_settings(environ), SystemClock())
    jobs = _upkeep(parts, Leadership(parts.settings.postgres, parts.metrics))
    (work,) = [job.work for job in jobs if getattr(job, "name", "") == "copy_revocations"]
    assert work.__self__.copier.copy.patience == 2.5 - float(trust)
    assert parts.revocation_cache.freshness.trust == float(trust)
    await parts.close()
