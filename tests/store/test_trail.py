"""Reading the audit trail on a real PostgreSQL: filters, pages, and a follower who misses nothing."""

import asyncio
import random
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from keyturn.audit.cursors import Place
from keyturn.audit.trail import SQL, AuditFilter, Trail
from keyturn.db.pool import Database
from keyturn.errors import InvalidRequest
from keyturn.telemetry.metrics import Metrics
from support.patience import patient

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ALL = AuditFilter()


@pytest.fixture
async def connection(database_url):
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def trail(database_url):
    database = Database(patient(database_url), Metrics())
    yield Trail(database)
    await database.close()


async def put(connection, type_="sign_in", *, at=NOW, **members):
    """Write one event as another process would, and return its id."""
    members = {"id": uuid4(), "at": at, "type": type_, "result": "ok"} | members
    places = ", ".join(f"${n}" for n, _ in enumerate(members, 1))
    await connection.execute(
        f"insert into audit_events ({', '.join(members)}) values ({places})", *members.values()
    )
    return members["id"]


def ids(page):
    return [event.id for event in page.events]


async def test_pages_go_from_the_newest_to_the_oldest_each_event_once(trail, connection):
    made = [await put(connection, at=NOW - timedelta(seconds=n // 2)) for n in range(7)]
    seen, cursor = [], None
    while True:
        page = await trail.page(ALL, cursor, 3)
        seen += page.events
        if (cursor := page.next) is None:
            break
    assert {event.id for event in seen} == set(made)
    assert len(seen) == 7
    assert seen == sorted(seen, key=lambda one: (one.at, one.id), reverse=True)


async def test_following_goes_on_from_a_cursor_and_gives_one_though_nothing_matches(
    trail, connection
):
    assert await trail.since(ALL, None, 10) == await trail.since(ALL, None, 10)
    first = await put(connection)
    page = await trail.since(ALL, None, 10)
    assert ids(page) == [first]
    await put(connection)
    nothing = await trail.since(AuditFilter(types=["key_rotated"]), page.next, 10)
    assert nothing.events == []
    assert nothing.next == await trail.newest() != page.next
    assert await trail.since(ALL, nothing.next, 10) == await trail.since(ALL, nothing.next, 10)


async def test_each_filter_finds_its_own(trail, connection):
    user, session = uuid4(), uuid4()
    members = {
        "user_id": user, "session_id": session, "client_id": "spa", "actor": "cli",
        "ip": "192.0.2.7", "result": "failed",
    }  # fmt: skip
    wanted = await put(connection, "code_reuse", at=NOW - timedelta(hours=1), **members)
    await put(connection)
    for one in (
        AuditFilter(types=["code_reuse", "key_rotated"]),
        AuditFilter(user_id=user),
        AuditFilter(session_id=session),
        AuditFilter(client_id="spa"),
        AuditFilter(actor="cli"),
        AuditFilter(ip="192.0.2.7"),
        AuditFilter(ip="192.0.2.0/24"),
        AuditFilter(result="failed"),
        AuditFilter(since=NOW - timedelta(hours=1), until=NOW),
    ):
        assert ids(await trail.page(one, None, 10)) == [wanted], one
        assert ids(await trail.since(one, None, 10)) == [wanted], one
    (event,) = (await trail.page(AuditFilter(user_id=user), None, 10)).events
    assert (event.ip, event.actor, event.detail) == ("192.0.2.7", "cli", {})


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "a" * 42 + "!", "_" * 43, "é" * 43, "a" * 900])
def test_a_cursor_that_is_none_of_ours_is_refused(cursor):
    with pytest.raises(InvalidRequest):
        Place.parse(cursor)


def test_a_cursor_says_where_it_was_made():
    place = Place(7, NOW + timedelta(microseconds=1), uuid4())
    assert Place.parse(place.text()) == place


# -- what becomes visible late ---------------------------------------------------------------------


async def followed(trail, cursor, limit):
    """Read all that a follower is given now, and where it stands then."""
    seen = []
    while True:
        page = await trail.since(ALL, cursor, limit)
        seen += page.events
        cursor = page.next
        if len(page.events) < limit:
            return seen, cursor


async def test_whoever_writes_first_becomes_visible_first(trail, connection, database_url):
    """The second event must not be seen, and passed, while the first is still uncommitted."""
    other = await asyncpg.connect(database_url)
    holding = connection.transaction()
    await holding.start()
    first = await put(connection)
    writing = asyncio.create_task(put(other, at=NOW - timedelta(hours=1)))
    waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    async with asyncio.timeout(30):
        while not await connection.fetchval(waits):
            await asyncio.sleep(0.01)
    assert await followed(trail, None, 10) == ([], None)
    await holding.commit()
    second = await writing
    seen, _ = await followed(trail, None, 10)
    assert [event.id for event in seen] == [first, second]
    await other.close()


@pytest.mark.parametrize("limit", [1, 7, 500])
async def test_a_follower_sees_every_event_of_many_writers_once_and_in_order(
    trail, database_url, limit
):
    """Writers with long and short transactions, some of which fail; dates say nothing."""
    made, seen, cursor = [], [], None
    done = asyncio.Event()

    async def write(number):
        draw = random.Random(number)
        connection = await asyncpg.connect(database_url)
        for turn in range(10):
            at = NOW - timedelta(seconds=draw.randrange(10**7))
            transaction = connection.transaction()
            await transaction.start()
            batch = [await put(connection, at=at) for _ in range(draw.randrange(1, 4))]
            await asyncio.sleep(draw.random() / 30)
            if turn % 5 == 4:
                await transaction.rollback()
            else:
                await transaction.commit()
                made.extend(batch)
        await connection.close()

    async def follow():
        nonlocal cursor
        while True:
            last = done.is_set()
            events, cursor = await followed(trail, cursor, limit)
            seen.extend(events)
            if last:
                return
            await asyncio.sleep(0)

    assert await followed(trail, None, limit) == ([], None)  # connected, when the others begin
    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(number) for number in range(6)))
    done.set()
    await following
    assert [event.seq for event in seen] == sorted(event.seq for event in seen)
    assert len(seen) == len(made)
    assert {event.id for event in seen} == set(made)


async def test_pages_lose_and_repeat_nothing_while_others_write(trail, connection, database_url):
    made = [await put(connection, at=NOW - timedelta(minutes=n)) for n in range(40)]
    other = await asyncpg.connect(database_url)

    async def write():
        for turn in range(60):
            await put(other, at=NOW + timedelta(minutes=turn * (-1) ** turn))

    writing = asyncio.create_task(write())
    seen, cursor = [], None
    while True:
        page = await trail.page(ALL, cursor, 3)
        seen += ids(page)
        if (cursor := page.next) is None:
            break
    await writing
    await other.close()
    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)


async def test_events_from_before_the_order_come_first_by_their_dates(trail, connection):
    """What was written before migration 0012 has no number."""
    new = await put(connection, at=NOW - timedelta(days=9))
    old = [await put(connection, at=NOW - timedelta(days=n), seq=0) for n in (1, 3, 2)]
    seen, _ = await followed(trail, None, 2)
    assert [event.id for event in seen] == [old[1], old[2], old[0], new]


async def test_the_release_before_this_one_still_writes(trail, connection):
    """Its statement names no actor and no number."""
    await connection.execute(
        "insert into audit_events"
        " (id, at, type, result, user_id, client_id, session_id, ip, request_id, detail)"
        " select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[],"
        " $6::text[], $7::uuid[], $8::inet[], $9::text[], $10::jsonb[])"
        " on conflict (at, id) do nothing",
        *([value] for value in (uuid4(), NOW, "sign_in", "ok", None, None, None, None, None, "{}")),
    )
    (event,), _ = await followed(trail, None, 10)
    assert event.actor is None
    assert event.seq > 0


MANY = """
insert into audit_events (id, at, type, result, actor, user_id, client_id, session_id)
select gen_random_uuid(), date_trunc('month', now()) + n * interval '1 second', 'type-' || n % 30, 'ok',
       'user:' || n % 5000, md5((n % 5000)::text)::uuid, 'client-' || n % 500, md5(n::text)::uuid
  from generate_series(1, 20000) n;
insert into audit_events (id, at, type, result)
values (gen_random_uuid(), date_trunc('month', now()), 'rare', 'ok');
analyze audit_events
"""


async def test_no_question_reads_the_trail_from_end_to_end(databases):
    user = "'00000000-0000-0000-0000-000000000001'"
    questions = {
        "none": {},
        "type": {0: "'{rare}'"},
        "user": {1: user},
        "client": {2: "'client-1'"},
        "session": {3: user},
        "actor": {4: "'cli'"},
        "time": {7: "date_trunc('month', now()) + interval '19990 seconds'"},
    }
    async with databases.fresh() as url:
        connection = await asyncpg.connect(
            url, server_settings={"plan_cache_mode": "force_custom_plan"}
        )
        await connection.execute(MANY)
        month = await connection.fetchval("select to_char(now(), '\"audit_events_\"YYYY_MM')")
        for name, tail in (("page", ["50", "null", "null"]), ("since", SINCE)):
            await connection.execute(f"prepare {name} as {SQL[name].sql}")
            for asked, given in questions.items():
                args = [given.get(place, "null") for place in range(9)] + tail
                explain = f"explain execute {name}({', '.join(args)})"
                plan = "\n".join(row[0] for row in await connection.fetch(explain))
                assert not re.search(f"Seq Scan on {month}", plan), (asked, plan)
        await connection.close()


SINCE = ["50", "19000", "now()", "gen_random_uuid()", "20002", "now()", "gen_random_uuid()"]
