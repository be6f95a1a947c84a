"""`keyturn migrate`: once each, one at a time, resumable, and never in anybody's way for long."""

import asyncio
import json
from functools import partial

import asyncpg
import pytest
from typer.testing import CliRunner

from keyturn.cli.main import app
from keyturn.db import migrate as schema
from keyturn.db.migrate import FOLDER, LOCK, migrate, migrations, wait_until_reachable
from keyturn.errors import Unavailable
from keyturn.settings_postgres import PostgresSettings
from support.servers import database_on

GATE = 4711
"""An advisory lock that holds a migration up, for as long as the test has it."""

STEPS = {
    "9001_one": "create table one ();",
    "9002_two": f"create table two (); select pg_advisory_xact_lock({GATE});",
    "9003_three": "create table three ();",
}
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
NAMES = [f"{name}.sql" for name in STEPS]
WAITING = """
select count(*) from pg_locks join pg_database on pg_database.oid = database
 where datname = current_database() and not granted
"""
KILL = """
select pg_terminate_backend(pid) from pg_stat_activity
 where application_name = 'keyturn migrate' and datname = current_database()
"""


@pytest.fixture
async def sql(database_url):
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close(timeout=5)


@pytest.fixture
def carried(tmp_path):
    """A folder of migrations that nobody has applied."""

    def write(files):
        for name, text in files.items():
            (tmp_path / f"{name}.sql").write_text(text)
        return tmp_path

    return write


@pytest.fixture
def keyturn(database_url):
    """Run `keyturn migrate ...` and return its exit code and what it says."""
    environ = {
        "KEYTURN_ISSUER": "https://id.example",
        "KEYTURN_POSTGRES__URL": database_url,
        "KEYTURN_SECRETS": "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
    }

    async def run(*words, **more):
        told = await asyncio.to_thread(
            CliRunner().invoke, app, ["migrate", *words], env=environ | more
        )
        return told.exit_code, told.output

    return run


async def applied(sql):
    """Return every row of the list, with what changes when one is written again."""
    rows = await sql.fetch("select *, xmin::text from schema_migrations order by version")
    return [tuple(row) for row in rows]


async def names(sql):
    rows = await sql.fetch("select name from schema_migrations where version > 9000 order by 1")
    return [row["name"] for row in rows]


async def exists(sql, table):
    return await sql.fetchval("select to_regclass($1) is not null", table)


async def until_waiting(sql, count):
    async with asyncio.timeout(30):
        while await sql.fetchval(WAITING) != count:
            await asyncio.sleep(0.005)


def test_the_migrations_of_a_release_are_numbered_without_a_gap():
    found = migrations()
    assert [one.version for one in found] == list(range(1, len(found) + 1))
    assert {one.name for one in found} == {one.name for one in FOLDER.iterdir()}


async def test_a_second_run_does_nothing(database_url, sql):
    before = await applied(sql)
    assert len(before) == len(migrations())
    assert await migrate(database_url) == []
    assert await applied(sql) == before


async def test_two_migrators_at_once_apply_each_migration_once(database_url, sql, carried):
    folder = carried(STEPS)
    await sql.execute("select pg_advisory_lock($1)", GATE)
    both = [asyncio.create_task(migrate(database_url, folder=folder)) for _ in range(2)]
    await until_waiting(sql, 2)  # one in the middle of a migration, the other for its turn
    assert await names(sql) == NAMES[:1]
    await sql.execute("select pg_advisory_unlock($1)", GATE)
    assert sorted(await asyncio.gather(*both)) == [[], NAMES]
    assert await names(sql) == NAMES


@pytest.mark.parametrize(
    "hold_up",
    [f"select pg_advisory_xact_lock({GATE})", "lock table schema_migrations in share mode"],
    ids=["in the middle", "before it is listed"],
)
async def test_a_migrator_killed_midway_is_resumed_where_it_stopped(
    database_url, sql, carried, hold_up
):
    await migrate(database_url, folder=carried({"9001_one": STEPS["9001_one"]}))
    folder = carried(STEPS)
    async with sql.transaction():
        await sql.execute(hold_up)
        killed = asyncio.create_task(migrate(database_url, folder=folder))
        await until_waiting(sql, 1)
        await sql.execute(KILL)
        with pytest.raises(Unavailable, match="migrate: "):
            await killed
    assert await names(sql) == NAMES[:1]
    assert not await exists(sql, "two"), "half a migration is none"
    assert await migrate(database_url, folder=folder) == NAMES[1:]
    assert await migrate(database_url, folder=folder) == []


async def test_a_migration_gives_up_rather_than_have_readers_queue_behind_it(
    database_url, sql, carried, monkeypatch
):
    monkeypatch.setattr(schema, "LOCK_TIMEOUT", 0.05)
    folder = carried({"9001_one": "alter table sessions add column one integer;"})
    async with sql.transaction(), asyncio.timeout(30):
        await sql.fetch("select from sessions")  # a reader's lock, kept
        with pytest.raises(Unavailable, match=r"9001_one\.sql: a lock was not free within 0\.05 s"):
            await migrate(database_url, folder=folder)
        other = await asyncpg.connect(database_url)
        await other.fetch("select from sessions", timeout=1)
        await other.close()
    assert await names(sql) == []
    assert await migrate(database_url, folder=folder) == ["9001_one.sql"]


async def test_a_migrator_waits_for_another_one_longer_than_a_request_may(
    database_url, sql, carried, monkeypatch
):
    hasty = partial(PostgresSettings, statement_timeout=0.001, lock_timeout=0.001)
    monkeypatch.setattr(schema, "PostgresSettings", hasty)
    await sql.execute("select pg_advisory_lock($1)", LOCK)
    folder = carried({"9001_one": "create table one as select current_setting('lock_timeout');"})
    waiting = asyncio.create_task(migrate(database_url, folder=folder))
    await until_waiting(sql, 1)
    await sql.execute("select pg_advisory_unlock($1)", LOCK)
    assert await waiting == ["9001_one.sql"]
    assert await sql.fetchval("select current_setting from one") == "2s"


def sql_name(url):
    return url.partition("?")[0].rpartition("/")[2]


async def test_what_takes_something_away_waits_until_it_is_asked_for(database_url, sql, carried):
    folder = carried({"9001_contract_old": "drop table audit_events;", "9002_new": "select 1;"})
    assert await migrate(database_url, folder=folder) == ["9002_new.sql"]
    assert await exists(sql, "audit_events")
    assert await migrate(database_url, folder=folder, contract=True) == ["9001_contract_old.sql"]
    assert not await exists(sql, "audit_events")


async def test_a_dry_run_writes_nothing_and_waits_for_nobody(database_url, sql):
    await sql.execute("drop table schema_migrations")
    await sql.execute("select pg_advisory_lock($1)", LOCK)
    every = [one.name for one in migrations() if not one.contracting]
    async with asyncio.timeout(30):
        assert await migrate(database_url, dry_run=True) == every
    assert not await exists(sql, "schema_migrations")


async def test_a_database_that_comes_late_is_waited_for(database_url, databases, monkeypatch):
    monkeypatch.setattr(schema, "PAUSE", 0.01)
    late = sql_name(database_url) + "_late"
    waiting = asyncio.create_task(wait_until_reachable(database_on(database_url, late)))
    done, _ = await asyncio.wait([waiting], timeout=0.03)
    assert not done
    await databases.admin.execute(f"create database {late} template template0 strategy file_copy")
    try:
        async with asyncio.timeout(30):
            await waiting
    finally:
        await databases.admin.execute(f"drop database {late} with (force)")


async def test_a_database_that_never_comes_is_given_up(monkeypatch):
    monkeypatch.setattr(schema, "PATIENCE", 0.05)
    async with asyncio.timeout(30):
        with pytest.raises(Unavailable, match="no answer within"):
            await wait_until_reachable(NOWHERE)


async def test_the_command_waits_when_told_to_and_gives_up_in_the_end(keyturn, monkeypatch):
    monkeypatch.setattr(schema, "PATIENCE", 0.05)
    nowhere = {"KEYTURN_POSTGRES__URL": NOWHERE}
    code, said = await keyturn("--wait", **nowhere)
    assert (code, "no answer within" in said) == (3, True)
    code, said = await keyturn(**nowhere)
    assert (code, "ConnectionRefusedError" in said) == (3, True)


async def test_the_command_says_what_was_applied_and_what_would_be(keyturn, carried, monkeypatch):
    folder = carried({"9001_contract_old": "select 1;", "9002_new": "select 1;"})
    monkeypatch.setattr(schema, "migrate", partial(migrate, folder=folder))
    assert await keyturn("--dry-run") == (0, "would apply 9002_new.sql\n")
    assert await keyturn() == (0, "applied 9002_new.sql\n")
    assert await keyturn() == (0, "nothing to do\n")
    code, said = await keyturn("--contract", "--json")
    assert (code, json.loads(said)) == (0, {"applied": ["9001_contract_old.sql"], "dryRun": False})


async def test_the_command_says_which_migration_could_not_have_its_lock(
    keyturn, sql, carried, monkeypatch
):
    monkeypatch.setattr(schema, "LOCK_TIMEOUT", 0.05)
    folder = carried({"9001_one": "alter table sessions add column one integer;"})
    monkeypatch.setattr(schema, "migrate", partial(migrate, folder=folder))
    async with sql.transaction(), asyncio.timeout(30):
        await sql.fetch("select from sessions")
        code, said = await keyturn()
    assert (code, "9001_one.sql: a lock was not free" in said) == (3, True)


async def test_a_list_of_migrations_that_somebody_locked_is_not_waited_for_either(
    database_url, sql, monkeypatch
):
    monkeypatch.setattr(schema, "LOCK_TIMEOUT", 0.05)
    async with sql.transaction(), asyncio.timeout(30):
        await sql.execute("lock table schema_migrations in access exclusive mode")
        with pytest.raises(Unavailable, match="LockNotAvailableError"):
            await migrate(database_url)
