"""Everybody who uses the world at once: apps in households, their APIs, a thief, an administrator."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from chaos.apps import App, Household, Tabs
from chaos.attacker import Administrator, Thief
from chaos.front import Front
from chaos.history import History
from chaos.world import World
from keyturn_verifier import StatusPolicy, Verifier
from support.replicas import AUDIENCE

LIST_TTL = 4
LIST_AGE = 6.0
"""Seconds: an API whose copy of the status list is older answers 503."""
SETTINGS = {"tokens__access_token_lifetime": "8", "status_list__ttl": str(LIST_TTL)}
"""Of the servers: every app refreshes every few seconds."""
APIS = 3
TABS: Sequence[Tabs] = ("one", "sharing", "one", "copied", "one")
AT_ONCE = 8
"""Apps that sign in at the same time in the beginning: hashing is work."""
PATIENCE = 120.0


@dataclass
class Crowd:
    """The apps, and who disturbs them."""

    apps: list[App]
    thief: Thief
    administrator: Administrator
    front: Front
    world: World

    @classmethod
    @asynccontextmanager
    async def around(
        cls, world: World, history: History, size: int, rng: random.Random
    ) -> AsyncIterator["Crowd"]:
        """Sign everybody in."""
        async with AsyncExitStack() as stack:
            caller = await stack.enter_async_context(world.caller())
            reader = world.clients["reader"]
            front = Front(caller, history, (reader, world.secrets[reader] or ""))
            apis = [await stack.enter_async_context(_api(world, rng)) for _ in range(APIS)]
            crowd = cls._of(world, front, apis, size, rng)
            await crowd._sign_in()
            yield crowd

    @classmethod
    def _of(
        cls, world: World, front: Front, apis: Sequence[Verifier], size: int, rng: random.Random
    ) -> "Crowd":
        apps: list[App] = []
        thief = Thief(apps, front, random.Random(rng.random()), world.grace)
        households = [Household(person) for person in world.people]
        for number in range(size):
            household = households[number % len(households)]
            app = App(
                name=f"app {number}",
                household=household,
                front=front,
                api=apis[number % len(apis)],
                rng=random.Random(rng.random()),
                tabs=TABS[number % len(TABS)],
                as_json=number % 3 == 0,
                client=world.clients["app"],
                on_end=thief.haunt,
            )
            household.apps.append(app)
            apps.append(app)
        ending = world.api.operator.ending
        administrator = Administrator(
            apps, front, ending, random.Random(rng.random()), on_end=thief.haunt
        )
        return cls(apps, thief, administrator, front, world)

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Let everybody do what they do, for the length of the block."""
        async with asyncio.TaskGroup() as tasks:
            for life in (*self.apps, self.thief, self.administrator):
                tasks.create_task(life.live())
            yield
            # Nobody is torn from a question: what was asked and not noted, the judge would miss.
            for life in (*self.apps, self.thief, self.administrator):
                life.stopped = True

    async def settle(self) -> None:
        """When the world is whole again everybody refreshes once more, and the dead rest."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(app.settle() for app in self.apps))
            await asyncio.gather(*self.thief.haunting)

    async def look_into_rows(self) -> None:
        """Note what the database has of each session there was."""
        history, begun = self.front.history, self.front.begun
        query = (
            "select id::text, generation, revoke_reason from sessions where id = any($1::uuid[])"
        )
        rows = {row["id"]: row for row in await self.world.sql.fetch(query, list(begun.values()))}
        for digest, session_id in begun.items():
            row = rows.get(session_id)
            said = {"generation": row["generation"] if row else -1}
            said["error"] = (row["revoke_reason"] or "") if row else "missing"
            history.append("row", began=history.now, session=digest, **said)

    async def _sign_in(self) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def sign_in(app: App) -> None:
            async with turns:
                await app.sign_in()

        await asyncio.gather(*map(sign_in, self.apps))


@asynccontextmanager
async def _api(world: World, rng: random.Random) -> AsyncIterator[Verifier]:
    """An API: the keys and the list are fetched beside the calls, at times of its own."""
    policy = StatusPolicy(fail_closed_after=LIST_AGE)
    jitter = random.Random(rng.random()).random
    async with Verifier(world.issuer, AUDIENCE, status=policy, jitter=jitter) as verifier:
        await verifier.warmup()
        yield verifier
