"""A Cluster of three primaries, one with a replica: its slot moves away, it dies, it freezes.

All keys of an issuer are in one slot, so it is about one node at a time: the owner of that slot.
Every process connects with the access list of docs/redis.md, and knows two nodes, not the owner.
"""

import asyncio
import time

import pytest
from pydantic import SecretStr

from keyturn.cache.client import Cache, keyspace
from keyturn.clock import SystemClock
from keyturn.errors import CacheUnavailable
from keyturn.settings_redis import RedisSettings
from keyturn.telemetry.metrics import Metrics
from support.failover import evict, flush, freeze, traffic_on
from support.redis_topologies import clustered, until

pytestmark = pytest.mark.operations

ISSUER = "http://localhost:8452"


@pytest.fixture(scope="module")
async def topology():
    async with clustered(ISSUER) as running:
        yield running


@pytest.fixture(scope="module")
async def traffic(databases, topology):
    async with traffic_on(databases, topology, ISSUER) as flowing:
        yield flowing


@pytest.mark.parametrize("trouble", [flush, evict], ids=lambda trouble: trouble.__name__)
async def test_an_owner_in_trouble_costs_nobody_anything(traffic, topology, trouble):
    await traffic.until_trusted()
    async with traffic.flowing():
        await trouble(await topology.owner())
        seconds = await traffic.until_trusted()
    print(f"{trouble.__name__}: trusted again after {seconds:.1f} s; {traffic.says()}")
    traffic.check()


async def test_a_slot_that_moves_is_followed(traffic, topology):
    await traffic.until_trusted()
    old = await topology.owner()
    new = next(node for node in topology.primaries if node is not old)
    asked: list[int] = []

    async def half_way():
        """All keys are gone from the owner, which is still the owner: it says ASK."""
        before = await asks(old)
        await asyncio.sleep(1.0)
        asked.append(await asks(old) - before)

    async with traffic.flowing():
        await topology.move(new, half_way)
        assert await topology.owner() is new
        seconds = await traffic.until_trusted()
        assert await new.command("KEYS", "keyturn:*:revocations")
        await topology.move(old, _nothing)
        await traffic.until_trusted()
    print(f"moved: {asked[0]} ASK, trusted after {seconds:.1f} s; {traffic.says()}")
    traffic.check()
    assert asked[0] > 0, "invalid: nobody was redirected by ASK"


async def asks(node) -> int:
    """Return how often a node has answered ASK."""
    errors = await node.command("INFO", "errorstats")
    return int(errors.get("errorstat_ASK", {}).get("count", 0))


async def _nothing():
    return


async def test_redirections_lead_to_the_answer_in_one_call(topology):
    """What was written is read, before, while and after its slot moves, without a second call."""
    cache = Cache(RedisSettings(url=SecretStr(topology.url), timeout=2.0), Metrics(), SystemClock())
    key, add = keyspace(ISSUER, "counted"), "return redis.call('INCR', KEYS[1])"
    old = await topology.owner()
    new = next(node for node in topology.primaries if node is not old)
    try:
        assert await cache.eval(add, [key]) == 1  # MOVED: neither node of the URL is the owner
        epoch = cache.epoch

        async def half_way():
            with pytest.raises(CacheUnavailable, match="Redirected"):
                await cache.eval(add, [key], epoch=epoch)  # whoever would answer is another one
            assert await cache.eval(add, [key]) == 2  # ASK
            assert cache.epoch == epoch

        await topology.move(new, half_way)
        assert await cache.eval(add, [key]) == 3  # MOVED
        assert cache.epoch == epoch + 1, "another server: nothing is proven of it"
        with pytest.raises(CacheUnavailable, match="Redirected"):
            await cache.eval(add, [key], epoch=epoch)  # a claim that rests on the former one
        await topology.move(old, _nothing)
        assert await cache.eval(add, [key]) == 4
        await cache.execute("DEL", key)
    finally:
        await cache.close()


@pytest.mark.long
async def test_a_frozen_owner_is_replaced_and_not_believed_when_it_thaws(traffic, topology):
    await until(topology.is_safe)
    await traffic.until_trusted()
    old = await topology.owner()
    async with traffic.flowing():
        began = time.monotonic()
        await freeze(old)
        await until(lambda: _is_another(topology, old))
        await traffic.until_trusted()
        seconds = time.monotonic() - began
    print(f"frozen: trusted again after {seconds:.1f} s; {traffic.says()}")
    traffic.check()


async def test_an_owner_that_dies_is_replaced_and_its_successor_used_within_seconds(
    traffic, topology
):
    await until(topology.is_safe)
    await traffic.until_trusted()
    old = await topology.owner()
    async with traffic.flowing():
        old.server.kill()
        failover = await until(lambda: _is_another(topology, old))
        seconds = await traffic.until_trusted()
    print(f"killed: failover {failover:.1f} s, trusted {seconds:.1f} s later; {traffic.says()}")
    traffic.check()
    assert await (await topology.owner()).command("KEYS", "keyturn:*:revocations")


async def _is_another(topology, old):
    return await topology.owner() is not old
