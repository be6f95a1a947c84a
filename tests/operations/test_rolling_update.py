"""A rolling update under load: two replicas behind a balancer are replaced, and nobody notices."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.rollout import Deployment, deployed

pytestmark = pytest.mark.operations


@pytest.fixture
async def world(program, keyed_database_url, redis_url) -> AsyncIterator[Deployment]:
    async with deployed(program("haproxy", "haproxy"), keyed_database_url, redis_url) as world:
        yield world


async def test_a_rolling_update_under_load_fails_no_request(world):
    traffic = await world.traffic()
    async with traffic.flowing():
        await traffic.go_on(200)
        await world.replicas.roll(world.api.settings)
        await traffic.go_on(200)
    served = await world.replicas.balancer.requests()
    traffic.report("rolling update, two replicas")
    print("requests by replica:", served)
    assert traffic.failed == []
    assert min(served.values()) > 20, "invalid: one of the four served hardly anything"
    assert all(person.rotations for person in traffic.people if person.client_id != "app")


async def test_without_draining_the_same_load_does_fail(world):
    """The control: the same callers notice a replica that is killed."""
    traffic = await world.traffic()
    async with traffic.flowing():
        await traffic.go_on()
        place, victim = next(iter(world.replicas.serving.items()))
        await asyncio.to_thread(victim.kill)
        await world.replicas.balancer.until(place, "DOWN")
        await traffic.go_on(20)
    traffic.report("control, one of two replicas killed")
    assert traffic.failed
