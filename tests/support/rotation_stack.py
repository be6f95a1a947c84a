"""Sessions on a real PostgreSQL, twice: two replicas with pools, secrets and metrics of their own.

`Stage` also hands the database its clock. A schema that stands before `pg_catalog` has a `now()`
which reads a table, so a test moves the database's time forward and back, to the microsecond,
without sleeping. Every statement is the product's own text; nothing else about the server differs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import uvloop

from keyturn.cache.client import Cache
from keyturn.clients.model import Client
from keyturn.clock import Clock, FixedClock
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.pool import Database, Row, Statements
from keyturn.db.queries import Query
from keyturn.replays.replays import Replays
from keyturn.revocation.cache import RevocationCache
from keyturn.revocation.revocations import Revocations
from keyturn.sessions.end import Ending
from keyturn.sessions.lifetimes import Lifetimes
from keyturn.sessions.model import Started
from keyturn.sessions.refresh_token import RefreshTokenCodec
from keyturn.sessions.rotation import Rotation
from keyturn.sessions.start import SessionRequest, Starter
from keyturn.sessions.step_up import StepUps
from keyturn.sessions.unproven import Unproven
from keyturn.settings import RevocationSettings
from keyturn.settings_redis import RedisSettings
from keyturn.telemetry.audit import Audit
from keyturn.telemetry.metrics import Metrics
from support.patience import patient

T = TypeVar("T")
Hook = Callable[[str], Awaitable[None]]

ISSUER = "https://login.example"
API = "https://api.example"
BILLING = "https://billing.example"
DEFAULT_GRACE = timedelta(seconds=10)
DAY = timedelta(days=1)

HANDED_IN_CLOCK = """
create schema handed_in;
create unlogged table handed_in.clock (at timestamptz not null);
insert into handed_in.clock values (now());
create function handed_in.now() returns timestamptz stable language sql
    as 'select at from handed_in.clock';
"""
SEARCH_PATH = "handed_in, pg_catalog, public"

ROW = """
select token_hash, next_hash, generation, rotated_at, idle_expires_at, expires_at, revoke_reason,
       exists (select from revocations where kind = 'sid' and id = sessions.id::text) as announced
  from sessions where id = $1
"""
RESTORE = """
update sessions
   set token_hash = $2, next_hash = $3, generation = $4, rotated_at = $5, idle_expires_at = $6
 where id = $1
"""


@dataclass(slots=True)
class Watch:
    """What a replica's databases are doing: the names of its statements, and a hook before each."""

    statements: list[str] = field(default_factory=list)
    before: Hook | None = None

    async def about_to(self, name: str) -> None:
        """Note the statement, and let something else happen first if a test says so."""
        self.statements.append(name)
        if self.before is not None:
            await self.before(name)


@dataclass(frozen=True, slots=True)
class WatchedStatements:
    """One open transaction, watched."""

    inner: Statements
    watch: Watch

    async def fetch_row(self, query: Query, *args: Any) -> Row | None:
        """See `Statements`."""
        await self.watch.about_to(query.name)
        return await self.inner.fetch_row(query, *args)

    async def fetch(self, query: Query, *args: Any) -> list[Row]:
        """See `Statements`."""
        await self.watch.about_to(query.name)
        return await self.inner.fetch(query, *args)

    async def execute(self, query: Query, *args: Any) -> int:
        """See `Statements`."""
        await self.watch.about_to(query.name)
        return await self.inner.execute(query, *args)


@dataclass(eq=False)
class WatchedDatabase(Database):
    """The real pool, watched."""

    watch: Watch = field(default_factory=Watch)

    async def fetch_row(self, query: Query, *args: Any) -> Row | None:
        """See `Database`."""
        await self.watch.about_to(query.name)
        return await super().fetch_row(query, *args)

    async def fetch(self, query: Query, *args: Any) -> list[Row]:
        """See `Database`."""
        await self.watch.about_to(query.name)
        return await super().fetch(query, *args)

    async def execute(self, query: Query, *args: Any) -> int:
        """See `Database`."""
        await self.watch.about_to(query.name)
        return await super().execute(query, *args)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Statements]:
        """See `Database`."""
        async with super().transaction() as tx:
            yield WatchedStatements(tx, self.watch)


@dataclass(frozen=True, slots=True)
class Replica:
    """One server process's worth of session rules; its pools are closed by whoever opened it."""

    database: WatchedDatabase
    rotations: WatchedDatabase
    watch: Watch
    metrics: Metrics
    audit: Audit
    rotation: Rotation
    starter: Starter
    ending: Ending

    @classmethod
    def on(
        cls,
        url: str,
        secrets: Mapping[int, bytes],
        clock: Clock,
        session_settings: Mapping[str, str] | None = None,
    ) -> "Replica":
        """Build everything on the database at `url`, without Redis."""
        metrics, watch = Metrics(), Watch()
        settings = patient(url, pool_max=8)
        database, rotations = (
            WatchedDatabase(settings, metrics, dict(session_settings or {}), watch=watch)
            for _ in range(2)
        )
        codec = RefreshTokenCodec(MasterSecrets(secrets))
        revocations = revocations_without_redis(database, metrics, clock)
        audit = Audit(clock, metrics, limit=10_000)
        ending = Ending(database, codec, revocations, audit, metrics)
        step_ups = StepUps(database, ending, DEFAULT_GRACE)
        rotation = Rotation(
            database=database,
            rotations=rotations,
            codec=codec,
            revocations=revocations,
            step_ups=step_ups,
            unproven=Unproven(Replays(database), audit),
            audit=audit,
            metrics=metrics,
            clock=clock,
            issuer=ISSUER,
            default_grace=DEFAULT_GRACE,
        )
        starter = Starter(database, codec, ending, clock, step_ups, max_per_user=100)
        return cls(database, rotations, watch, metrics, audit, rotation, starter, ending)

    def with_secrets(self, secrets: Mapping[int, bytes]) -> "Replica":
        """The same process after a restart with another list of master secrets."""
        codec = RefreshTokenCodec(MasterSecrets(secrets))
        return replace(
            self,
            rotation=replace(self.rotation, codec=codec),
            starter=replace(self.starter, codec=codec),
            ending=replace(self.ending, codec=codec),
        )

    def counted(self) -> dict[str, float]:
        """Refreshes by outcome so far, without those that never happened."""
        children = self.metrics.refreshes._children
        counts = {outcome: child._value.get() for outcome, child in children.items()}
        return {outcome: count for outcome, count in counts.items() if count}

    async def close(self) -> None:
        """Close both pools."""
        await self.rotations.close()
        await self.database.close()


def revocations_without_redis(database: Database, metrics: Metrics, clock: Clock) -> Revocations:
    """The real thing, for a server that has no Redis: every question goes to PostgreSQL."""
    trust = RevocationSettings().trust
    cache = RevocationCache(Cache(RedisSettings(), metrics, clock), clock, ISSUER, trust)
    return Revocations(database, cache, metrics, clock)


def client(name: str = "app", **changes: Any) -> Client:
    """A public client of this stage."""
    standard = Client(
        id=name,
        name=name,
        kind="public",
        grant_types=frozenset({"refresh_token"}),
        scopes=frozenset({"read", "write"}),
        audiences=(API, BILLING),
    )
    return replace(standard, **changes)


async def add_user(connection: asyncpg.Connection) -> UUID:
    """Insert an account that may sign in."""
    user_id = uuid4()
    await connection.execute(
        "insert into users (id, email, email_key) values ($1, $2, $2)",
        user_id,
        f"{user_id}@example.com",
    )
    return user_id


def signing_in(user_id: UUID, at: datetime, whom: Client, **changes: Any) -> SessionRequest:
    """What a sign-in at `whom` asks for: two scopes, two resources, a day, an idle hour."""
    standard = SessionRequest(
        user_id=user_id,
        client=whom,
        scopes=frozenset({"read", "write"}),
        audiences=(API, BILLING),
        lifetimes=Lifetimes(absolute=DAY, idle=timedelta(hours=1), remembered=None),
        proof_time=at,
    )
    return replace(standard, **changes)


@dataclass(slots=True, eq=False)
class Stage:
    """Two replicas on one database whose clock is the test's, and a loop to run them on."""

    loop: asyncio.AbstractEventLoop
    url: str
    admin: asyncpg.Connection
    clock: FixedClock
    replicas: list[Replica] = field(default_factory=list)

    @classmethod
    @contextmanager
    def on(cls, url: str, secrets: Mapping[int, bytes]) -> Iterator["Stage"]:
        """Open a stage on a migrated database; hypothesis is synchronous, so this is, too."""
        loop = uvloop.new_event_loop()
        try:
            stage = loop.run_until_complete(cls._open(loop, url, secrets))
            try:
                yield stage
            finally:
                loop.run_until_complete(stage._close())
        finally:
            loop.close()

    @classmethod
    async def _open(
        cls, loop: asyncio.AbstractEventLoop, url: str, secrets: Mapping[int, bytes]
    ) -> "Stage":
        admin = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
        if await admin.fetchval("select to_regnamespace('handed_in')") is None:
            await admin.execute(HANDED_IN_CLOCK)
        clock = FixedClock(datetime.now(UTC))
        stage = cls(loop, url, admin, clock)
        settings = {"search_path": SEARCH_PATH}
        stage.replicas = [Replica.on(url, secrets, clock, settings) for _ in range(2)]
        await stage.set_time(clock.at)
        return stage

    async def _close(self) -> None:
        for replica in self.replicas:
            await replica.close()
        await self.admin.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end."""
        return self.loop.run_until_complete(work)

    @property
    def now(self) -> datetime:
        """The time of database and processes."""
        return self.clock.at

    async def set_time(self, at: datetime) -> None:
        """Move every clock to `at`, forward or back."""
        self.clock.at = at
        await self.admin.execute("update handed_in.clock set at = $1", at)

    async def sign_in(
        self, replica: Replica, whom: Client, *, dpop_jkt: str | None = None, **changes: Any
    ) -> Started:
        """Begin a session now, bound to a key if one is given."""
        request = signing_in(await add_user(self.admin), self.now, whom, **changes)
        started = await replica.starter.start(request)
        # The column's default is the server's own clock, and nothing binds keys at sign-in yet.
        await self.admin.execute(
            "update sessions set rotated_at = $2, created_at = $2, dpop_jkt = $3 where id = $1",
            started.session.id,
            self.now,
            dpop_jkt,
        )
        return started

    async def row(self, session_id: UUID) -> asyncpg.Record | None:
        """Return what rotation moves in a session's row, and whether its end was written down."""
        return await self.admin.fetchrow(ROW, session_id)
