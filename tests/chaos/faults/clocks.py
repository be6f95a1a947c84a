"""The clock of one replica is wrong."""

import asyncio
import random

from chaos.faults.fault import Fault
from chaos.world import World
from support import wrong_clock

STEPS = (300, -300, -3600)
"""Seconds: five minutes either way, an hour back."""


async def step(world: World, rng: random.Random, seconds: float) -> None:
    """Replace a replica by one whose clock is wrong, and that by one whose clock is right."""
    replica_set, wrong_by = world.replica_set, rng.choice(STEPS)
    right, other = replica_set.serving[0], replica_set.free
    await replica_set.start(other, wrong_clock.COMMAND, str(wrong_by))
    await replica_set.stop(right)
    await asyncio.sleep(seconds)
    await replica_set.start(right)
    await replica_set.stop(other)


FAMILY = (Fault("F19", "The clock of one replica stepped", step),)
