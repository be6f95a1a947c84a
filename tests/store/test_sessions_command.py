"""`keyturn sessions`, run as an operator runs it: who is signed in where, and no longer."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import asyncpg
import pytest
from typer.testing import CliRunner

from keyturn.cli.sessions import app

ADA, BOB = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SIGN_IN = """
insert into sessions (id, user_id, client_id, scopes, audiences, token_hash, next_hash, device, ip,
                      idle_lifetime, idle_expires_at, expires_at, auth_time, created_at)
values ($1, $2, $3, '{}', '{}', sha256('a'), sha256('b'), $4, '203.0.113.7',
        '1 day', now() + interval '1 day', now() + interval '1 day', now(), $5)
"""
OLD, PHONE, LAPTOP = UUID(int=11), UUID(int=12), UUID(int=13)
SESSIONS = (
    (OLD, ADA, "web", "Firefox", NOON - timedelta(hours=1)),
    (PHONE, ADA, "mobile", "Safari", NOON + timedelta(hours=1)),
    (LAPTOP, BOB, "web", "Chrome", NOON + timedelta(hours=2)),
)


async def run(database_url: str, *args: str) -> tuple[int, str, str]:
    """Run one command; return its exit code and what it printed."""
    environment = {
        "KEYTURN_ISSUER": "https://id.example",
        "KEYTURN_POSTGRES__URL": database_url,
        "KEYTURN_SECRETS": "1: Xq7vT2mLr9BzKc4NwYs8HdPf3GjUe6Ra",
    }
    # Its own thread: a command brings its own event loop.
    result = await asyncio.to_thread(CliRunner().invoke, app, args, env=environment)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def sessions(database_url: str):
    return partial(run, database_url)


@pytest.fixture
async def sql(database_url):
    connection = await asyncpg.connect(database_url)
    await connection.executemany(SIGN_IN, SESSIONS)
    yield connection
    await connection.close()


async def live(sql: asyncpg.Connection) -> set[UUID]:
    return {
        row["id"] for row in await sql.fetch("select id from sessions where revoked_at is null")
    }


async def test_the_sessions_of_one_person_are_listed_the_latest_first(sessions, sql):
    code, out, err = await sessions("list", str(ADA), "--json")
    assert (code, err) == (0, "")
    phone, old = json.loads(out)["sessions"]
    assert (phone["id"], old["id"]) == (str(PHONE), str(OLD))
    assert (phone["clientId"], phone["device"], phone["ip"]) == ("mobile", "Safari", "203.0.113.7")
    assert datetime.fromisoformat(old["createdAt"]) == NOON - timedelta(hours=1)
    lines = (await sessions("list", str(ADA)))[1].splitlines()
    assert [line.split()[:2] for line in lines] == [[str(PHONE), "mobile"], [str(OLD), "web"]]
    assert await sessions("list", str(UUID(int=3)), "--json") == (0, '{"sessions":[]}\n', "")


@pytest.mark.parametrize(
    ("args", "left"),
    [
        (("--user", str(ADA)), {LAPTOP}),
        (("--client", "web"), {PHONE}),
        (("--session", str(PHONE)), {OLD, LAPTOP}),
        (("--before", "2026-01-31T12:00:00Z"), {PHONE, LAPTOP}),
        (("--before", "2026-01-31T12:00:00"), {PHONE, LAPTOP}),  # without a zone: UTC
        (("--before", "2026-01-31T15:30:00+02:00"), {LAPTOP}),
        (("--user", str(UUID(int=3))), {OLD, PHONE, LAPTOP}),
    ],
)
async def test_revoke_ends_what_is_named_and_nothing_else(args, left, sessions, sql):
    ended = {OLD, PHONE, LAPTOP} - left
    assert await sessions("revoke", *args, "--json") == (0, f'{{"ended":{len(ended)}}}\n', "")
    assert await live(sql) == left
    revoked = await sql.fetch("select id from revocations where kind = 'sid'")
    assert {UUID(row["id"]) for row in revoked} == ended
    assert await sessions("revoke", *args) == (0, "ended 0\n", "")


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ((), "exactly one"),
        (("--user", str(ADA), "--client", "web"), "exactly one"),
        (("--before", "yesterday"), "ISO 8601"),
        (("--user", "ada"), "Invalid value"),
    ],
)
async def test_a_wish_that_is_not_clear_ends_nothing(args, complaint, sessions, sql):
    code, out, err = await sessions("revoke", *args)
    assert (code, out) == (2, "")
    assert complaint in err
    assert await live(sql) == {OLD, PHONE, LAPTOP}
