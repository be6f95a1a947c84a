"""The primary goes away and comes back: stopped, frozen, killed."""

import asyncio
import random

from chaos.faults.fault import Fault
from chaos.faults.lost_rotations import generations, went_back
from chaos.world import World


async def stop(world: World, _rng: random.Random, seconds: float) -> None:
    """Stop it cleanly, and start it again."""
    await world.databases.primary.server.stop()
    try:
        await asyncio.sleep(seconds)
    finally:
        await world.databases.start_primary()


async def freeze(world: World, _rng: random.Random, seconds: float) -> None:
    """Let no process of it go on: nobody hangs up, nobody answers."""
    server = world.databases.primary.server
    server.freeze()
    try:
        await asyncio.sleep(seconds)
    finally:
        server.thaw()


async def kill(world: World, _rng: random.Random, seconds: float) -> None:
    """SIGKILL all of it at one instant; its last asynchronous commits are gone."""
    primary = world.databases.primary
    before = await generations(primary)
    await asyncio.to_thread(primary.server.kill)
    try:
        await asyncio.sleep(seconds)
    finally:
        await world.databases.start_primary()
    world.note_undone(went_back(before, await generations(primary)))


FAMILY = (
    Fault("F1", "PostgreSQL stopped and started", stop),
    Fault("F2", "PostgreSQL frozen", freeze),
    Fault("F3", "PostgreSQL killed", kill),
)
