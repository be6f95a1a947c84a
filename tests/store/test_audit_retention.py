"""The audit trail is append only, and forgets whole months: on a real PostgreSQL."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from keyturn.audit.retention import Forgotten, Retention
from keyturn.clock import SystemClock
from keyturn.db.pool import Database
from keyturn.db.queries import Query
from keyturn.errors import Unavailable
from keyturn.jobs.forget_audit import ForgetAudit
from keyturn.jobs.leader import Leadership
from keyturn.telemetry.audit import Audit
from keyturn.telemetry.metrics import Metrics
from support.log_lines import caught_logs
from support.patience import patient

PUT = """
insert into audit_events (id, at, type, result)
values ($1, (date_trunc('month', now() at time zone 'UTC') + $2::interval) at time zone 'UTC',
        'sign_in', 'ok')
"""
FILL = """
insert into {} (id, type, result, at)
values ($1, 'sign_in', 'ok',
        (date_trunc('month', now() at time zone 'UTC') - make_interval(months => $2)
         + interval '9 days') at time zone 'UTC')
"""
UPSERT = """
insert into audit_events select * from audit_events
on conflict (at, id) do update set type = 'sign_out'
"""
MONTH = """
select format('create table audit_events_%s partition of audit_events for values from (%L) to (%L)',
              to_char(first, 'YYYY_MM'), first at time zone 'UTC',
              (first + interval '1 month') at time zone 'UTC')
  from (select date_trunc('month', now() at time zone 'UTC') - make_interval(months => $1)) _(first)
"""
SETTING = Query("setting", "", "select current_setting('keyturn.audit_retention', true) as granted")
TABLES = "select tablename from pg_tables where tablename ~ '^audit_events_[0-9]' order by 1"


@pytest.fixture
async def sql(database_url):
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def database(database_url):
    database = Database(patient(database_url), Metrics())
    yield database
    await database.close()


async def month(sql, ago):
    """Make the partition of a month that lies so many months back, with one event; name it."""
    create = await sql.fetchval(MONTH, ago)
    await sql.execute(create)
    name = create.split()[2]
    await sql.execute(FILL.format(name), uuid4(), ago)
    return name


async def count(sql):
    return await sql.fetchval("select count(*) from audit_events")


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_events set type = 'sign_out'",
        "delete from audit_events",
        "truncate audit_events",
        "update {month} set user_id = null",
        "delete from {month}",
        "delete from audit_events_default",
        "set keyturn.audit_retention = 'off'; delete from audit_events",
        "set keyturn.audit_retention = 'on'; update audit_events set type = 'sign_out'",
        UPSERT,
    ],
)
async def test_AD_3_an_event_is_neither_changed_nor_deleted(sql, statement):
    await sql.execute(PUT, uuid4(), timedelta(hours=1))
    await sql.execute(PUT, uuid4(), timedelta(days=-400))
    name = (await sql.fetch(TABLES))[0]["tablename"]
    with pytest.raises(asyncpg.RaiseError, match="audit events are append only: "):
        await sql.execute(statement.format(month=name))
    assert await count(sql) == 2


async def test_a_month_made_later_refuses_as_well(sql):
    name = await month(sql, 3)
    with pytest.raises(asyncpg.RaiseError, match="append only"):
        await sql.execute(f"delete from {name}")


async def test_months_go_when_all_of_them_is_older_than_what_is_kept(sql, database):
    old = [await month(sql, ago) for ago in (15, 14, 13, 2)]
    left = [row["tablename"] for row in await sql.fetch(TABLES)]
    assert await Retention(database, timedelta(days=10_000)).run() == Forgotten([], 0)
    # The last day of the month before last is this old on the last day of this month, at most.
    forgotten = await Retention(database, timedelta(days=31 * 13)).run()
    assert forgotten.months in (old[:2], old[:1])
    await Retention(database, timedelta(days=62)).run()
    assert [row["tablename"] for row in await sql.fetch(TABLES)] == left[3:]
    assert await Retention(database, timedelta(days=62)).run() == Forgotten([], 0)


async def test_the_current_month_is_kept_however_little_is_to_be(sql, database):
    await sql.execute(PUT, uuid4(), timedelta(seconds=1))
    before = await sql.fetch(TABLES)
    await Retention(database, timedelta(seconds=0)).run()
    assert await sql.fetch(TABLES) == before
    assert await count(sql) == 1


async def test_events_that_no_month_took_go_by_the_same_rule(sql, database, monkeypatch):
    monkeypatch.setattr("keyturn.audit.retention.BATCH", 2)
    for days in (-500, -499, -498, -497, -496, -20, 200):
        await sql.execute(PUT, uuid4(), timedelta(days=days))
    assert await Retention(database, timedelta(days=400)).run() == Forgotten([], 5)
    assert await count(sql) == 2
    # The permission ended with its transaction: the line that had it is used again.
    async with database.transaction() as transaction:
        row = await transaction.fetch_row(SETTING)
    assert row["granted"] in {None, ""}


async def test_who_reads_the_table_is_not_waited_for_long_and_loses_nothing(sql, database):
    name = await month(sql, 20)
    async with sql.transaction():
        await sql.fetch("select * from audit_events")
        with pytest.raises(Unavailable, match="LockNotAvailable"):
            await Retention(database, timedelta(days=400)).run()
    assert (await Retention(database, timedelta(days=400)).run()).months == [name]


async def test_one_process_forgets_and_the_trail_says_so(sql, database, database_url):
    name = await month(sql, 20)
    metrics, settings = Metrics(), patient(database_url)
    audit = Audit(SystemClock(), metrics, 100)
    leaderships = [Leadership(settings, metrics) for _ in range(3)]
    retention = Retention(database, timedelta(days=400))
    with caught_logs() as caught:
        jobs = [ForgetAudit(retention, one, audit, metrics) for one in leaderships]
        await asyncio.gather(*(job.run_once() for job in jobs))
        await asyncio.gather(*(job.run_once() for job in jobs))
    for one in leaderships:
        await one.resign()
    (recorded,) = audit.take(10)
    assert (recorded.event.type, str(recorded.event.actor)) == ("audit_months_dropped", "server")
    dropped = name.removeprefix("audit_events_")
    assert recorded.event.detail == {"months": dropped, "unsorted_events": 0}
    assert metrics.audit_months_dropped._value.get() == 1
    assert [one["months"] for one in caught.all()] == [dropped]
