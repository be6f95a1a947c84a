"""Browser logins on a real PostgreSQL: what a cookie is worth, and what ends with it."""

import asyncio
from datetime import timedelta

import pytest

from keyturn.authorizations.codes import OFFLINE
from keyturn.errors import InvalidCredentials
from keyturn.jobs.purge import Purge
from keyturn.sessions.active import ActiveSessions
from support.signed_in import REQUEST, signed_in

SHIFT = """
update logins set idle_expires_at = idle_expires_at - $1::interval where id = $2
"""


@pytest.fixture
async def here(database_url):
    async with signed_in(database_url) as here:
        yield here


async def test_a_cookie_value_finds_its_login_and_no_other_value_does(here):
    started = await here.sign_in(device="a browser", ip="203.0.113.7")
    found = await here.logins.find(started.value)
    assert found is not None
    assert (found.id, found.user_id) == (started.login.id, here.user_id)
    assert found.auth_time == started.login.auth_time
    for value in ("", started.value[:-1], started.value + "x", "x" * 43, "x" * 5000, "\x00", "ü"):
        assert await here.logins.find(value) is None, value


async def test_wb_1_the_database_keeps_a_hash_of_the_cookie_only(here):
    started = await here.sign_in()
    values = {(await here.sign_in()).value for _ in range(20)}
    assert len(values) == 20
    assert all(len(value) == 43 for value in values)
    assert started.value not in str(await here.sql.fetch("select * from logins"))
    assert started.value not in repr(started)


async def test_wb_2_the_value_changes_at_every_sign_in_and_at_every_new_proof(here):
    first = await here.sign_in()
    proof = await here.now()
    again = await here.logins.prove_again(first.login, proof, ("pwd",))
    assert again.login.id == first.login.id
    assert again.login.auth_time == proof > first.login.auth_time
    assert await here.logins.find(first.value) is None
    found = await here.logins.find(again.value)
    assert found is not None
    assert found.auth_time == proof


async def test_who_signs_in_in_the_same_browser_ends_the_login_before_and_its_sessions(here):
    first = await here.sign_in()
    session = (await here.redeem(await here.code(first))).started.session
    somebody = await here.person()
    second = await here.sign_in(somebody, replaces=first.login.id)
    assert await here.logins.find(first.value) is None
    assert await here.logins.find(second.value) is not None
    assert await here.ended_by(session.id) == "replaced"
    assert here.audited("login_started", "login_ended") == [
        "login_started",
        "login_started",
        "login_ended",
    ]


async def test_ending_a_login_ends_its_sessions_but_those_with_offline_access(here):
    mine, elsewhere = await here.sign_in(), await here.sign_in()
    online = await here.redeem(await here.code(mine))
    offline = await here.redeem(await here.code(mine, scopes=REQUEST.scopes | {OFFLINE}))
    other = await here.redeem(await here.code(elsewhere))
    for _ in range(2):
        await here.logins.end(mine.login.id, "browser_logout")
    assert await here.ended_by(online.started.session.id) == "browser_logout"
    assert await here.ended_by(offline.started.session.id) is None
    assert await here.ended_by(other.started.session.id) is None
    assert await here.logins.find(mine.value) is None
    assert await here.logins.find(elsewhere.value) is not None
    assert here.audited("login_ended", "session_ended") == ["login_ended", "session_ended"]


async def test_an_unremembered_login_ends_when_it_is_unused_for_hours(here):
    started = await here.sign_in()
    assert started.login.idle_expires_at - started.login.decided_at == timedelta(hours=4)
    await here.sql.execute(SHIFT, timedelta(hours=4), started.login.id)
    assert await here.logins.find(started.value) is None


async def test_a_remembered_login_may_stay_unused_until_its_end(here):
    started = await here.sign_in(remembered=True)
    login = started.login
    assert login.idle_expires_at == login.expires_at
    assert login.expires_at - login.decided_at == timedelta(days=30)
    await here.sql.execute("update logins set expires_at = now() where id = $1", login.id)
    assert await here.logins.find(started.value) is None


async def test_the_idle_expiry_moves_once_a_minute_at_most(here):
    started = await here.sign_in()
    found = await here.logins.find(started.value)
    assert found is not None
    assert found.idle_expires_at == started.login.idle_expires_at
    await here.sql.execute(SHIFT, timedelta(minutes=2), started.login.id)
    found = await here.logins.find(started.value)
    assert found is not None
    assert found.idle_expires_at > started.login.idle_expires_at


CLOSINGS = {
    "disable": lambda accounts, user_id: accounts.disable(user_id),
    "delete": lambda accounts, user_id: accounts.delete(user_id),
    "set_password": lambda accounts, user_id: accounts.set_password(user_id, "battery staple"),
    "logout_everywhere": lambda accounts, user_id: accounts.logout_everywhere(user_id),
}


@pytest.mark.parametrize("closing", CLOSINGS)
async def test_closing_an_account_ends_its_logins_and_no_older_proof_starts_one(here, closing):
    started, proof = await here.sign_in(), await here.now()
    await CLOSINGS[closing](here.parts.accounts, here.user_id)
    if closing == "disable":
        await here.parts.accounts.enable(here.user_id)
    assert await here.logins.find(started.value) is None
    with pytest.raises(InvalidCredentials):
        await here.logins.prove_again(started.login, proof, ("pwd",))
    with pytest.raises(InvalidCredentials):
        await here.sign_in_with(proof)


async def test_logging_out_elsewhere_leaves_this_login_its_sessions_and_what_they_may_become(here):
    mine, elsewhere = await here.sign_in(), await here.sign_in()
    kept, offline = [
        (await here.redeem(await here.code(mine, scopes=scopes))).started.session.id
        for scopes in (REQUEST.scopes, REQUEST.scopes | {OFFLINE})
    ]
    there = (await here.redeem(await here.code(elsewhere))).started.session.id
    found = await ActiveSessions(here.parts.database).of_user(here.user_id)
    assert {(one.id, one.login_id, one.offline) for one in found} == {
        (kept, mine.login.id, False),
        (offline, mine.login.id, True),
        (there, elsewhere.login.id, False),
    }
    pending = await here.code(elsewhere)
    assert await here.parts.accounts.logout_elsewhere(mine.login) == 1
    assert await here.logins.find(mine.value) is not None
    assert await here.logins.find(elsewhere.value) is None
    assert [await here.ended_by(one) for one in (kept, offline)] == [None, None]
    assert await here.ended_by(there) == "logout_all"
    assert "login" in await here.refused(pending)
    await here.redeem(await here.code(mine))
    assert here.audited("logout_all") == ["logout_all"]


async def test_of_two_browsers_that_log_each_other_out_one_goes_on(here):
    started = [await here.sign_in() for _ in range(2)]
    sessions = [(await here.redeem(await here.code(one))).started.session.id for one in started]
    ended = await asyncio.gather(
        *(here.parts.accounts.logout_elsewhere(one.login) for one in started)
    )
    assert sorted(ended) == [0, 1], "whoever was logged out first logs nobody out"
    alive = [await here.logins.find(one.value) is not None for one in started]
    assert alive == [await here.ended_by(one) is None for one in sessions]
    assert alive.count(True) == 1


async def test_a_login_that_ended_is_not_proven_again(here):
    started = await here.sign_in()
    await here.logins.end(started.login.id, "browser_logout")
    with pytest.raises(InvalidCredentials):
        await here.logins.prove_again(started.login, await here.now(), ("pwd",))


async def test_closing_racing_with_signing_in_leaves_no_login_of_an_older_proof(here):
    proof = await here.now()
    racing = [here.sign_in_with(proof) for _ in range(8)]
    done = await asyncio.gather(
        *racing, here.parts.accounts.disable(here.user_id), return_exceptions=True
    )
    refused = [one for one in done if isinstance(one, BaseException)]
    assert {type(one) for one in refused} <= {InvalidCredentials}
    assert not await here.sql.fetchval("select count(*) from logins where ended_at is null")


async def test_expired_logins_requests_and_old_codes_are_purged_and_live_ones_stay(here):
    parts = here.parts
    for _ in range(2):
        await here.code()
        await here.requests.finish(REQUEST, await here.requests.begin(REQUEST, "a browser"))
    for table in ("logins", "authorization_requests", "authorization_codes"):
        await here.sql.execute(
            f"update {table} set expires_at = now() - interval '25 hours'"
            f" where ctid = (select min(ctid) from {table})"
        )
    purged = await Purge(parts.database, parts.metrics, parts.clock, batch=1).run()
    assert (purged.logins, purged.requests, purged.codes) == (1, 1, 1)
    again = await Purge(parts.database, parts.metrics, parts.clock, batch=1).run()
    assert (again.logins, again.requests, again.codes) == (0, 0, 0)
