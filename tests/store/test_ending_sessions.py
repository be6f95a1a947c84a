"""Ending sessions in the large: every one that is meant, and only those."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.errors import Unavailable
from keyturn.parts import Parts
from keyturn.sessions import end
from support import replicas

MANY = """
insert into sessions (id, user_id, client_id, scopes, audiences, token_hash, next_hash,
                      idle_lifetime, idle_expires_at, expires_at, auth_time, created_at)
select gen_random_uuid(), $3, $2, '{}', '{}', sha256(n::text::bytea), sha256(n::text::bytea),
       '1 day', now() + interval '1 day', now() + interval '1 day', now(), $4
  from generate_series(1, $1) n
"""
LIVE = "select count(*) from sessions where revoked_at is null"
REVOKED = "select count(*) from revocations where kind = 'sid'"
EVA = UUID(int=7)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
async def parts(database_url):
    parts = Parts.of(load_settings(replicas.settings(database_url, None)), SystemClock())
    yield parts
    await parts.close()


@pytest.fixture
async def connection(database_url, monkeypatch):
    monkeypatch.setattr(end, "SCANNED", 70)
    connection = await asyncpg.connect(database_url)
    await connection.execute(MANY, 200, "web", EVA, NOON - timedelta(hours=1))
    await connection.execute(MANY, 150, "mobile", EVA, NOON + timedelta(hours=1))
    yield connection
    await connection.close()


async def test_a_sweep_over_a_client_ends_all_of_it_in_parts(parts, connection):
    assert await parts.ending.all_of_client("web") == 200
    assert await connection.fetchval(LIVE + " and client_id = 'web'") == 0
    assert await connection.fetchval(LIVE) == 150
    assert await connection.fetchval(REVOKED) == 200
    assert await parts.ending.all_of_client("web") == 0


async def test_a_sweep_over_time_ends_what_began_before(parts, connection):
    assert await parts.ending.all_before(NOON) == 200
    assert await connection.fetchval(LIVE + " and client_id = 'mobile'") == 150
    [event] = parts.audit.take(10)
    assert event.event.detail["ended"] == 200


async def test_ending_the_sessions_of_a_user_is_audited_one_by_one(parts, connection):
    await connection.execute("delete from sessions where client_id = 'mobile'")
    assert await parts.ending.all_of_user(EVA) == 200
    events = [one.event for one in parts.audit.take(500)]
    assert {(one.user_id, one.client_id) for one in events} == {(EVA, "web")}
    assert len({one.session_id for one in events}) == 200
    assert await connection.fetchval(LIVE) == 0


@pytest.fixture
async def impatient(database_url, monkeypatch):
    """Parts that wait for a lock for a moment only, and try again at once."""
    monkeypatch.setattr(end, "PAUSES", (0, 0, 0))
    environ = replicas.settings(database_url, None) | {"KEYTURN_POSTGRES__LOCK_TIMEOUT": "0.05"}
    parts = Parts.of(load_settings(environ), SystemClock())
    yield parts
    await parts.close()


async def test_a_part_of_a_sweep_whose_rows_are_held_is_tried_again(impatient, connection):
    async with connection.transaction():
        await connection.execute("select from sessions limit 1 for update")
        sweeping = asyncio.create_task(impatient.ending.all_before(NOON + timedelta(days=1)))
        async with asyncio.timeout(30):
            while not failed_statements(impatient):
                await asyncio.sleep(0.005)
    assert await sweeping == 350
    assert await connection.fetchval(REVOKED) == 350


async def test_a_sweep_that_fails_is_audited_with_what_it_ended(impatient, connection):
    async with connection.transaction():
        await connection.execute("select from sessions order by id desc limit 1 for update")
        with pytest.raises(Unavailable, match="end_some_before: LockNotAvailableError"):
            await impatient.ending.all_before(NOON + timedelta(days=1))
    assert failed_statements(impatient) == 4
    ended = await connection.fetchval(REVOKED)
    assert 0 < ended < 350
    [event] = [one.event for one in impatient.audit.take(10)]
    assert (event.result, event.detail["ended"]) == ("failed", ended)


def failed_statements(parts):
    name = "keyturn_db_errors_total"
    return parts.metrics.registry.get_sample_value(name, {"kind": "statement"}) or 0
