"""Where indices come from, and what the status lists read of PostgreSQL, with its races."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from keyturn.clock import FixedClock
from keyturn.db.migrate import migrate, migrations
from keyturn.revocation import record
from keyturn.sessions.rotation import SQL as SESSIONS
from keyturn.status_lists.index import SIZE
from keyturn.status_lists.published import LONGEST, MAX_AGE
from keyturn.status_lists.reading import SQL, Reading
from support import status_lists
from support.protocol import protocol
from support.servers import database_on

INDEX = "select status_index from sessions where id = $1"
BEFORE = """
insert into sessions (id, user_id, client_id, scopes, audiences, token_hash, next_hash,
                      idle_lifetime, idle_expires_at, expires_at, auth_time)
select gen_random_uuid(), gen_random_uuid(), 'web', '{}', '{}', sha256('a'), sha256('b'), '1 day',
       now() + interval '1 day', now() + interval '1 day', now()
returning status_index
"""
"""As a release inserts that knows nothing of indices."""
REVOKE = """
insert into revocations (kind, id, revoked_at, expires_at)
values ('sid', $1, clock_timestamp(), clock_timestamp() + interval '65 minutes')
"""


@pytest.fixture
async def app(keyed_database_url):
    clock = FixedClock(datetime.now(UTC))
    async with protocol(keyed_database_url, None, clock) as app:
        yield app


@pytest.fixture
async def sql(keyed_database_url):
    connection = await asyncpg.connect(keyed_database_url)
    yield connection
    await connection.close()


@pytest.fixture
def nothing_twice(monkeypatch):
    """No reading looks back for a clock that was set back: how long ago makes no difference."""
    monkeypatch.setattr("keyturn.status_lists.reading.OVERLAP", 0)


def reads(app, what):
    """Return how often the lists were read, `news` or `everything`."""
    name = "keyturn_status_list_read_seconds_count"
    return app.parts.metrics.registry.get_sample_value(name, {"what": what}) or 0


async def shown(app, number=0):
    """Return the list that an API gets which asks a while after everybody else."""
    app.parts.clock.advance(timedelta(seconds=MAX_AGE + 0.001))
    return (await app.parts.status_lists.get(number)).body.decode()


# -- where indices come from ----------------------------------------------------------------------


async def test_sign_ins_at_once_have_an_index_each(app, sql):
    started = []
    for _ in range(5):  # as many as there are connections: none is to wait for one
        started += await asyncio.gather(*(app.sign_in() for _ in range(8)))
    places = {status_lists.part(token)["status"]["status_list"]["idx"] for _, token in started}
    assert len(places) == 40
    assert places == {one.session.status_index for one, _ in started}


async def test_a_sign_in_by_the_release_before_has_an_index_too(sql):
    assert [await sql.fetchval(BEFORE) for _ in range(3)] == [0, 1, 2]


async def test_a_session_from_before_there_were_lists_says_nothing_of_them(app, sql):
    started, _ = await app.sign_in()
    await sql.execute("update sessions set status_index = null")
    given = (await app.refresh("web", started.refresh_token)).json()
    assert "status" not in status_lists.part(given["access_token"])
    await app.parts.ending.one(started.session.id)
    assert status_lists.bitmap(await shown(app)) == bytes(SIZE // 8)


async def test_a_refresh_carries_the_index_at_no_cost_to_the_database(app, sql):
    started, token = await app.sign_in()
    where = status_lists.part(token)["status"]
    parameters = (started.session.id, [], [], ["https://api.example.com"], None)
    hot = "select pg_stat_get_xact_tuples_hot_updated('sessions'::regclass)"
    assert "status_index" in SESSIONS["rotate"].sql
    async with sql.transaction():
        for generation in range(20):
            current = await sql.fetchval(
                "select token_hash from sessions where id = $1", started.session.id
            )
            row = await sql.fetchrow(
                SESSIONS["rotate"].sql,
                started.session.id, current, *parameters[1:], timedelta(),
                bytes([generation]) * 32, bytes([generation + 1]) * 32,
            )  # fmt: skip
            assert row["status_index"] == where["status_list"]["idx"]
        assert await sql.fetchval(hot) == 20
    indexed = await sql.fetch("select indexdef from pg_indexes where tablename = 'sessions'")
    assert not [one for (one,) in indexed if "status_index" in one]


async def test_the_second_list_begins_where_the_first_is_full(app, sql):
    await sql.execute("select setval('session_status', $1, false)", SIZE - 1)
    tokens = [(await app.sign_in())[1] for _ in range(2)]
    named = [status_lists.part(one)["status"]["status_list"] for one in tokens]
    assert [(one["idx"], one["uri"][-2:]) for one in named] == [(SIZE - 1, "/0"), (0, "/1")]
    await app.parts.ending.all_of_user(app.user_id)
    for number, token in enumerate(tokens):
        assert status_lists.status(await shown(app, number), token) == 1


async def test_the_migration_lets_whoever_may_begin_sessions_number_them(postgres_url, tmp_path):
    """A server whose role owns nothing would else sign nobody in from this moment on."""
    earlier = [one for one in migrations() if one.version < 17]
    for one in earlier:
        (tmp_path / one.name).write_text(one.sql)
    name = "keyturn_t_numbering"
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f"create database {name}")
    await admin.execute(f"create role {name}")
    url = database_on(postgres_url, name)
    try:
        await migrate(url, folder=tmp_path)
        sql = await asyncpg.connect(url)
        await sql.execute(f"grant insert, select on sessions to {name}")
        await migrate(url)
        await sql.execute(f"set role {name}")
        assert await sql.fetchval(BEFORE) == 0
        assert await sql.fetchval("select last_value from session_status") == 0
        await sql.close()
    finally:
        await admin.execute(f"drop database {name} with (force)")
        await admin.execute(f"drop role {name}")
        await admin.close()


# -- what is read ---------------------------------------------------------------------------------


async def test_a_list_is_read_once_for_all_who_ask_at_once_and_not_again_for_a_second(app):
    lists = app.parts.status_lists
    asked = await asyncio.gather(*(lists.get(0) for _ in range(50)))
    app.parts.clock.advance(timedelta(seconds=MAX_AGE - 0.001))
    asked.append(await lists.get(0))
    assert len({id(one) for one in asked}) == 1
    assert (reads(app, "everything"), reads(app, "news")) == (1, 0)


async def test_who_hangs_up_does_not_end_the_reading_of_others(app):
    lists = app.parts.status_lists
    first, second = (asyncio.create_task(lists.get(0)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).body
    assert first.cancelled()


async def test_what_changes_nothing_signs_nothing(app, sql):
    await app.sign_in()
    before = await shown(app)
    await app.sign_in()
    assert await shown(app) == before
    assert reads(app, "news") == 1


async def test_a_revocation_that_commits_late_is_not_missed(app, nothing_twice):
    """Its time lies before readings that could not see it."""
    late, token = await app.sign_in()
    others = [await app.sign_in() for _ in range(3)]
    assert status_lists.status(await shown(app), token) == 0
    async with AsyncExitStack() as held:
        tx = await held.enter_async_context(app.parts.database.transaction())
        await record.write(tx, "sid", [str(late.session.id)])
        for started, other in others:
            await app.parts.ending.one(started.session.id)
            assert status_lists.status(await shown(app), other) == 1
            assert status_lists.status(await shown(app), token) == 0
    assert status_lists.status(await shown(app), token) == 1
    assert reads(app, "everything") == 1


async def test_single_tokens_are_in_no_list(app):
    started, _ = await app.sign_in()
    await app.parts.revocations.revoke_token("a jti")
    assert status_lists.bitmap(await shown(app)) == bytes(SIZE // 8)
    assert started.session.status_index == 0


async def test_what_has_expired_is_not_read(app, sql):
    started, token = await app.sign_in()
    await app.parts.ending.one(started.session.id)
    await sql.execute("update revocations set expires_at = now()")
    assert status_lists.status(await shown(app), token) == 0


async def test_a_database_that_has_forgotten_is_read_anew(app, sql):
    """A promoted standby that lags gives the same index to another session, which is not revoked."""
    [(lost, token), _] = [await app.sign_in() for _ in range(2)]
    await app.parts.ending.one(lost.session.id)
    assert status_lists.status(await shown(app), token) == 1
    await sql.execute("delete from revocations")
    assert status_lists.status(await shown(app), token) == 1
    await sql.execute("select setval('session_status', 0, false)")
    assert status_lists.status(await shown(app), token) == 0
    assert (reads(app, "everything"), reads(app, "news")) == (2, 1)


async def test_after_a_pause_everything_is_read_and_after_a_long_reading_the_news(app, monkeypatch):
    await shown(app)
    app.parts.clock.advance(timedelta(seconds=LONGEST))
    await shown(app)
    assert (reads(app, "everything"), reads(app, "news")) == (2, 0)
    after = Reading.after

    async def at_length(self, known):
        app.parts.clock.advance(timedelta(seconds=2 * LONGEST))
        return await after(self, known)

    monkeypatch.setattr(Reading, "after", at_length)
    for _ in range(2):
        await shown(app)
    assert (reads(app, "everything"), reads(app, "news")) == (2, 2)


async def test_more_than_a_page_is_read_in_pages(app, sql, monkeypatch):
    monkeypatch.setattr("keyturn.status_lists.reading.PAGE", 3)
    ended = [await app.sign_in() for _ in range(8)]
    await app.parts.ending.all_of_user(app.user_id)
    status_list = await shown(app)
    assert [status_lists.status(status_list, token) for _, token in ended] == [1] * 8


async def test_places_are_looked_up_by_the_key_however_many_sessions_there_are(sql):
    await sql.execute(
        BEFORE.replace("now()\nreturning status_index", "now() from generate_series(1, 10000)")
    )
    await sql.execute("analyze sessions; set plan_cache_mode = force_generic_plan")
    await sql.execute(f"prepare one as {SQL['indices'].sql}")
    plan = "\n".join(row[0] for row in await sql.fetch("explain execute one(null)"))
    assert "Index Scan using sessions_pkey" in plan, plan
    assert "Seq Scan" not in plan, plan


# -- the news are everything ----------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("revoke"), st.integers(0, 29)),
        st.tuples(st.just("hold"), st.integers(0, 29)),
        st.tuples(st.just("commit"), st.integers(0, 2)),
        st.tuples(st.just("roll back"), st.integers(0, 2)),
        st.tuples(st.just("read"), st.just(0)),
    ),
    max_size=20,
)


@pytest.fixture
async def thirty(app, sql, keyed_database_url):
    """Thirty sessions across the border of two lists, and a way to write as several do."""
    await sql.execute("select setval('session_status', $1, false)", SIZE - 15)
    for _ in range(30):
        await sql.execute(BEFORE)
    rows = await sql.fetch("select id from sessions order by status_index")
    lines = [await asyncpg.connect(keyed_database_url) for _ in range(3)]
    yield [row["id"] for row in rows], lines
    for one in lines:
        await one.close()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
@example(steps=[("hold", 3), ("read", 0), ("revoke", 4), ("read", 0), ("commit", 0)])
async def test_a_history_read_as_it_goes_is_what_reading_everything_finds(
    app, sql, thirty, nothing_twice, steps
):
    sessions, lines = thirty
    await sql.execute("truncate revocations")
    reading = Reading(app.parts.database)
    known, held = None, {}
    for what, which in [*steps, ("read", 0)]:
        if what == "revoke" and sessions[which] not in [one for one, _ in held.values()]:
            await sql.execute(REVOKE + "on conflict do nothing", str(sessions[which]))
        elif what == "hold" and (free := [i for i in range(3) if i not in held]):
            await _hold(sql, lines[free[0]], sessions[which], held, free[0])
        elif what in {"commit", "roll back"} and which in held:
            _, transaction = held.pop(which)
            await (transaction.commit() if what == "commit" else transaction.rollback())
        elif what == "read":
            known = await reading.after(known)
            assert _bits(known) == _bits(await reading.after(None))
    for _, transaction in held.values():
        await transaction.rollback()


async def _hold(sql, line, session: UUID, held, place):
    """Write a revocation and do not commit it; one that somebody has written is left alone."""
    there = await sql.fetchval("select exists(select from revocations where id = $1)", str(session))
    if there or session in [one for one, _ in held.values()]:
        return
    transaction = line.transaction()
    await transaction.start()
    await line.execute(REVOKE, str(session))
    held[place] = session, transaction


def _bits(known):
    return {number: known.bits(number).writer()() for number in (0, 1)}
