"""It was done, and nobody was told: answers that are held back, and dropped with their lines."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from chaos.faults.fault import Fault
from chaos.world import World
from support.proxy import Proxy

LOOK = 0.005


async def cut_clients(world: World, rng: random.Random, seconds: float) -> None:
    """Drop the answers to apps, and the lines they would have come by."""
    await _again_and_again(seconds, lambda: _drop(world.front, rng))


async def cut_postgres(world: World, rng: random.Random, seconds: float) -> None:
    """Drop what PostgreSQL answers to a replica: whether it committed, only PostgreSQL knows."""
    port = world.databases.primary.port

    async def drop() -> None:
        spot = rng.choice(world.replica_set.serving)
        await _drop(spot.postgres_wires[port], rng)

    await _again_and_again(seconds, drop)


async def _again_and_again(seconds: float, drop: Callable[[], Awaitable[None]]) -> None:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        await drop()


async def _drop(wire: Proxy, rng: random.Random) -> None:
    """Hold answers back until one is held, or a moment has passed; drop what is held."""
    wire.hold("answers")
    try:
        deadline = time.monotonic() + rng.uniform(0.3, 1.0)
        while not wire.held["answers"] and time.monotonic() < deadline:
            await asyncio.sleep(LOOK)
        await asyncio.sleep(rng.uniform(0, 0.2))
        await wire.cut()
    finally:
        wire.release()
    await asyncio.sleep(rng.uniform(0.1, 0.4))


FAMILY = (
    Fault("F7", "Answers to apps lost", cut_clients),
    Fault("F8", "Answers of PostgreSQL lost", cut_postgres),
)
