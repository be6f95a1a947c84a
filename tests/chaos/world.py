"""The deployment that a chaos run breaks: everything real, everything on this machine.

    apps -> front (TCP proxy) -> balancer -> two replicas -> wires (TCP proxies) -> PostgreSQL, Valkey

What whoever drives it may use:

`World.of(source=None, people=50, **settings)`
    async context manager: starts it all, yields the `World`, ends it all. `source` is a folder with
    another `keyturn` package in it (a copy of `src`), which replicas and commands run instead.
    `settings` are the replicas' settings, as `support.replicas.settings` takes them.
`front_url`, `issuer`
    where apps go; the issuer is the same URL. Behind a fault it hangs up, or nobody answers.
`clients`
    ids of registered clients by what they are: "app" and "shop" are public, of the session API and
    the protocol, "reader" is an API that introspects. `secrets` has the secrets of those that have.
`people`
    accounts (`support.api.Person`), each with `email` and `password`.
`sign_in(person, client="app")`
    a new session, through the front, as `support.api.SignedIn`; raises when that is refused.
`environment`
    of a command that reaches PostgreSQL and Valkey past the wires: `await world.command("purge")`.
`sql`
    statements on today's primary past the wires, each on a connection of its own.
`grace`
    seconds of grace of the clients. No fault loses more than that of acknowledged rotations.
`note(fault_id, "begins" | "ends")`
    called by the schedule around each fault; it is kept in `notes` and told to each of `listeners`.
`whole()`
    returns once everything is there again and answers: a fault is over then.
`STALE_AFTER_FLUSH`
    what Redis forgets when it is flushed, and how long that may be noticed.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import UUID

import httpx2
import redis.asyncio

from chaos.databases import Databases
from chaos.replica_set import REPLICAS, SPARE, ReplicaSet, past, wired
from keyturn.db.migrate import migrate
from keyturn.dev.valkey import ValkeyServer
from support import debian, quick_hashes, replicas
from support.api import Api, Person, SignedIn, api_of, memoryless
from support.balancer import balanced
from support.disturbed import Statements
from support.proxy import Proxy
from support.servers import add_keys, private_valkey
from support.starts import Start, Starts
from support.transport import Lines

GRACE = 20
PATIENCE = 120.0
QUICK_KEYS = {
    "keys__jwks_max_age": "5",
    "keys__staleness": "2",
    "keys__lead": "7",
    "jobs__keys_interval": "1",
}
"""Seconds instead of minutes: a key may be rotated in every run."""

STALE_AFTER_FLUSH = {
    "revocations": 2.5,
    "throttle": 0.0,
}
"""By kind of content, the seconds after a flush (a restart, a roll-back) in which the copy may be
incomplete. Of revocations: a copier puts them there again, and who sees the copy stand still asks
PostgreSQL, so nothing revoked is accepted longer than the bound that always holds. The throttle
just begins to count anew: more guesses pass, and nobody is refused for it. Nothing else is there:
used codes, proofs and assertions are rows of PostgreSQL."""

Phase = Literal["begins", "undoes", "ends"]


@dataclass(frozen=True, slots=True)
class Note:
    """A fault began, undid rotations or ended: at `at`, by the monotonic clock of this process."""

    fault: str
    phase: Phase
    at: float
    count: int = 0
    """Of the rotations that it undid."""


@dataclass(eq=False)
class World:
    """Everything that runs; the page above says what is for whom."""

    issuer: str
    source: Path | None
    grace: int
    front: Proxy
    databases: Databases
    valkey: ValkeyServer
    replica_set: ReplicaSet
    api: Api
    office: dict[int, Proxy]
    """The operator's wires to PostgreSQL: who is fenced is fenced from operators, too."""
    people: list[Person] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    listeners: list[Callable[[Note], None]] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def of(
        cls, source: Path | None = None, people: int = 50, **settings: str
    ) -> AsyncIterator["World"]:
        """Start everything, and end it with the block."""
        async with AsyncExitStack() as stack:
            world = await cls._start(stack, source, settings)
            world.people = [await world.api.person() for _ in range(people)]
            yield world

    @classmethod
    async def _start(
        cls, stack: AsyncExitStack, source: Path | None, settings: Mapping[str, str]
    ) -> "World":
        quick_hashes.allow()  # as replicas do: they share the hashes that are made here
        starts = stack.enter_context(closing(Starts.load(source)))
        databases = await stack.enter_async_context(Databases.running())
        valkey = await stack.enter_async_context(private_valkey())
        await migrate(databases.url)
        await add_keys(databases.url)
        haproxy = debian.program("haproxy", "haproxy")
        balancer = stack.enter_context(balanced(haproxy, REPLICAS + SPARE))
        front = await stack.enter_async_context(Proxy.to(balancer.url.removeprefix("http://")))
        issuer = f"http://127.0.0.1:{front.port}"
        environment = _environment(databases.url, valkey.url, issuer, settings)
        replica_set = await stack.enter_async_context(
            ReplicaSet.running(balancer, starts, environment, databases)
        )
        serving = [spot.replica for spot in replica_set.serving if spot.replica]
        office = await wired(databases, stack)
        own = environment | {"KEYTURN_POSTGRES__URL": past(office)}
        api = await stack.enter_async_context(api_of(own, serving))
        grace = int(environment["KEYTURN_SESSIONS__GRACE"])
        return cls(issuer, source, grace, front, databases, valkey, replica_set, api, office)

    @property
    def front_url(self) -> str:
        """Where apps go."""
        return self.issuer

    @property
    def clients(self) -> dict[str, str]:
        """Ids by what they are."""
        return {name: name for name in ("app", "shop", "reader")}

    @property
    def secrets(self) -> Mapping[str, str | None]:
        """Of the clients that have one."""
        return self.api.secrets

    @property
    def environment(self) -> dict[str, str]:
        """Of commands, past the wires; replicas start with it, too, but through theirs."""
        return self.replica_set.environment

    @property
    def postgres_wires(self) -> list[dict[int, Proxy]]:
        """The ways to PostgreSQL, by the port of the server that each leads to."""
        return [self.office, *(spot.postgres_wires for spot in self.replica_set.spots)]

    def lead_to(self, databases: Databases) -> None:
        """Let the wires lead to the servers as they are now."""
        for port, socket in databases.sockets().items():
            for wires in self.postgres_wires:
                wires[port].target = socket

    @property
    def sql(self) -> Statements:
        """On today's primary."""
        return self.databases.sql

    def note(self, fault_id: str, phase: Phase) -> None:
        """Keep and tell that a fault begins or ends."""
        self._tell(Note(fault_id, phase, time.monotonic()))

    def note_undone(self, rotations: int) -> None:
        """Keep and tell how many rotations the fault that is on undid."""
        self._tell(Note(self.notes[-1].fault, "undoes", time.monotonic(), rotations))

    def _tell(self, note: Note) -> None:
        self.notes.append(note)
        for listener in self.listeners:
            listener(note)

    async def command(self, *words: str) -> Start:
        """Run `keyturn` with these words, as the operator."""
        return await self.replica_set.starts.run(self.environment, *words)

    async def sign_in(self, person: Person, client: str = "app") -> SignedIn:
        """Begin a session through the front."""
        body = {"email": person.email, "password": person.password}
        async with self.caller() as caller:
            answer = await caller.post(
                "/auth/login", json=body, headers={"x-keyturn-client": client}
            )
        answer.raise_for_status()
        given = answer.json()
        return SignedIn(
            client, given["accessToken"], given["refreshToken"], UUID(given["sessionId"])
        )

    def caller(self) -> httpx2.AsyncClient:
        """Return somebody who calls the front, and keeps no cookies."""
        # Idle lines go before HAProxy or a fault drops them.
        return httpx2.AsyncClient(
            base_url=self.front_url, cookies=memoryless(), timeout=20, transport=Lines(idle=2)
        )

    async def whole(self) -> None:
        """Wait until all is there: both servers of PostgreSQL, Valkey, the replicas, the wires."""
        async with asyncio.timeout(PATIENCE):
            redis_wires = [spot.redis_wire for spot in self.replica_set.spots]
            postgres_wires = [one for wires in self.postgres_wires for one in wires.values()]
            for wire in (self.front, *redis_wires, *postgres_wires):
                await wire.mend()
            await self.databases.until_followed()
            async with redis.asyncio.from_url(self.valkey.url, protocol=2) as valkey:
                await valkey.ping()
            await self.replica_set.mend()


def _environment(
    postgres: str, redis: str, issuer: str, settings: Mapping[str, str]
) -> dict[str, str]:
    ours = {
        **replicas.GENEROUS,
        **QUICK_KEYS,
        "issuer": issuer,
        "sessions__grace": str(GRACE),
        "postgres__async_rotation": "true",
        "postgres__pool_max": "5",
        # The wires share this process with whoever uses the world: a connection that is given up
        # too soon, and tried again, keeps them busy for nothing.
        "postgres__connect_timeout": "5",
        "postgres__pool_wait": "1",
    }
    return replicas.settings(postgres, redis, **(ours | dict(settings)))
