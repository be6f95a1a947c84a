"""The doctor at a real standby, at a Redis that evicts, and where everything hangs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest
import redis.asyncio

from keyturn.db.migrate import migrate
from keyturn.dev.postgres import PostgresServer
from keyturn.dev.supervisor import prepare_postgres
from support import pooled, replicas
from support.asking_doctor import Diagnosis, ask
from support.redis_topologies import clustered, watched
from support.servers import options, private_postgres, private_valkey, throwaway_dir

pytestmark = pytest.mark.operations

NOBODY = "http://localhost:1"
"""An issuer nobody serves: these tests are about what stands behind."""
PATIENCE = 30.0
BOUND = 15.0
"""Seconds the doctor may take, whatever hangs."""


@dataclass
class Streaming:
    """A primary and the standby that follows it."""

    primary: PostgresServer
    standby_url: str
    sql: asyncpg.Connection

    async def name_standbys(self, names: str, state: str) -> None:
        """Set `synchronous_standby_names`, and wait until the standby is of that state."""
        await self.sql.execute(f"alter system set synchronous_standby_names = '{names}'")
        await self.sql.execute("select pg_reload_conf()")
        await self.until_standby_is(state)

    async def until_standby_is(self, state: str) -> None:
        """Poll the primary."""
        async with asyncio.timeout(PATIENCE):
            while state not in await self._states():
                await asyncio.sleep(0.05)

    async def _states(self) -> list[str]:
        rows = await self.sql.fetch("select sync_state from pg_stat_replication")
        return [row["sync_state"] for row in rows]


@pytest.fixture(scope="module")
async def streaming() -> AsyncIterator[Streaming]:
    async with private_postgres() as primary:
        await migrate(primary.url)
        sql = await asyncpg.connect(primary.url)
        try:
            async with following(primary) as url:
                pair = Streaming(primary, url, sql)
                await pair.until_standby_is("async")
                yield pair
        finally:
            await sql.close()


@asynccontextmanager
async def following(primary: PostgresServer) -> AsyncIterator[str]:
    """Copy a primary by `pg_basebackup` and run a standby of it; yield its URL."""
    data = throwaway_dir()
    standby = prepare_postgres(data, options())
    folder, program = data.path / "postgres", standby._postgres
    with data.hold(standby.url):
        data.give(folder)
        copying = (program.with_name("pg_basebackup"), "-D", folder, "-R", "-c", "fast", "-N")
        await standby.run((*copying, "-d", primary.url))
        set_ = [f"--{name}={value}" for name, value in standby._settings.items()]
        try:
            standby.spawn((program, "-D", folder, *set_))
            yield standby.url
        finally:
            await standby.stop()


async def ask_about(database_url: str, redis_url: str | None = None, **more: str) -> Diagnosis:
    settings = replicas.settings(database_url, redis_url, **{"issuer": NOBODY, **more})
    return await ask("--json", environ=settings)


async def test_a_standby_that_no_commit_waits_for_is_warned_of_with_the_mending_command(streaming):
    await streaming.name_standbys("", "async")
    found = (await ask_about(streaming.primary.url)).trouble["postgres.standby"]
    assert found["severity"] == "warning"
    assert "may undo the last revocations" in found["sentence"]
    assert "synchronous_standby_names" in found["remedy"]
    assert "`keyturn sessions revoke --before T`" in found["remedy"]


async def test_a_synchronous_standby_is_no_trouble(streaming):
    await streaming.name_standbys("*", "sync")
    assert "postgres.standby" not in (await ask_about(streaming.primary.url)).trouble


async def test_names_of_nobody_make_commits_wait(streaming):
    await streaming.name_standbys("nobody", "async")
    found = (await ask_about(streaming.primary.url)).trouble["postgres.standby"]
    assert "wait for ever" in found["sentence"]
    await streaming.name_standbys("", "async")


async def test_settings_that_lead_to_a_standby_are_found(streaming):
    said = await ask_about(streaming.standby_url)
    assert said.code == 1
    assert "the primary" in said.trouble["postgres.writable"]["remedy"]
    assert "schema.applied" not in said.trouble


async def test_a_redis_that_evicts_and_one_that_is_a_replica_are_found(database_url):
    async with private_valkey({"maxmemory": "8mb", "maxmemory-policy": "allkeys-lru"}) as valkey:
        found = (await ask_about(database_url, valkey.url)).trouble
        assert "noeviction" in found["redis.eviction"]["remedy"]
        assert "redis.copy" in found
        async with redis.asyncio.from_url(valkey.url) as client:
            await client.execute_command("REPLICAOF", "127.0.0.1", "1")
        found = (await ask_about(database_url, valkey.url)).trouble
        assert "redis.url" in found["redis.primary"]["remedy"]


async def test_a_pooler_is_looked_at_and_past_it(program, database_url, databases):
    async with pooled.bouncer(program("pgbouncer", "pgbouncer"), database_url) as bouncer:
        through = pooled.through(bouncer, database_url)
        said = await ask_about(database_url, **through)
        direct = await ask_about(database_url)
        assert said.trouble.keys() - direct.trouble.keys() == set()
        skipped = {one["id"] for one in said.findings if one["severity"] == "skipped"}
        assert {"postgres.connections", "upkeep.servers"} <= skipped
        async with databases.fresh() as other:
            elsewhere = {**through, "postgres__direct_url": other}
            found = (await ask_about(database_url, **elsewhere)).trouble["postgres.pooler"]
            assert "different databases" in found["sentence"]
    found = (await ask_about(database_url, **through)).trouble["postgres.pooler"]
    assert "no connection through the pooler" in found["sentence"]


@pytest.mark.parametrize(
    "topology", [watched, lambda: clustered(NOBODY)], ids=["sentinel", "cluster"]
)
async def test_a_redis_of_several_servers_is_asked_where_the_keys_are(database_url, topology):
    """By the access list of docs/redis.md; nothing copies here, so there is no copy."""
    async with topology() as running:
        said = await ask_about(database_url, running.url)
    assert {one for one in said.trouble if one.startswith("redis")} == {"redis.copy"}
    said_of = {one["id"]: one["sentence"] for one in said.findings}
    assert said_of["redis.primary"] == "this server takes writes"


async def test_where_everything_hangs_it_ends_in_time_and_says_so():
    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        here = f"127.0.0.1:{port}"
        settings = replicas.settings(
            f"postgresql://u:p@{here}/d", f"redis://{here}/0", issuer=f"http://{here}"
        )
        words = ["--management-url", f"http://{here}", "--json"]
        begun = time.monotonic()
        said = await ask(*words, environ=settings)
        took = time.monotonic() - begun
    print(f"everything hangs: {took:.1f} s")
    away = {"postgres", "redis", "issuer", "management"}
    assert {f"{one}.reachable" for one in away} <= said.trouble.keys()
    assert said.code == 3
    assert took < BOUND
