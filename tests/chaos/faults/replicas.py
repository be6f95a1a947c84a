"""Replicas end: killed at any moment, killed between a commit and its answer, replaced politely."""

import asyncio
import random
import time

from chaos.faults.fault import Fault
from chaos.world import World

LOOK = 0.005


async def kill(world: World, rng: random.Random, seconds: float) -> None:
    """SIGKILL one, and start it again."""
    spot = rng.choice(world.replica_set.serving)
    await world.replica_set.kill(spot)
    await asyncio.sleep(seconds)
    await world.replica_set.start(spot)


async def kill_uninformed(world: World, rng: random.Random, seconds: float) -> None:
    """SIGKILL one while PostgreSQL's answer to it is on its way: what it did, nobody saw."""
    spot = rng.choice(world.replica_set.serving)
    wire = spot.postgres_wires[world.databases.primary.port]
    wire.hold("answers")
    try:
        deadline = time.monotonic() + seconds
        while not wire.held["answers"] and time.monotonic() < deadline:
            await asyncio.sleep(LOOK)
        await world.replica_set.kill(spot)
        await wire.cut()
    finally:
        wire.release()
    await world.replica_set.start(spot)


async def roll(world: World, _rng: random.Random, _seconds: float) -> None:
    """Replace all, the new ones first: SIGTERM, drain, end."""
    await world.replica_set.roll()


FAMILY = (
    Fault("F16", "A replica killed", kill),
    Fault("F16-commit", "A replica killed between commit and answer", kill_uninformed),
    Fault("F17", "A rolling restart", roll),
)
