"""A session ends by an old token or by a sign-in: cheaply, once, and everybody is told of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from keyturn.clock import FixedClock
from keyturn.crypto.opaque import EXPIRY_MARGIN
from keyturn.errors import Unavailable
from keyturn.sessions.refresh_token import RefreshTokenCodec
from keyturn.sessions.start import SessionRequest
from support.protocol import AUDIENCE, LIFETIMES, protocol

# With a token of any generation


MUCH_ROTATED = """
update sessions set generation = 9000, token_hash = $2, next_hash = sha256('next') where id = $1
"""
OVER = {
    "revoked": "update sessions set revoked_at = now(), revoke_reason = 'logout' where id = $1",
    "expired": "update sessions set expires_at = now(), idle_expires_at = now() where id = $1",
}


@pytest.fixture
async def app(keyed_database_url):
    async with protocol(keyed_database_url, None) as app:
        yield app


@pytest.fixture
async def sql(keyed_database_url):
    connection = await asyncpg.connect(keyed_database_url)
    yield connection
    await connection.close()


async def old_token(app, sql) -> tuple[UUID, str]:
    """Return a session that has been rotated often, and its very first token."""
    started, _ = await app.sign_in()
    codec = app.parts.codec
    latest = codec.descendant(codec.decode(started.refresh_token, "web"), 9000)
    await sql.execute(MUCH_ROTATED, started.session.id, latest.hash)
    return started.session.id, started.refresh_token


@pytest.mark.parametrize("over", OVER)
async def test_an_old_token_of_a_session_that_is_over_costs_one_look_and_no_hashing(
    app, sql, monkeypatch, over
):
    """9,000 HMACs are 50 ms of a core: sent again and again they would take all of it."""
    session_id, token = await old_token(app, sql)
    await sql.execute(OVER[over], session_id)
    before = await sql.fetchrow("select * from sessions where id = $1", session_id)
    monkeypatch.delattr(RefreshTokenCodec, "descendant")
    for hint in ({}, {"token_type_hint": "id_token"}):
        answer = await app.post("/oauth2/revoke", "web", token=token, **hint)
        assert answer.status_code == 200, answer.text
    assert await sql.fetchrow("select * from sessions where id = $1", session_id) == before


async def test_an_old_token_of_a_session_that_lives_ends_it_and_the_same_again_is_the_same(
    app, sql
):
    session_id, token = await old_token(app, sql)
    for _ in range(2):
        answer = await app.post("/oauth2/revoke", "web", token=token, token_type_hint="id_token")
        assert answer.status_code == 200
    assert await sql.fetchval(REASON, session_id) == "logout"


REASON = "select revoke_reason from sessions where id = $1"


async def test_a_token_that_has_expired_by_its_id_is_nobody_s_and_nobody_is_asked(app):
    started, _ = await app.sign_in()
    web, ending = await app.client("web"), app.parts.ending
    last = datetime.now(UTC) + LIFETIMES.absolute + EXPIRY_MARGIN
    for minutes, answer in ((-1, started.session.id), (1, None)):
        clock = FixedClock(last + timedelta(minutes=minutes))
        later = replace(ending, revocations=replace(ending.revocations, clock=clock))
        if answer is None:
            later = replace(later, database=None)
        ended = await later.by_refresh_token(web, started.refresh_token)
        assert (ended and ended.id) == answer


# By a sign-in


def told(app) -> tuple[list[tuple], dict[str, float]]:
    """Return what the audit trail and the metric say of sessions that a sign-in ended."""
    events = [one.event for one in app.parts.audit.take(100)]
    ended = [
        (one.detail["reason"], one.session_id, one.user_id, one.client_id)
        for one in events
        if one.type == "session_ended"
    ]
    counted = app.parts.metrics.sessions_revoked._children
    counts = {reason: counted[reason]._value.get() for reason in ("replaced", "overflow")}
    return ended, {reason: count for reason, count in counts.items() if count}


@pytest.fixture
async def two_each(app):
    """The same doors where a person may have two sessions."""
    settings = app.parts.settings
    sessions = settings.sessions.model_copy(update={"max_per_user": 2})
    fewer = settings.model_copy(update={"sessions": sessions})
    return replace(app, parts=replace(app.parts, settings=fewer))


async def test_a_sign_in_beyond_the_most_ends_the_oldest_and_everybody_is_told(two_each, sql):
    app = two_each
    signed_in = [await app.sign_in() for _ in range(3)]
    assert [await app.is_active(token) for _, token in signed_in] == [False, True, True]
    oldest = signed_in[0][0].session.id
    assert await sql.fetchval(REASON, oldest) == "overflow"
    assert told(app) == ([("overflow", oldest, app.user_id, "web")], {"overflow": 1})


async def test_the_session_that_a_sign_in_replaces_ends_and_everybody_is_told(app, sql):
    started, token = await app.sign_in()
    await app.parts.starter.start(await again(app, started.session.id))
    replaced = started.session.id
    assert not await app.is_active(token)
    assert await sql.fetchval(REASON, replaced) == "replaced"
    assert told(app) == ([("replaced", replaced, app.user_id, "web")], {"replaced": 1})


async def again(app, replaces: UUID) -> SessionRequest:
    return SessionRequest(
        user_id=app.user_id,
        client=await app.client("web"),
        scopes=frozenset(),
        audiences=(AUDIENCE,),
        lifetimes=LIFETIMES,
        proof_time=datetime.now(UTC),
        replaces=replaces,
    )


AT_THE_COMMIT = """
create function refuse() returns trigger language plpgsql as
    $$ begin raise exception using errcode = '40001'; end $$;
create constraint trigger refuse after update on sessions
    deferrable initially deferred for each row execute function refuse();
"""


async def test_a_sign_in_that_is_not_committed_ends_nothing_and_tells_nobody(two_each, sql):
    app = two_each
    signed_in = [await app.sign_in() for _ in range(2)]
    await sql.execute(AT_THE_COMMIT)
    with pytest.raises(Unavailable):
        await app.parts.starter.start(await again(app, signed_in[1][0].session.id))
    with pytest.raises(Unavailable):
        await app.sign_in()
    assert [await app.is_active(token) for _, token in signed_in] == [True, True]
    assert told(app) == ([], {})
