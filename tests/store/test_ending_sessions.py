"""Ending sessions in the large: every one that is meant, and only those."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
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
