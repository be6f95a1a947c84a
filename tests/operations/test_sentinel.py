"""A primary, a replica and three Sentinels: killed, frozen, replaced, flushed, under people's feet.

Nobody gets an error, nothing revoked is accepted for longer than the bound, and the new primary is
used within seconds. Every process connects with a password and the access list of docs/redis.md.
"""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr

from keyturn.cache.client import Cache
from keyturn.clock import SystemClock
from keyturn.errors import CacheUnavailable
from keyturn.settings_redis import RedisSettings
from keyturn.telemetry.metrics import Metrics
from support.failover import evict, flush, freeze, traffic_on
from support.redis_topologies import SERVICE, until, watched
from support.revoking import KEY, process

pytestmark = pytest.mark.operations

ISSUER = "http://localhost:8451"
SID = "019f3c1e-0000-7000-8000-000000000001"


@pytest.fixture(scope="module")
async def topology():
    async with watched() as running:
        yield running


@pytest.fixture(scope="module")
async def traffic(databases, topology):
    async with traffic_on(databases, topology, ISSUER) as flowing:
        yield flowing


def cache_on(url: str) -> Cache:
    return Cache(RedisSettings(url=SecretStr(url), timeout=2.0), Metrics(), SystemClock())


@pytest.mark.parametrize("trouble", [flush, evict], ids=lambda trouble: trouble.__name__)
async def test_a_primary_in_trouble_costs_nobody_anything(traffic, topology, trouble):
    await traffic.until_trusted()
    async with traffic.flowing():
        await trouble(await topology.owner())
        seconds = await traffic.until_trusted()
    print(f"{trouble.__name__}: trusted again after {seconds:.1f} s; {traffic.says()}")
    traffic.check()


@pytest.mark.long
async def test_a_frozen_primary_is_replaced_and_not_believed_when_it_thaws(traffic, topology):
    await topology.mend()
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
    await until(lambda: _is_replica(old))


async def test_a_primary_that_dies_is_replaced_and_its_successor_used_within_seconds(
    traffic, topology
):
    await topology.mend()
    await traffic.until_trusted()
    old = await topology.owner()
    async with traffic.flowing():
        old.server.kill()
        failover = await until(lambda: _is_another(topology, old))
        seconds = await traffic.until_trusted()
    print(f"killed: failover {failover:.1f} s, trusted {seconds:.1f} s later; {traffic.says()}")
    traffic.check()
    new = await topology.owner()
    assert await new.command("KEYS", "keyturn:*:revocations")
    await old.server.start()
    await old.protect()
    await topology.mend()


@pytest.mark.long
async def test_a_primary_that_was_replaced_behind_its_back_is_left_within_seconds(
    databases, topology
):
    """It goes on as a primary that answers us; the Sentinels cannot reach it any more.

    What its successor says proves nothing at first: its `upto` may be later than the one seen here
    and still be old.
    """
    await topology.mend()
    old = await topology.owner()
    async with (
        AsyncExitStack() as locked,
        databases.fresh() as url,
        process(url, topology.url, SystemClock()) as one,
        process(url, topology.url, SystemClock()) as copier,
    ):
        assert await copier.copier.run_round()
        await one.cache.watch()
        epoch = one.redis.epoch
        new = next(node for node in topology.nodes if node is not old)
        await until(lambda: new.command("ZSCORE", KEY, "upto"))
        await old.lock_out_operators()
        locked.push_async_callback(old.let_operators_in)
        await until(lambda: _named(topology, new))
        named = time.monotonic()
        await one.revoke(SID, announce=False)
        upto = await new.command("ZSCORE", KEY, "upto")
        await new.command("ZADD", KEY, float(upto) + 10**6, "upto")  # a copier that died since
        while one.redis.epoch == epoch:
            await one.cache.watch()
            assert time.monotonic() < named + 10, "never left"
            await asyncio.sleep(0.02)
        seconds = time.monotonic() - named
        assert not await one.accepts(SID)
        print(f"replaced: left the old primary {seconds:.2f} s after the Sentinels had")
        assert seconds < 2.5
    await topology.mend()


async def _named(topology, node):
    return await topology.owner() is node


async def _is_another(topology, old):
    return await topology.owner() is not old


async def _is_replica(node):
    return await node.role() == "slave"


@pytest.mark.long
async def test_a_replica_that_the_sentinels_name_is_not_asked(topology):
    """They are asked for the primary; one that is not says so itself."""
    await topology.mend()
    old = await topology.owner()
    cache = cache_on(topology.url)
    try:
        assert await cache.execute("PING") == b"PONG"
        other = next(node for node in topology.nodes if node is not old)
        await old.command("REPLICAOF", "127.0.0.1", other.port)
        await old.command("CLIENT", "KILL", "TYPE", "normal")
        with pytest.raises(CacheUnavailable, match="connection"):
            await cache.execute("PING")
        with pytest.raises(CacheUnavailable, match="NotThePrimary"):
            await cache.execute("PING")
        await old.command("REPLICAOF", "NO", "ONE")
        await topology.mend()
    finally:
        await cache.close()


async def test_sentinels_that_are_away_or_know_no_such_service_are_named(topology):
    wrong = cache_on(topology.url.replace(SERVICE, "nobody"))
    with pytest.raises(CacheUnavailable, match="NobodyKnows"):
        await wrong.execute("PING")
    await wrong.close()
    cache = cache_on(topology.url)
    await cache.execute("PING")
    for one in topology.sentinels:
        one.freeze()
    try:
        for _ in range(20):
            assert await cache.execute("PING") == b"PONG"
    finally:
        for one in topology.sentinels:
            one.thaw()
        await cache.close()
