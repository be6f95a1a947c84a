"""Audit events on a real PostgreSQL: written in batches, once, dated by the database, never lost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from keyturn.audit.trail import SQL
from keyturn.cli.context import open_database
from keyturn.clock import FixedClock
from keyturn.db.migrate import migrate
from keyturn.db.pool import Database
from keyturn.errors import InvalidGrant, Unavailable
from keyturn.jobs.write_audit import WriteAudit, write_now
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.metrics import Metrics
from support import replicas
from support.log_lines import caught_logs
from support.patience import patient
from support.servers import private_postgres


class Trail:
    """One process's audit trail on a database."""

    def __init__(self, url: str):
        self.clock, self.metrics = FixedClock(datetime(1999, 1, 1, tzinfo=UTC)), Metrics()
        self.database = Database(patient(url, lock_timeout=1.0), self.metrics)
        self.audit = Audit(self.clock, self.metrics, 5000)
        self.writer = WriteAudit(self.database, self.audit, self.metrics, self.clock, 0.01)
        self.url = url

    async def rows(self) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch("select * from audit_events order by at, id")
        finally:
            await connection.close()

    def counted(self) -> tuple[float, float]:
        return (
            sum(one._value.get() for one in self.metrics.audit_events._children.values()),
            sum(one._value.get() for one in self.metrics.audit_failures._children.values()),
        )


@pytest.fixture
async def trail(database_url: str) -> AsyncIterator[Trail]:
    with caught_logs():
        trail = Trail(database_url)
        yield trail
        await trail.database.close()


async def test_an_event_is_written_with_everything_it_says(trail):
    user, session = uuid4(), uuid4()
    trail.audit.record(
        AuditEvent(
            type="sign_in_failed",
            user_id=user,
            client_id="spa",
            session_id=session,
            ip="2001:db8::9",
            result="failed",
            detail={"by": "user", "count": 3, "late": True},
            request_id="id-1",
        )
    )
    await trail.writer.flush()
    (row,) = await trail.rows()
    assert (row["type"], row["result"]) == ("sign_in_failed", "failed")
    assert (row["user_id"], row["client_id"], row["session_id"]) == (user, "spa", session)
    assert str(row["ip"]) == "2001:db8::9"
    assert row["request_id"] == "id-1"
    assert row["detail"] == '{"by": "user", "late": true, "count": 3}'
    assert trail.counted() == (1.0, 0.0)


async def test_an_event_with_nothing_but_a_type_is_written(trail):
    trail.audit.record(AuditEvent(type="key_rotated"))
    await trail.writer.flush()
    (row,) = await trail.rows()
    assert row["user_id"] is row["ip"] is row["client_id"] is None


async def test_REL_6_events_are_dated_by_the_database_however_wrong_our_clock_is(trail):
    """Our wall clock says 1999; the event waited for an hour."""
    trail.audit.record(AuditEvent(type="sign_in"))
    trail.clock.advance(timedelta(hours=1))
    await trail.writer.flush()
    (row,) = await trail.rows()
    age = datetime.now(UTC) - row["at"]
    assert timedelta(minutes=59) < age < timedelta(minutes=61)


async def test_many_events_are_written_in_order_of_happening(trail):
    for number in range(1200):
        trail.audit.record(AuditEvent(type="sign_in", detail={"number": number}))
        trail.clock.advance(timedelta(milliseconds=1))
    await trail.writer.flush()
    rows = await trail.rows()
    assert [row["detail"] for row in rows] == [f'{{"number": {n}}}' for n in range(1200)]
    assert trail.audit.waiting() == trail.writer.unwritten() == 0


async def test_a_batch_sent_twice_is_kept_once(trail):
    """The commit was acknowledged, the answer was lost: the same batch comes again."""
    trail.audit.record(AuditEvent(type="sign_in"))
    batch = await trail.writer._date(10)
    await trail.writer._insert(batch)
    await trail.writer._insert(batch)
    assert len(await trail.rows()) == 1


async def test_an_event_the_database_refuses_costs_itself_only(trail):
    trail.audit.record(AuditEvent(type="sign_in", detail={"number": 1}))
    trail.audit.record(AuditEvent(type="sign_in", ip="not an address"))
    trail.audit.record(AuditEvent(type="sign_in", detail={"text": "NUL \0"}))
    trail.audit.record(AuditEvent(type="sign_in", detail={"number": 2}))
    await trail.writer.flush()
    written = sorted(row["detail"] for row in await trail.rows())
    assert written == ['{"number": 1}', '{"number": 2}']
    assert trail.counted() == (2.0, 2.0)


async def test_events_wait_while_the_database_is_away_and_are_dated_by_their_happening():
    async with private_postgres() as server:
        await migrate(server.url)
        with caught_logs():
            trail = Trail(server.url)
            trail.audit.record(AuditEvent(type="sign_in", detail={"number": 1}))
            await trail.writer.flush()
            await server.stop()
            for number in (2, 3):
                trail.audit.record(AuditEvent(type="sign_in", detail={"number": number}))
                with pytest.raises(Unavailable):
                    await trail.writer.flush()
            trail.clock.advance(timedelta(hours=1))
            assert trail.writer.unwritten() == 2
            await server.start()
            await trail.writer.flush()
            rows = await trail.rows()
            await trail.database.close()
    assert sorted(row["detail"] for row in rows) == [f'{{"number": {n}}}' for n in (1, 2, 3)]
    assert rows[0]["detail"] != '{"number": 1}'
    assert trail.counted() == (3.0, 0.0)


async def test_what_cannot_be_written_at_the_end_is_counted_as_lost():
    with caught_logs() as caught:
        trail = Trail("postgresql://nobody@127.0.0.1:9/none")
        trail.audit.record(AuditEvent(type="sign_in"))
        await trail.writer.close(1)
        assert trail.counted() == (0.0, 1.0)
        assert caught.all()[-1]["event"] == "audit_events_lost"


async def test_the_job_writes_and_tells_trouble_once(trail):
    running = asyncio.create_task(trail.writer.run())
    trail.audit.record(AuditEvent(type="sign_in"))
    async with asyncio.timeout(30):
        while not await trail.rows():
            await asyncio.sleep(0.01)
    running.cancel()


async def test_a_command_writes_before_it_ends(trail):
    trail.audit.record(AuditEvent(type="user_added"))
    await write_now(trail.database, trail.audit, trail.metrics, trail.clock)
    assert len(await trail.rows()) == 1


async def test_what_a_command_did_before_it_failed_is_written(trail, database_url, monkeypatch):
    for name, value in replicas.settings(database_url, None).items():
        monkeypatch.setenv(name, value)

    async def command():
        async with open_database(None) as opened:
            opened.audit.record(AuditEvent(type="session_ended"))
            raise InvalidGrant("half-way")

    with pytest.raises(InvalidGrant, match="half-way"):
        await command()
    assert len(await trail.rows()) == 1


async def test_this_month_and_three_more_have_partitions(trail, database_url):
    connection = await asyncpg.connect(database_url)
    tables = "select count(*) from pg_inherits where inhparent = 'audit_events'::regclass"
    assert await connection.fetchval(tables) == 5
    trail.audit.record(AuditEvent(type="sign_in"))
    await trail.writer.flush()
    assert await connection.fetchval("select count(*) from audit_events_default") == 0
    await connection.close()


async def test_months_are_made_ahead_once_by_however_many_replicas(trail, database_url):
    async def make(months: int) -> int:
        row = await trail.database.fetch_row(SQL["make_partitions"], months)
        return row["made"]

    assert await make(3) == 0
    assert sum(await asyncio.gather(*(make(6) for _ in range(5)))) == 3
    assert await make(6) == 0


async def test_an_event_of_a_month_without_a_partition_is_kept_and_its_month_left_alone(
    trail, database_url
):
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "insert into audit_events (id, at, type, result)"
        " values ($1, now() + interval '4 months', 'sign_in', 'ok')",
        uuid4(),
    )
    row = await trail.database.fetch_row(SQL["make_partitions"], 5)
    assert row["made"] == 1
    assert await connection.fetchval("select count(*) from audit_events_default") == 1
    await connection.close()


HELD = "lock table audit_events_default in access share mode"
FORBIDDEN = """
create or replace function make_audit_partitions(ahead integer) returns integer
language plpgsql as $$ begin raise insufficient_privilege; end $$
"""


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(HELD, "LockNotAvailableError"), (FORBIDDEN, "InsufficientPrivilegeError")],
    ids=["a dump holds the table", "the role may not create tables"],
)
async def test_events_are_written_though_no_partition_can_be_made(
    trail, database_url, trouble, reason
):
    connection = await asyncpg.connect(database_url)
    months = "select tablename from pg_tables where tablename ~ '^audit_events_[0-9]' order by 1"
    last = (await connection.fetch(months))[-1]["tablename"]
    await connection.execute(f"drop table {last}")
    holding = connection.transaction()
    if trouble == HELD:
        await holding.start()
    await connection.execute(trouble)
    trail.database.session_settings["lock_timeout"] = "20"
    with caught_logs() as caught:
        running = asyncio.create_task(trail.writer.run())
        trail.audit.record(AuditEvent(type="sign_in"))
        async with asyncio.timeout(30):
            while not await trail.rows():
                await asyncio.sleep(0.01)
        running.cancel()
    [line] = [one for one in caught.all() if one["event"] == "audit_partitions_not_made"]
    assert line["reason"] == f"make_partitions: {reason}"
    await connection.close()
