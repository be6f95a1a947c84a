"""Redis goes away, hangs, forgets, refuses writes, holds rubbish or what is old, answers late."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio

from chaos.faults.fault import LONG, Fault
from chaos.world import World

LATE = 0.2
FOR_EVER = 0
"""The time to live of a key that has none, as RESTORE wants it."""
NOBODY = ("127.0.0.1", "1")
"""A master that is never there: who follows it keeps what it has and takes no writes."""


async def kill(world: World, _rng: random.Random, seconds: float) -> None:
    """SIGKILL it; it comes back empty."""
    await asyncio.to_thread(world.valkey.kill)
    try:
        await asyncio.sleep(seconds)
    finally:
        await world.valkey.start()


async def freeze(world: World, _rng: random.Random, seconds: float) -> None:
    """Let it hang with all its connections."""
    world.valkey.freeze()
    try:
        await asyncio.sleep(seconds)
    finally:
        world.valkey.thaw()


async def cut_off(world: World, rng: random.Random, seconds: float) -> None:
    """Let one replica alone not reach it."""
    wire = rng.choice(world.replica_set.serving).redis_wire
    await wire.refuse()
    try:
        await asyncio.sleep(seconds)
    finally:
        await wire.mend()


async def flush(world: World, rng: random.Random, seconds: float) -> None:
    """Let it forget everything, a few times."""
    async with _operator(world) as client:
        for _ in range(3):
            await client.flushall()
            await asyncio.sleep(rng.uniform(0, seconds / 2))


async def follow(world: World, _rng: random.Random, seconds: float) -> None:
    """Let it be a replica: it answers from what it has, and takes no writes."""
    async with _operator(world) as client:
        await client.execute_command("REPLICAOF", *NOBODY)
        try:
            await asyncio.sleep(seconds)
        finally:
            await client.execute_command("REPLICAOF", "NO", "ONE")


async def spoil(world: World, rng: random.Random, seconds: float) -> None:
    """Put lists of junk where everything is."""
    async with _operator(world) as client:
        for _ in range(3):
            async with client.pipeline(transaction=True) as together:
                for key in await client.keys("*"):
                    together.delete(key).lpush(key, "junk")
                await together.execute()
            await asyncio.sleep(rng.uniform(0, seconds / 2))


async def roll_back(world: World, _rng: random.Random, seconds: float) -> None:
    """Put back everything it held some seconds ago, as a lagging replica that is promoted does."""
    async with _operator(world) as client:
        keys = await client.keys("*")
        kept = {key: (await client.dump(key), await client.pttl(key)) for key in keys}
        await asyncio.sleep(seconds)
        async with client.pipeline(transaction=True) as together:
            together.flushall()
            for key, (old, left) in kept.items():
                if old is not None:
                    together.restore(key, max(left, FOR_EVER), old)
            await together.execute()


async def delay(world: World, _rng: random.Random, seconds: float) -> None:
    """Let each answer come later than a replica waits for it."""
    wires = [spot.redis_wire for spot in world.replica_set.spots]
    for wire in wires:
        wire.delay = LATE
    try:
        await asyncio.sleep(seconds)
    finally:
        for wire in wires:
            wire.delay = 0.0


@asynccontextmanager
async def _operator(world: World) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.from_url(world.valkey.url, protocol=2) as client:
        yield client


FAMILY = (
    Fault("F14-killed", "Redis killed", kill, LONG),
    Fault("F14-frozen", "Redis frozen", freeze, LONG),
    Fault("F14-cut", "One replica cut off from Redis", cut_off, LONG),
    Fault("F14-flushed", "Redis flushed", flush, LONG),
    Fault("F14-read-only", "Redis read-only", follow, LONG),
    Fault("F14-junk", "Redis full of junk", spoil, LONG),
    Fault("F14-old", "Redis rolled back", roll_back, LONG),
    Fault("F15", "Redis late", delay, LONG),
)
