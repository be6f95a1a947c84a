"""Leadership and the purge, on a real PostgreSQL."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from keyturn.clock import FixedClock, SystemClock
from keyturn.crypto import opaque
from keyturn.db.pool import Database
from keyturn.db.queries import Query
from keyturn.errors import Unavailable
from keyturn.jobs.leader import SILENCE, Leadership
from keyturn.jobs.purge import Purge, Purged
from keyturn.keys.rotation import LOCK
from keyturn.sessions.purge import purge_expired
from keyturn.telemetry.metrics import Metrics
from support import starts
from support.keys import rotation_of
from support.patience import patient
from support.servers import private_postgres

SECRETS = "1: Zt4q8vN2xK7mB1cR5wL9pD3fH6jS0aUe-YgTbQkVnXo"
INSERT = """
insert into sessions (id, user_id, client_id, scopes, audiences, token_hash, next_hash,
                      idle_lifetime, idle_expires_at, expires_at, auth_time, revoked_at,
                      revoke_reason)
select $1, gen_random_uuid(), 'web', '{}', '{}', sha256('a'), sha256('b'), '1 day',
       $2, $2, now(), case when $3 then now() end, case when $3 then 'logout' end
"""


@asynccontextmanager
async def candidate(url):
    leadership = Leadership(patient(url), Metrics())
    try:
        yield leadership
    finally:
        await leadership.resign()


async def test_of_two_processes_one_leads_and_the_other_follows_it(database_url):
    async with candidate(database_url) as first, candidate(database_url) as second:
        assert await first.leads("purge")
        assert not await second.leads("purge")
        assert await first.leads("purge")
        await first.resign()
        await until_it_leads(second)
        assert not await first.leads("purge")


async def until_it_leads(one: Leadership) -> None:
    """Wait for it: the server process of who led before lets go in its own time."""
    async with asyncio.timeout(30):
        while not await one.leads("purge"):
            await asyncio.sleep(0.01)


async def test_posts_are_independent_and_share_one_connection(database_url):
    async with candidate(database_url) as first, candidate(database_url) as second:
        assert await first.leads("purge")
        assert await second.leads("copy")
        assert await second.leads("other")
        assert not await second.leads("purge")
        connection = await asyncpg.connect(database_url)
        held = await connection.fetch(
            "select pid from pg_locks where locktype = 'advisory' and objsubid = 2 and database ="
            " (select oid from pg_database where datname = current_database())"
        )
        await connection.close()
    assert len(held) == 3
    assert len({row["pid"] for row in held}) == 2


async def test_many_questions_at_once_share_the_connection(database_url):
    async with candidate(database_url) as one:
        assert all(await asyncio.gather(*(one.leads(f"post {n % 3}") for n in range(20))))


async def test_a_leader_whose_connection_was_cut_learns_that_it_leads_no_more(database_url):
    async with candidate(database_url) as first, candidate(database_url) as second:
        assert await first.leads("purge")
        connection = await asyncpg.connect(database_url)
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_locks"
            " where locktype = 'advisory' and objsubid = 2 and pid <> pg_backend_pid()"
            " and database = (select oid from pg_database where datname = current_database())"
        )
        await connection.close()
        await until_it_leads(second)
        try:
            assert not await first.leads("purge")
        except Unavailable:
            assert not await first.leads("purge")


async def test_the_server_hangs_up_on_a_leader_it_hears_nothing_of(database_url):
    """A frozen process must not keep the others from copying."""
    async with candidate(database_url) as one:
        await one.leads("purge")
        row = await one._line.fetch_row(
            Query("test", "", "select current_setting('idle_session_timeout') as silence")
        )
    assert row["silence"] == f"{SILENCE}s"


async def test_a_database_that_is_away_is_unavailable_and_leads_nobody():
    async with private_postgres() as server, candidate(server.url) as one:
        assert await one.leads("purge")
        server.kill()
        with pytest.raises(Unavailable):
            await one.leads("purge")
        await server.start()
        assert await one.leads("purge")


@pytest.fixture
async def database(database_url):
    database = Database(patient(database_url), Metrics())
    yield database
    await database.close()


async def add_session(database, life, *, revoked=False):
    expires_at = datetime.now(UTC) + life
    session_id = opaque.session_id(expires_at)
    await database.execute(Query("test", "", INSERT), session_id, expires_at, revoked)
    return session_id


async def remaining(database):
    rows = await database.fetch(Query("test", "", "select id from sessions"))
    return {row["id"] for row in rows}


async def test_expired_sessions_go_and_live_and_revoked_ones_stay(database):
    """A revoked row stays until its absolute expiry: it is not the same as one never heard of."""
    for _ in range(7):
        await add_session(database, timedelta(hours=-2))
    live = await add_session(database, timedelta(hours=2))
    revoked = await add_session(database, timedelta(hours=2), revoked=True)
    metrics = Metrics()
    purged = await Purge(database, metrics, SystemClock(), batch=3).run()
    assert purged == Purged(sessions=7, revocations=0)
    assert await remaining(database) == {live, revoked}
    name = "keyturn_purge_rows_deleted_total"
    assert metrics.registry.get_sample_value(name, {"table": "sessions"}) == 7


async def test_a_process_whose_clock_is_years_ahead_deletes_nothing_that_lives(database):
    live = await add_session(database, timedelta(hours=2))
    ahead = FixedClock(datetime.now(UTC) + timedelta(days=3650))
    await Purge(database, Metrics(), ahead, batch=10).run()
    assert await remaining(database) == {live}


async def test_a_purge_goes_on_where_its_last_batch_ended(database):
    """Deleted rows stay in the index while anybody's snapshot is older; nobody walks them again."""
    for hours in (9, 8, 7):
        await add_session(database, timedelta(hours=-hours))
    walk = purge_expired(database, datetime.now(UTC), 2)
    assert await anext(walk) == 2
    behind = await add_session(database, timedelta(hours=-10))
    assert [deleted async for deleted in walk] == [1, 0]
    assert await remaining(database) == {behind}


async def test_a_purge_steps_over_sessions_that_somebody_holds(database):
    held = await add_session(database, timedelta(hours=-2))
    await add_session(database, timedelta(hours=-2))
    async with database.transaction() as tx:
        await tx.fetch_row(Query("test", "", "select from sessions where id = $1 for update"), held)
        purged = await Purge(database, Metrics(), SystemClock(), batch=10).run()
    assert purged.sessions == 1
    assert await remaining(database) == {held}


async def test_the_command_purges_and_says_how_much(database, database_url):
    await add_session(database, timedelta(hours=-2))
    environ = {
        "KEYTURN_ISSUER": "https://id.example.com",
        "KEYTURN_SECRETS": SECRETS,
        "KEYTURN_POSTGRES__URL": database_url,
    }
    done = await starts.shared().run(environ, "purge", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {
        "sessions": 1,
        "revocations": 0,
        "logins": 0,
        "requests": 0,
        "codes": 0,
        "device_codes": 0,
        "replays": 0,
        "creations": 0,
    }


async def test_a_look_at_keys_that_are_as_they_should_be_waits_for_nobody(database, database_url):
    """Each replica looks every few seconds: one statement, and no lock unless there is work."""
    rotation = rotation_of(database)
    assert await rotation.run_due()
    connection = await asyncpg.connect(database_url)
    await connection.execute("select pg_advisory_lock($1)", LOCK)
    assert await rotation.run_due() == ()
    await connection.close()
