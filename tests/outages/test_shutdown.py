"""SIGTERM to a server under load, behind a balancer that asks for readiness: no request fails.

The balancer is small and honest: it asks each server whether it is ready, every tenth of a
second, sends requests only to those that were, and never tries a request again.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx2
import pytest

from support.api import memoryless
from support.disturbed import disturbed, running, through
from support.fleet import App, Fleet, LostSignIn
from support.replicas import Replica

DRAIN = 2
LOOK = 0.1
"""Seconds between two looks at readiness; much less than the drain."""
APPS = 8
PATIENCE = 30.0


@dataclass
class Balancer:
    """Sends each request to the next server that was ready when it last looked."""

    replicas: Sequence[Replica]
    ready: list[Replica] = field(default_factory=list)
    noticed: dict[int, float] = field(default_factory=dict)
    """When a process was first seen not to be ready."""
    turns: count = field(default_factory=count)

    @classmethod
    @asynccontextmanager
    async def before(cls, replicas: Sequence[Replica]) -> AsyncIterator["Balancer"]:
        balancer = cls(replicas)
        await balancer.look()
        looking = asyncio.create_task(balancer.keep_looking())
        try:
            yield balancer
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            await self.look()

    async def look(self) -> None:
        async with httpx2.AsyncClient(verify=False) as caller:
            answers = [await self.is_ready(caller, one) for one in self.replicas]
        self.ready = [one for one, yes in zip(self.replicas, answers, strict=True) if yes]
        for one in self.replicas:
            if one not in self.ready:
                self.noticed.setdefault(one.process.pid, time.monotonic())

    async def is_ready(self, caller: httpx2.AsyncClient, replica: Replica) -> bool:
        try:
            answer = await caller.get(f"{replica.management_url}/health/ready")
        except httpx2.TransportError:
            return False
        return answer.status_code == 200

    def choose(self) -> Replica:
        return self.ready[next(self.turns) % len(self.ready)]


@dataclass
class Load:
    """Apps that refresh and callers that read the keys, all the time, over kept connections."""

    balancer: Balancer
    fleet: Fleet
    answered: Counter = field(default_factory=Counter)
    """Requests by the process that answered."""
    failed: list[str] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def on(cls, balancer: Balancer, fleet: Fleet) -> AsyncIterator["Load"]:
        load = cls(balancer, fleet)
        working = [asyncio.create_task(load.refresh(app)) for app in fleet.apps]
        working += [asyncio.create_task(load.read()) for _ in range(4)]
        try:
            yield load
        finally:
            for task in working:
                task.cancel()
            ended = await asyncio.gather(*working, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended

    async def refresh(self, app: App) -> None:
        while True:
            replica = self.balancer.choose()
            app.url = replica.url
            try:
                good = await app.attempt()
            except LostSignIn as error:
                good = False
                self.failed.append(str(error))
            self.note(replica, f"refresh: {app.statuses[-1:]}", good=good)
            await asyncio.sleep(0.02)

    async def read(self) -> None:
        async with httpx2.AsyncClient(cookies=memoryless()) as caller:
            while True:
                replica = self.balancer.choose()
                try:
                    answer = await caller.get(f"{replica.url}/.well-known/jwks.json")
                except httpx2.TransportError as error:
                    self.note(replica, f"jwks: {error!r}", good=False)
                else:
                    self.note(
                        replica, f"jwks: {answer.status_code}", good=answer.status_code == 200
                    )
                await asyncio.sleep(0.02)

    def note(self, replica: Replica, what: str, *, good: bool) -> None:
        self.answered[replica.process.pid] += 1
        if not good:
            self.failed.append(what)

    async def further(self, pid: int, requests: int) -> None:
        """Wait until this process has answered so many more."""
        wanted = self.answered[pid] + requests
        async with asyncio.timeout(PATIENCE):
            while self.answered[pid] < wanted:
                await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
async def world():
    """Each test ends a server of its own."""
    async with disturbed(2, server__drain_seconds=str(DRAIN)) as world:
        yield world


@pytest.fixture
async def fleet(world):
    fleet = await Fleet.of(world.api, APPS)
    yield fleet
    await fleet.close()


async def readiness(replica: Replica) -> int:
    async with httpx2.AsyncClient(verify=False) as caller:
        return (await caller.get(f"{replica.management_url}/health/ready")).status_code


async def until_draining(replica: Replica) -> None:
    async with asyncio.timeout(PATIENCE):
        while await readiness(replica) != 503:
            await asyncio.sleep(0.01)


async def exit_code(replica: Replica) -> int:
    return await asyncio.to_thread(replica.process.wait, PATIENCE)


async def test_F17_sigterm_under_load_is_not_ready_then_drained_then_exit_0_and_nobody_noticed(
    world, fleet
):
    leaving, other = world.api.replicas
    async with Balancer.before(world.api.replicas) as balancer, Load.on(balancer, fleet) as load:
        await load.further(leaving.process.pid, 50)
        leaving.process.send_signal(signal.SIGTERM)
        asked_at = time.monotonic()
        await until_draining(leaving)
        assert time.monotonic() - asked_at < DRAIN, "invalid: seen too late to be told apart"
        async with httpx2.AsyncClient(verify=False) as stranger:
            answer = await stranger.get(f"{leaving.url}/.well-known/jwks.json")
        assert answer.status_code == 200, "not ready, and yet it answers who is still coming"
        assert answer.headers["connection"] == "close"
        code = await exit_code(leaving)
        lasted = time.monotonic() - asked_at
        await load.further(other.process.pid, 50)
    print(f"{load.answered.total()} requests, failed {load.failed}, gone after {lasted:.2f} s")
    looked = balancer.noticed[leaving.process.pid] - asked_at
    assert not load.failed or looked < DRAIN / 2, "invalid: the balancer looked too late"
    assert load.failed == []
    assert code == 0
    assert lasted >= DRAIN
    await fleet.check_one_lineage()


async def test_F17_what_is_in_flight_when_the_port_closes_is_finished(world, fleet):
    """PostgreSQL's answer is held until the drain is over: the refresh is answered all the same."""
    leaving, wire = world.api.replicas[1], world.postgres_wires[1]
    fleet.go_to(leaving.url)
    await fleet.refresh()
    await fleet.outlive_the_grace()
    leaving.process.send_signal(signal.SIGTERM)
    await until_draining(leaving)
    await asyncio.sleep(DRAIN - 0.4)
    wire.hold("answers")
    attempts = fleet.attempts()
    await until_closed(leaving)
    assert not any(task.done() for task in attempts), "invalid: nothing was in flight"
    wire.release()
    assert all(await asyncio.gather(*attempts))
    assert await exit_code(leaving) == 0
    await fleet.check_one_lineage()


async def until_closed(replica: Replica) -> None:
    """Wait until nobody is accepted any more."""
    url = httpx2.URL(replica.url)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection(url.host, url.port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.01)


async def test_F17_a_second_sigterm_means_now_and_who_is_in_flight_is_told_to_come_again(
    world, fleet
):
    environ = through(world.wire, world.redis_wires[0], server__drain_seconds="60")
    async with running([environ]) as (leaving,):
        fleet.go_to(leaving.url)
        await fleet.refresh()
        await fleet.outlive_the_grace()
        world.wire.hold("answers")
        attempts = fleet.attempts()
        leaving.process.send_signal(signal.SIGTERM)
        await until_draining(leaving)
        again = time.monotonic()
        leaving.process.send_signal(signal.SIGTERM)
        code = await exit_code(leaving)
        lasted = time.monotonic() - again
        await world.wire.cut()
        world.wire.release()
    assert not any(await asyncio.gather(*attempts)), "invalid: nothing was in flight"
    assert [app.statuses[-1] for app in fleet.apps] == [503] * APPS
    print(f"gone {lasted:.2f} s after the second signal")
    assert lasted < 2.25, "it waited for the statements"
    assert code == 0
