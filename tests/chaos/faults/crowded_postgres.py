"""PostgreSQL is there, and no good: slow, full, locked, read-only, at odds with itself, busy."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg

from chaos.faults.fault import Fault
from chaos.world import World
from support.disturbed import connected
from support.proxy import Proxy

SLOW = 0.3
AT_ONCE = 8
EXPIRED = 20_000
INSERT_EXPIRED = """
insert into sessions (id, user_id, client_id, scopes, audiences, token_hash, next_hash,
                      idle_lifetime, idle_expires_at, expires_at, auth_time, device)
select (lpad(to_hex((extract(epoch from now() - interval '2 days') * 1000)::bigint), 12, '0')
        || substr(replace(gen_random_uuid()::text, '-', ''), 13))::uuid,
       gen_random_uuid(), 'app', '{}', '{}', sha256(''), sha256(''), interval '1 day',
       now() - interval '1 day', now() - interval '1 day', now() - interval '2 days', $2
  from generate_series(1, $1)
"""
MARK = "an expired one of the chaos run"


async def slow(world: World, _rng: random.Random, seconds: float) -> None:
    """Let each piece of an answer arrive later."""
    wires = _postgres_wires(world)
    for wire in wires:
        wire.delay = SLOW
    try:
        await asyncio.sleep(seconds)
    finally:
        for wire in wires:
            wire.delay = 0.0


async def crowd(world: World, _rng: random.Random, seconds: float) -> None:
    """Take every connection that it has, and cut those of the replicas, who come back for more."""
    async with AsyncExitStack() as held:
        await asyncio.gather(*(wire.cut() for wire in _postgres_wires(world)))
        await asyncio.gather(*(_fill(world, held) for _ in range(AT_ONCE)))
        await asyncio.sleep(seconds)


async def lock(world: World, rng: random.Random, seconds: float) -> None:
    """Hold the rows of many sessions."""
    share = rng.uniform(0.3, 0.9)
    async with connected(world.sql.url) as sql, sql.transaction():
        await sql.execute("select id from sessions where random() < $1 for update", share)
        await asyncio.sleep(seconds)


async def read_only(world: World, _rng: random.Random, seconds: float) -> None:
    """Take no writes, as a server whose disk is full."""
    async with _setting(world, "default_transaction_read_only", "on"):
        await asyncio.sleep(seconds)


async def conflict(world: World, _rng: random.Random, seconds: float) -> None:
    """Let whoever meets another's change of a row fail by 40001 instead of reading it again."""
    async with _setting(world, "default_transaction_isolation", "repeatable read"):
        await asyncio.sleep(seconds)


async def expire(world: World, _rng: random.Random, _seconds: float) -> None:
    """Let many sessions have expired, and purge them."""
    await world.sql.execute(INSERT_EXPIRED, EXPIRED, MARK)
    done = await world.command("purge")
    assert done.code == 0, done.said
    left = await world.sql.fetchval("select count(*) from sessions where device = $1", MARK)
    assert left == 0, f"{left} expired sessions are still there"


async def _fill(world: World, held: AsyncExitStack) -> None:
    while True:
        try:
            await held.enter_async_context(connected(world.sql.url))
        except asyncpg.TooManyConnectionsError:
            return


@asynccontextmanager
async def _setting(world: World, name: str, value: str) -> AsyncIterator[None]:
    await _tell(world, f"alter system set {name} = '{value}'")
    try:
        yield
    finally:
        await _tell(world, f"alter system reset {name}")


async def _tell(world: World, statement: str) -> None:
    await world.sql.execute(statement)
    await world.sql.execute("select pg_reload_conf()")


def _postgres_wires(world: World) -> list[Proxy]:
    return [wire for spot in world.replica_set.spots for wire in spot.postgres_wires.values()]


FAMILY = (
    Fault("F9", "PostgreSQL slow", slow),
    Fault("F10", "PostgreSQL out of connections", crowd),
    Fault("F11", "Rows locked", lock),
    Fault("F12", "PostgreSQL read-only", read_only),
    Fault("F13", "Serialization errors", conflict),
    Fault("F30", "Expired rows purged", expire),
)
