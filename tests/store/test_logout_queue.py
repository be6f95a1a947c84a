"""The queue of logouts in PostgreSQL: nothing is lost, and no attempt is made by two."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.logouts import queue
from keyturn.logouts.queue import DELAYS, SQL
from keyturn.parts import Parts
from keyturn.sessions.end import end_sessions_of_user
from support import replicas

EVA = UUID(int=7)
DAY = timedelta(days=1)
CLIENT = """
insert into clients (id, name, kind, auth_method, grant_types, scopes, audiences,
                     backchannel_logout_uri)
values ($1, $1, 'public', 'none', '{}', '{}', '{}', $2)
"""
SESSIONS = """
insert into sessions (id, user_id, client_id, scopes, audiences, token_hash, next_hash,
                      idle_lifetime, idle_expires_at, expires_at, auth_time)
select gen_random_uuid(), $3, $1, '{}', '{}', sha256(n::text::bytea), sha256(n::text::bytea),
       '1 day', now() + interval '1 day', now() + interval '1 day', now()
  from generate_series(1, $2) n
"""
ROWS = "select * from logout_deliveries"


@asynccontextmanager
async def process(url):
    """One replica's parts."""
    parts = Parts.of(load_settings(replicas.settings(url, None)), SystemClock())
    try:
        yield parts
    finally:
        await parts.close()


@pytest.fixture
async def parts(database_url):
    async with process(database_url) as parts:
        yield parts


@pytest.fixture
async def sql(database_url):
    connection = await asyncpg.connect(database_url)
    for client_id in ("a", "b", "c"):
        await connection.execute(CLIENT, client_id, f"https://{client_id}.example/x")
    await connection.execute(CLIENT, "deaf", None)
    yield connection
    await connection.close()


async def queued(sql, client_id, count):
    """Let so many sessions of a client wait to be told of."""
    await sql.execute(
        "insert into logout_deliveries (session_id, client_id, user_id)"
        " select gen_random_uuid(), $1, gen_random_uuid() from generate_series(1, $2)",
        client_id,
        count,
    )


async def claimed(parts, most=100, without=(), lifetime=DAY):
    return await queue.claim(parts.database, lifetime, most, without)


# -- written with the end of a session ------------------------------------------------------------


async def test_a_sweep_queues_every_session_of_clients_that_want_to_hear(parts, sql):
    for client_id, count in (("a", 30), ("b", 20), ("deaf", 10)):
        await sql.execute(SESSIONS, client_id, count, EVA)
    assert await parts.ending.all_of_client("a") == 30
    assert Counter(row["client_id"] for row in await sql.fetch(ROWS)) == {"a": 30}
    assert await parts.ending.all_of_user(EVA) == 30
    rows = await sql.fetch(ROWS)
    assert Counter(row["client_id"] for row in rows) == {"a": 30, "b": 20}
    assert {row["user_id"] for row in rows} == {EVA}
    ended = await sql.fetch("select id from sessions where client_id in ('a', 'b')")
    assert {row["session_id"] for row in rows} == {row["id"] for row in ended}


async def test_an_end_that_is_not_committed_tells_nobody(parts, sql):
    await sql.execute(SESSIONS, "a", 1, EVA)

    async def fails():
        async with parts.database.transaction() as tx:
            assert len(await end_sessions_of_user(tx, EVA, "admin")) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert not await sql.fetch(ROWS)
    assert await sql.fetchval("select count(*) from sessions where revoked_at is null") == 1


async def test_a_session_replaced_by_a_step_up_is_not_over_for_its_client(parts, sql):
    await sql.execute(SESSIONS, "a", 2, EVA)
    first, second = [row["id"] for row in await sql.fetch("select id from sessions")]
    ends = "update sessions set revoked_at = now(), revoke_reason = $2 where id = $1"
    for session_id, reason in ((first, "step_up"), (second, "replaced")):
        await sql.execute(ends, session_id, reason)
    await queue.write(parts.database, [str(first), str(second)])
    assert [row["session_id"] for row in await sql.fetch(ROWS)] == [second]


async def test_the_same_end_is_queued_once(parts, sql):
    await sql.execute(SESSIONS, "a", 1, EVA)
    await parts.ending.all_of_user(EVA)
    [row] = await sql.fetch(ROWS)
    await queue.write(parts.database, [str(row["session_id"])])
    assert await sql.fetch(ROWS) == [row]


# -- claimed for one attempt ----------------------------------------------------------------------


async def test_a_claim_counts_the_attempt_and_sets_the_next_before_anything_is_sent(parts, sql):
    await queued(sql, "a", 1)
    for attempt, delay in enumerate(DELAYS, 1):
        [delivery] = await claimed(parts)
        assert (delivery.client_id, delivery.uri, delivery.attempt) == (
            "a", "https://a.example/x", attempt,
        )  # fmt: skip
        assert (delivery.is_late, delivery.is_last) == (False, False)
        [row] = await sql.fetch(ROWS)
        wait = row["due_at"] - delivery.claimed_at
        assert delay * 0.74 < wait < delay * 1.26, (attempt, wait)
        assert not await claimed(parts), "it is nobody's turn before that"
        # A process killed here has lost nothing: the row is due again when its time comes.
        await sql.execute("update logout_deliveries set due_at = now() - interval '1 ms'")
    [delivery] = await claimed(parts)
    assert delivery.attempt == len(DELAYS) + 1
    [row] = await sql.fetch(ROWS)
    assert DELAYS[-1] * 0.74 < row["due_at"] - delivery.claimed_at < DELAYS[-1] * 1.26


async def test_the_delays_of_many_are_spread(parts, sql):
    for number in range(40):
        await queued(sql, f"client-{number}", 1)
    await claimed(parts)
    due = [row["due_at"] for row in await sql.fetch(ROWS)]
    assert max(due) - min(due) > timedelta(seconds=2)


async def test_no_attempt_is_made_by_two(database_url, sql):
    for client_id in "abc":
        await queued(sql, client_id, 60)
    async with process(database_url) as one, process(database_url) as two:

        async def drain(parts):
            found = []
            while got := await claimed(parts, most=2):
                found += [(delivery.session_id, delivery.attempt) for delivery in got]
            return found

        drained = await asyncio.gather(
            *(drain(one) for _ in range(4)), *(drain(two) for _ in range(4))
        )
    made = Counter(attempt for found in drained for attempt in found)
    assert len(made) == 180
    assert set(made.values()) == {1}
    assert {attempt for _, attempt in made} == {1}


async def test_a_row_that_another_is_claiming_is_passed_over_not_waited_for(parts, sql):
    await queued(sql, "a", 2)
    async with sql.transaction():
        held = await sql.fetch(SQL["claim"].sql, [], 1, [DAY], DAY)
        [other] = await claimed(parts)
        assert other.session_id != held[0]["session_id"]
        assert not await claimed(parts)


async def test_a_claim_takes_one_of_each_client_the_longest_due_first(parts, sql):
    await queued(sql, "a", 500)
    await queued(sql, "b", 1)
    oldest = uuid4()
    await sql.execute(
        "insert into logout_deliveries (session_id, client_id, user_id, due_at)"
        " values ($1, 'c', $1, now() - interval '1 hour'), ($2, 'c', $2, now())",
        oldest,
        uuid4(),
    )
    got = await claimed(parts)
    assert sorted(one.client_id for one in got) == ["a", "b", "c"]
    assert next(one.session_id for one in got if one.client_id == "c") == oldest
    got = await claimed(parts, without=["a"])
    assert [one.client_id for one in got] == ["c"]


async def test_with_few_places_no_client_is_always_behind(parts, sql):
    for client_id in "abc":
        await queued(sql, client_id, 100)
    first = Counter()
    for _ in range(60):
        [delivery] = await claimed(parts, most=1)
        first[delivery.client_id] += 1
    assert min(first[one] for one in "abc") > 5, first


async def test_what_is_late_and_what_is_the_last_attempt_is_said(parts, sql):
    await queued(sql, "a", 1)
    age = "update logout_deliveries set due_at = now(), created_at = now() - $1::interval"
    for past, late, last in (
        (0, False, False),
        (80, False, False),
        (95, False, True),
        (100, True, True),
    ):
        await sql.execute(age, timedelta(seconds=past))
        await sql.execute("update logout_deliveries set attempts = 0")
        [delivery] = await claimed(parts, lifetime=timedelta(seconds=100))
        assert (delivery.is_late, delivery.is_last) == (late, last), past


async def test_a_disabled_client_and_one_without_address_have_nowhere_to_be_told(parts, sql):
    await queued(sql, "a", 1)
    await queued(sql, "deaf", 1)
    await queued(sql, "nobody", 1)
    await sql.execute("update clients set disabled_at = now() where id = 'a'")
    got = await claimed(parts)
    assert {one.client_id: one.uri for one in got} == dict.fromkeys(("a", "deaf", "nobody"))


async def test_what_is_finished_is_finished_once(parts, sql):
    await queued(sql, "a", 1)
    [delivery] = await claimed(parts)
    assert await queue.finish(parts.database, delivery.session_id)
    assert not await queue.finish(parts.database, delivery.session_id)
    assert not await sql.fetch(ROWS)


async def test_the_backlog_is_measured_as_far_as_it_is_worth(parts, sql, monkeypatch):
    empty = await queue.measure(parts.database)
    assert (empty.length, empty.oldest) == (0, 0)
    await queued(sql, "a", 30)
    await sql.execute("update logout_deliveries set created_at = now() - interval '90 s'")
    backlog = await queue.measure(parts.database)
    assert backlog.length == 30
    assert 90 <= backlog.oldest < 120
    monkeypatch.setattr(queue, "MOST_COUNTED", 20)
    assert (await queue.measure(parts.database)).length == 20
