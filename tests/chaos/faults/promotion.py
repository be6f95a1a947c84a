"""The standby becomes the primary: lagging, or while the former primary lives on, out of reach."""

import asyncio
import random
import time

from chaos.faults.fault import Fault
from chaos.faults.lost_rotations import Generations, generations, went_back
from chaos.world import World
from support.disturbed import connected
from support.replicas import Replica

MARGIN = 0.5
"""Of the grace that a standby may lag: a session that rotated twice in the lag could not heal."""
TRIES = 3
PATIENCE = 90.0


async def lag(world: World, _rng: random.Random, seconds: float) -> None:
    """Hold back what the standby follows; kill the primary; promote, without those seconds."""
    pair = world.databases.pair
    await _hold_back(world, min(seconds, world.grace * MARGIN))
    before = await generations(pair.primary)
    await asyncio.to_thread(pair.primary.server.kill)
    await _promote(world, before)
    await _succeed(world)


async def fence(world: World, _rng: random.Random, seconds: float) -> None:
    """Cut the primary, which lives and takes writes, off from all, the standby first; promote."""
    former = world.databases.primary
    await _hold_back(world, min(seconds, world.grace * MARGIN) / 2)
    await asyncio.gather(*(wires[former.port].refuse() for wires in world.postgres_wires))
    await _promote(world, await generations(former))
    await asyncio.sleep(seconds)
    async with connected(former.url) as sql:
        assert not await sql.fetchval("select pg_is_in_recovery()"), "invalid: it takes no writes"
    await _succeed(world)


async def point_at_standby(world: World, _rng: random.Random, seconds: float) -> None:
    """Start a replica whose only server is the standby: it must not say that it is ready."""
    spare = world.replica_set.free
    wire = spare.postgres_wires[world.databases.pair.standby.port]
    url = f"postgresql://keyturn@127.0.0.1:{wire.port}/keyturn"
    replica = world.replica_set.launch(spare, KEYTURN_POSTGRES__URL=url)
    try:
        await _until_up(replica)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert not await asyncio.to_thread(replica.is_ready), "ready, on a standby"
            await asyncio.sleep(0.1)
    finally:
        await world.replica_set.kill(spare)


async def _until_up(replica: Replica) -> None:
    """Until then it could not have said that it is ready; one that ends has not said so."""
    deadline = time.monotonic() + PATIENCE
    while replica.process.poll() is None and not await asyncio.to_thread(replica.is_live):
        assert time.monotonic() < deadline, "invalid: the replica was never up"
        await asyncio.sleep(0.1)


async def _hold_back(world: World, seconds: float) -> None:
    """Let the standby lag for so long; begin again when this process was late to look."""
    wire = world.databases.pair.wire
    for _ in range(TRIES):
        began = time.monotonic()
        wire.hold("answers")
        await asyncio.sleep(seconds)
        if time.monotonic() < began + world.grace * (MARGIN + 0.2):
            return
        wire.release()
        await world.databases.pair.caught_up()
    raise AssertionError("invalid: this machine cannot lag for less than the grace")


async def _promote(world: World, before: Generations) -> None:
    """What the standby has now is all that will be left: nothing reaches it any more."""
    world.note_undone(went_back(before, await generations(world.databases.pair.standby)))
    await world.databases.promote()


async def _succeed(world: World) -> None:
    await world.databases.succeed()
    world.lead_to(world.databases)


FAMILY = (
    Fault("F4", "A lagging standby promoted", lag),
    Fault("F5", "The primary fenced, and the standby promoted", fence),
    Fault("F6", "A replica pointed at the standby", point_at_standby),
)
