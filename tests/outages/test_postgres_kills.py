"""`kill -9` of PostgreSQL while rotations commit asynchronously: nobody has to sign in again.

A crash loses the last commits, also of rotations that were answered: the app then holds the
child of what the database has. Kills fall right after the answers (commits are lost for sure:
the WAL writer sleeps for ten seconds here), between commit and answer, and at random moments.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field

import pytest

from support.disturbed import Disturbed, disturbed
from support.fleet import Fleet

APPS = 8
PATIENCE = 30.0
LAZY_WAL = {"wal_writer_delay": "10000ms"}
"""What is committed asynchronously stays in memory until somebody commits synchronously."""


@dataclass
class Crash:
    """What was seen at one kill."""

    moment: str
    in_flight: int
    lost: int
    """Rotations that were answered and that the database no longer knows."""
    undone: int
    """Rotations that were committed, not answered, and are gone."""


@dataclass
class Campaign:
    """One replica, which stays; its PostgreSQL comes and goes."""

    world: Disturbed
    fleet: Fleet
    chance: random.Random
    crashes: list[Crash] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    """The generations in the database at the moment of the last kill."""

    async def run(self, kills: int) -> None:
        """Kill at the three kinds of moment by turns; have every app go on; look."""
        moments = (self._after_the_answers, self._before_the_answers, self._at_random)
        await self._warm_up()
        for number in range(kills):
            await self.fleet.outlive_the_grace()
            before = await self.fleet.generations()
            await self._crash(moments[number % 3], before)
            await self.fleet.refresh()
            await self.fleet.check_one_lineage()
            assert [app.generation for app in self.fleet.apps] == [one + 1 for one in before]

    async def _warm_up(self) -> None:
        self.world.wire.delay = 0.01
        await self.fleet.refresh()
        self.world.wire.delay = 0.0

    async def _crash(self, moment, before: list[int]) -> None:
        await moment(before)
        in_flight = sum(not app.answered for app in self.fleet.apps)
        self.world.wire.release()
        await self.world.postgres.start()
        recovered = await self.fleet.generations()
        held = [app.generation for app in self.fleet.apps]
        lost = sum(has > row for has, row in zip(held, recovered, strict=True))
        undone = sum(was > row for was, row in zip(self.committed, recovered, strict=False))
        undone = max(0, undone - lost)
        name = moment.__name__.strip("_").replace("_", " ")
        self.crashes.append(Crash(name, in_flight, lost, undone))

    async def _kill(self) -> None:
        self.committed = await self.fleet.generations()
        self.world.postgres.kill()

    async def _after_the_answers(self, _before: list[int]) -> None:
        await asyncio.gather(*self.fleet.attempts())
        await self._kill()

    async def _before_the_answers(self, before: list[int]) -> None:
        self.world.wire.hold("answers")
        attempts = self.fleet.attempts()
        deadline = time.monotonic() + PATIENCE
        while await self.fleet.generations() != [then + 1 for then in before]:
            assert time.monotonic() < deadline, "invalid: the refreshes never reached the database"
            await asyncio.sleep(0.005)
        await self._kill()
        await self.world.wire.cut()
        await asyncio.gather(*attempts)

    async def _at_random(self, _before: list[int]) -> None:
        attempts = self.fleet.attempts()
        await asyncio.sleep(self.chance.uniform(0.0, 0.015))
        self.committed = []  # no time to ask
        self.world.postgres.kill()
        await asyncio.gather(*attempts)


async def _campaign(kills: int) -> None:
    async with disturbed(postgres=LAZY_WAL, postgres__async_rotation="true") as world:
        fleet = await Fleet.of(world.api, APPS)
        campaign = Campaign(world, fleet, random.Random(kills))
        try:
            await campaign.run(kills)
        finally:
            await fleet.close()
        healed = world.replica.metric("keyturn_refresh_rotations_total", result="healed")
        ended = world.replica.metric("keyturn_refresh_rotations_total", result="reuse")
    _report(campaign, int(healed))
    lost = sum(one.lost for one in campaign.crashes)
    assert lost >= kills, "invalid: hardly an answered rotation was lost"
    assert sum(one.in_flight for one in campaign.crashes) >= kills, "invalid: nothing in flight"
    assert (healed, ended) == (lost, 0)


def _report(campaign: Campaign, healed: int) -> None:
    for one in campaign.crashes:
        print(one)
    crashes = campaign.crashes
    print(
        f"{len(crashes)} kills, in flight {sum(one.in_flight for one in crashes)},"
        f" answered and lost {sum(one.lost for one in crashes)},"
        f" unanswered and lost {sum(one.undone for one in crashes)}, healed {healed},"
        f" generations {[app.generation for app in campaign.fleet.apps]}"
    )


async def test_F3_three_kills_of_postgresql_cost_nobody_their_sign_in():
    """One after the answers, one before them, one at random."""
    await _campaign(kills=3)


@pytest.mark.long
async def test_F3_a_hundred_kills_of_postgresql_cost_nobody_their_sign_in():
    await _campaign(kills=100)
