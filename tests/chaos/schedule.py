"""Which fault comes when: by a seed, every one before any comes again, with calm between."""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaos.faults import FAULTS
from chaos.world import World

FIRST = 3.0
"""Seconds before the first fault: everybody is signed in and refreshes."""
CALM = (0.4, 1.2)


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault, its length, and the calm before it; all in seconds."""

    fault: str
    calm: float
    seconds: float
    seed: int
    """Of the fault's own choices."""


def plan(seed: int, seconds: float) -> list[Planned]:
    """Return the faults of a run of so many seconds, most of which machines will get to.

    How long it takes to mend is the machine's affair, so more may be planned than is played.
    """
    rng = random.Random(seed)
    planned, took = [], FIRST
    for fault in _rounds(rng):
        lasting = FAULTS[fault].lasting
        one = Planned(fault, rng.uniform(*CALM), rng.uniform(*lasting), rng.randrange(2**32))
        took += one.calm + one.seconds
        if took > seconds:
            return planned
        planned.append(one)
    raise AssertionError("rounds never end")


async def play(world: World, planned: Sequence[Planned], seconds: float) -> None:
    """Inject one after the other until the time is over; the world is whole when this returns."""
    ends_at = time.monotonic() + seconds
    await asyncio.sleep(FIRST)
    for one in planned:
        await asyncio.sleep(one.calm)
        if time.monotonic() + one.seconds > ends_at:
            break
        await strike(world, one)
    await asyncio.sleep(max(0.0, ends_at - time.monotonic()))


async def strike(world: World, one: Planned) -> None:
    """Inject one fault; it has ended once everything is there again."""
    world.note(one.fault, "begins")
    try:
        await FAULTS[one.fault].inject(world, random.Random(one.seed), one.seconds)
    finally:
        await world.whole()
        world.note(one.fault, "ends")


def _rounds(rng: random.Random) -> Iterator[str]:
    while True:
        order = sorted(FAULTS)
        rng.shuffle(order)
        yield from order
