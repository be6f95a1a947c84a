"""What the leader counts each minute, on a real PostgreSQL."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from keyturn.db.migrate import required_version
from keyturn.db.pool import Database
from keyturn.jobs.census import MOST_PAGES, Census
from keyturn.jobs.leader import Leadership
from keyturn.telemetry.metrics import Metrics
from support.patience import patient

SESSIONS = """
insert into sessions (id, user_id, client_id, scopes, audiences, token_hash, next_hash,
                      idle_lifetime, idle_expires_at, expires_at, auth_time, revoked_at,
                      revoke_reason)
select gen_random_uuid(), gen_random_uuid(), 'web', '{}', '{}', sha256('a'), sha256('b'), '1 day',
       now() + $2::interval, now() + $3::interval, now(), case when $4 then now() end,
       case when $4 then 'logout' end
  from generate_series(1, $1)
"""
DAY, BEFORE = timedelta(days=1), timedelta(days=-1)


@pytest.fixture
async def counting(database_url):
    """Two processes with a census each, and a connection to what they count."""
    settings = patient(database_url, pool_max=2)
    jobs = []
    for _ in range(2):
        metrics = Metrics()
        database = Database(settings, metrics)
        leadership = Leadership(settings, metrics)
        jobs.append(Census(database, leadership, metrics, required_version()))
    connection = await asyncpg.connect(database_url)
    yield *jobs, connection
    await connection.close()
    for job in jobs:
        await job.leadership.resign()
        await job.database.close()


def shown(job: Census, name: str, **labels: str) -> float | None:
    return job.metrics.registry.get_sample_value(f"keyturn_{name}", labels)


async def add(connection, count, idle=DAY, life=DAY, *, revoked=False):
    await connection.execute(SESSIONS, count, idle, life, revoked)


async def test_only_live_sessions_are_counted_as_such_and_only_by_who_leads(counting):
    leader, other, connection = counting
    await add(connection, 7)
    await add(connection, 2, revoked=True)
    await add(connection, 3, idle=BEFORE)
    await add(connection, 5, idle=BEFORE, life=BEFORE)
    await leader.run_once()
    await other.run_once()
    assert shown(leader, "sessions_active") == 7
    assert shown(leader, "expired_rows", table="sessions") == 5
    assert shown(other, "sessions_active") == 0
    assert shown(other, "expired_rows", table="sessions") == 0


async def test_who_leads_no_longer_shows_nothing_that_is_counted_elsewhere(counting):
    leader, other, connection = counting
    await add(connection, 4)
    await leader.run_once()
    await leader.leadership.resign()
    async with asyncio.timeout(30):
        while not await other.leadership.leads("census"):
            await asyncio.sleep(0.01)
    await leader.run_once()
    await other.run_once()
    assert (shown(leader, "sessions_active"), shown(other, "sessions_active")) == (0, 4)


async def test_of_other_tables_it_is_what_a_purge_would_delete(counting):
    leader, _, connection = counting
    await connection.execute(
        "insert into revocations values ('sid', 'a', now() - interval '2 days', now()),"
        " ('sid', 'b', now(), now() + interval '1 hour')"
    )
    await connection.execute(
        "insert into authorization_requests (handle_hash, browser_hash, request, expires_at)"
        " select sha256(n::text::bytea), sha256('b'), '{}', now() + (n - 2.5) * interval '1 hour'"
        "   from generate_series(1, 3) n"
    )
    await leader.run_once()
    assert shown(leader, "expired_rows", table="revocations") == 1
    assert shown(leader, "expired_rows", table="authorization_requests") == 2
    assert shown(leader, "expired_rows", table="logins") == 0


async def test_a_large_table_is_sampled_and_the_estimate_is_near(counting):
    leader, _, connection = counting
    await add(connection, 80_000)
    pages = await connection.fetchval("select pg_relation_size('sessions') / 8192")
    assert pages > MOST_PAGES, "larger than what is read"
    await leader.run_once()
    assert shown(leader, "sessions_active") == pytest.approx(80_000, rel=0.3)


async def test_the_schema_is_told_also_while_it_is_behind(counting):
    leader, _, connection = counting
    behind = Census(leader.database, leader.leadership, leader.metrics, required_version() + 1)
    await add(connection, 1)
    await behind.run_once()
    assert shown(leader, "schema_version", kind="applied") == required_version()
    assert shown(leader, "schema_version", kind="required") == required_version() + 1
    assert shown(leader, "sessions_active") == 0, "nothing is counted in a schema not ours"
