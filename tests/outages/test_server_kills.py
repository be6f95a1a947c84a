"""`kill -9` of a server while apps refresh: every retry is answered, and there is one lineage.

Two replicas take turns: one is killed, the apps go on at the other. A proxy between server and
PostgreSQL holds answers back, so that the kill falls between commit and answer; the other kills
fall wherever they fall. What happened is counted from the database and from what the apps heard.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field

import pytest

from support import replicas
from support.disturbed import Disturbed, all_ready, disturbed
from support.fleet import Fleet

APPS = 8
"""Fewer than a server holds connections: all of them can be in flight at once."""
PATIENCE = 30.0


@dataclass
class Kills:
    """What was seen at each kill."""

    in_flight: list[int] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    """How many of those in flight were committed: between commit and answer."""

    def __str__(self) -> str:
        between = sum(1 for one in self.committed if one)
        return (
            f"{len(self.in_flight)} kills, {sum(1 for one in self.in_flight if one)} with refreshes"
            f" in flight, {between} of them between commit and answer;"
            f" in flight {self.in_flight}; committed but not answered {self.committed}"
        )


@dataclass
class Campaign:
    """Two replicas, one of which serves; the apps know the other from the moment of the kill."""

    world: Disturbed
    fleet: Fleet
    chance: random.Random
    seen: Kills = field(default_factory=Kills)
    serving: int = 0

    async def run(self, kills: int, held_every: int) -> None:
        """Kill, have every app try again, look at what is there; `kills` times."""
        for number in range(kills):
            await all_ready(*self.world.api.replicas)
            await self._warm_up()
            await self.fleet.outlive_the_grace()
            before = await self.fleet.generations()
            if number % held_every == 0:
                attempts = await self._kill_before_the_answer(before)
            else:
                attempts = await self._kill_at_random()
            await asyncio.gather(*attempts)
            await self._note(before)
            self._change_places(revive=number + 1 < kills)
            await self._go_on(before)

    async def _warm_up(self) -> None:
        """Have the server open a connection for each app; the tokens stay what they are."""
        wire = self.world.postgres_wires[self.serving]
        self.fleet.go_to(self.world.api.replicas[self.serving].url)
        wire.delay = 0.01
        await self.fleet.refresh()
        wire.delay = 0.0

    async def _kill_before_the_answer(self, before: list[int]) -> list[asyncio.Task[bool]]:
        wire = self.world.postgres_wires[self.serving]
        wire.hold("answers")
        attempts = self.fleet.attempts()
        deadline = time.monotonic() + PATIENCE
        while await self.fleet.generations() != [then + 1 for then in before]:
            assert time.monotonic() < deadline, "invalid: the refreshes never reached the database"
            await asyncio.sleep(0.005)
        self.world.api.replicas[self.serving].kill()
        await wire.cut()
        wire.release()
        return attempts

    async def _kill_at_random(self) -> list[asyncio.Task[bool]]:
        attempts = self.fleet.attempts()
        await asyncio.sleep(self.chance.uniform(0.0, 0.025))
        self.world.api.replicas[self.serving].kill()
        return attempts

    async def _note(self, before: list[int]) -> None:
        """Count who was in flight, and whose refresh was committed all the same."""
        after = await self.fleet.generations()
        unanswered = [not app.answered for app in self.fleet.apps]
        moved = [now > then for now, then in zip(after, before, strict=True)]
        self.seen.in_flight.append(sum(unanswered))
        self.seen.committed.append(
            sum(lost and done for lost, done in zip(unanswered, moved, strict=True))
        )

    def _change_places(self, *, revive: bool) -> None:
        """The other one serves; the killed one is started again meanwhile."""
        dead = self.world.api.replicas[self.serving]
        if revive:
            dead.log.unlink()
            self.world.api.replicas[self.serving] = replicas.start(dead.environ)
        self.serving = 1 - self.serving

    async def _go_on(self, before: list[int]) -> None:
        """Every app tries again, elsewhere: one step further than before the kill, and one token."""
        self.fleet.go_to(self.world.api.replicas[self.serving].url)
        await self.fleet.refresh()
        await self.fleet.check_one_lineage()
        assert await self.fleet.generations() == [then + 1 for then in before]


async def _campaign(kills: int, held_every: int) -> Kills:
    async with disturbed(2) as world:
        fleet = await Fleet.of(world.api, APPS)
        campaign = Campaign(world, fleet, random.Random(kills))
        try:
            await campaign.run(kills, held_every)
        finally:
            await fleet.close()
    print(campaign.seen)
    print("generations:", [app.generation for app in fleet.apps])
    # Each kill moved each session by one step; a warm-up that came after the grace did, too.
    assert min(app.generation for app in fleet.apps) > kills
    assert sum(campaign.seen.in_flight) >= 2 * kills, "invalid: hardly anything was in flight"
    return campaign.seen


async def test_F16_three_kills_of_a_server_cost_nobody_their_sign_in():
    seen = await _campaign(kills=3, held_every=2)
    assert sum(1 for one in seen.committed if one) >= 2, "invalid: no kill after a commit"


@pytest.mark.long
async def test_F16_a_hundred_kills_of_a_server_cost_nobody_their_sign_in():
    seen = await _campaign(kills=100, held_every=3)
    assert sum(1 for one in seen.committed if one) >= 20, "invalid: too few kills after a commit"
