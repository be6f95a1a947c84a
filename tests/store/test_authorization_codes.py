"""Authorization codes on a real PostgreSQL: redeemed once, by whom they were issued to."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from keyturn.authorizations.codes import OFFLINE
from keyturn.errors import InvalidGrant, InvalidTarget
from support.replicas import AUDIENCE, ISSUER
from support.signed_in import BANK, CALLBACK, REQUEST, SHOP, VERIFIER, signed_in

SESSIONS = "select count(*) from sessions"
LATER = """
update authorization_codes
   set created_at = created_at - interval '60 s', expires_at = expires_at - interval '60 s'
"""


@pytest.fixture
async def here(database_url):
    async with signed_in(database_url) as here:
        yield here


async def test_a_code_gives_a_session_that_hangs_on_the_login(here):
    login = await here.sign_in()
    redeemed = await here.redeem(await here.code(login, id_token_claims=("email",)))
    session = redeemed.started.session
    assert (session.user_id, session.client_id) == (here.user_id, "shop")
    assert (session.scopes, session.audiences) == (REQUEST.scopes, (AUDIENCE, ISSUER))
    assert session.auth_time == login.login.auth_time
    assert (redeemed.nonce, redeemed.id_token_claims) == ("a nonce", ("email",))
    row = await here.sql.fetchrow("select login_id, offline from sessions")
    assert tuple(row) == (login.login.id, False)


async def test_offline_access_makes_the_session_outlive_the_login(here):
    await here.redeem(await here.code(scopes=REQUEST.scopes | {OFFLINE}))
    assert await here.sql.fetchval("select offline from sessions")


@pytest.mark.parametrize(
    ("remembered", "offline", "days", "kept"),
    [(True, False, 30, True), (True, True, 30, True), (False, True, 7, None), (False, False, 1, False)],
)  # fmt: skip
async def test_how_long_a_session_lives_is_what_the_person_ticked(
    here, remembered, offline, days, kept
):
    login = await here.sign_in(remembered=remembered)
    scopes = REQUEST.scopes | ({OFFLINE} if offline else set())
    session = (await here.redeem(await here.code(login, scopes=scopes))).started.session
    assert session.expires_at - session.decided_at == timedelta(days=days)
    assert session.remembered is kept


async def test_ac_1_codes_are_random_and_the_database_keeps_a_hash(here):
    login = await here.sign_in()
    codes = [await here.code(login) for _ in range(50)]
    assert len(set(codes)) == 50
    assert all(len(code) == 43 for code in codes)
    kept = str(await here.sql.fetch("select * from authorization_codes"))
    assert not any(code in kept for code in codes)


async def test_ac_1_a_code_is_good_for_sixty_seconds(here):
    code = await here.code()
    lives = "select expires_at - created_at = interval '60 s' from authorization_codes"
    assert await here.sql.fetchval(lives)
    await here.sql.execute(LATER)
    assert await here.refused(code) == "code: redeemed before, or expired"
    assert await here.sql.fetchval(SESSIONS) == 0


async def test_ac_2_of_fifty_parallel_redemptions_one_gets_a_session(here):
    code = await here.code()
    done = await asyncio.gather(*(here.redeem(code) for _ in range(50)), return_exceptions=True)
    [redeemed] = [one for one in done if not isinstance(one, BaseException)]
    assert [type(one) for one in done if isinstance(one, BaseException)] == [InvalidGrant] * 49
    assert await here.sql.fetchval(SESSIONS) == 1
    assert await here.ended_by(redeemed.started.session.id) == "code_reuse"


@pytest.mark.parametrize("expired", [False, True])
async def test_ac_3_a_valid_second_redemption_ends_what_the_first_one_gave(here, expired):
    code = await here.code()
    session = (await here.redeem(code)).started.session
    if expired:
        await here.sql.execute(LATER)
    assert await here.refused(code) == "code: redeemed before, or expired"
    assert await here.ended_by(session.id) == "code_reuse"
    assert await here.sql.fetchval(SESSIONS) == 1
    await here.refused(code)
    assert here.audited("code_refused", "code_reuse") == ["code_reuse"]


WRONG = {
    "another client": {"client": BANK},
    "no redirect URI": {"redirect_uri": None},
    "another redirect URI": {"redirect_uri": CALLBACK + "/"},
    "no verifier": {"code_verifier": None},
    "an empty verifier": {"code_verifier": ""},
    "another verifier": {"code_verifier": VERIFIER[::-1]},
    "a longer verifier": {"code_verifier": VERIFIER + "x"},
    "the challenge as verifier": {"code_verifier": REQUEST.code_challenge},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
async def test_ac_4_ac_5_pk_3_whoever_does_not_prove_everything_changes_nothing(here, changes):
    code = await here.code()
    await here.refused(code, **changes)
    session = (await here.redeem(code)).started.session
    await here.refused(code, **changes)
    assert await here.ended_by(session.id) is None
    assert here.audited("code_refused", "code_reuse") == ["code_refused"], "told once a code"


async def test_pk_3_a_verifier_for_a_code_without_challenge_is_refused(here):
    """Somebody took the challenge out of the request on its way."""
    confidential = replace(SHOP, kind="confidential", require_pkce=False)
    code = await here.code(code_challenge=None)
    await here.refused(code, client=confidential)
    redeemed = await here.redeem(code, client=confidential, code_verifier=None)
    assert await here.ended_by(redeemed.started.session.id) is None


async def test_a_resource_that_was_not_granted_does_not_use_the_code_up(here):
    code = await here.code()
    with pytest.raises(InvalidTarget):
        await here.redeem(code, audiences=("https://elsewhere.example",))
    await here.redeem(code, audiences=(AUDIENCE,))


@pytest.mark.parametrize("text", ["", "x", "x" * 43, "x" * 5000, "ü", "' or 1=1"])
async def test_what_is_no_code_is_refused_like_any_other(here, text):
    await here.code()
    assert await here.refused(text) == "code: unknown"


async def test_ac_6_a_handle_or_a_cookie_is_no_code_and_a_code_is_neither(here):
    login = await here.sign_in()
    code, handle = await here.code(login), await here.requests.begin(REQUEST, "browser")
    assert await here.refused(handle) == "code: unknown"
    assert await here.refused(login.value) == "code: unknown"
    assert await here.requests.find(code, "browser") is None
    assert await here.logins.find(code) is None


async def log_out(here, login):
    await here.logins.end(login.login.id, "browser_logout")


async def disable(here, login):
    await here.parts.accounts.disable(login.login.user_id)


async def disable_and_enable(here, login):
    await disable(here, login)
    await here.parts.accounts.enable(login.login.user_id)


async def delete(here, login):
    await here.parts.accounts.delete(login.login.user_id)


async def withdraw(here, login):
    await here.consents.withdraw(login.login.user_id, "shop")


@pytest.mark.parametrize("end", [log_out, disable, disable_and_enable, delete, withdraw])
async def test_a_code_gives_nothing_once_what_it_came_from_has_ended(here, end):
    login = await here.sign_in()
    code = await here.code(login)
    await end(here, login)
    await here.refused(code)
    assert await here.sql.fetchval(SESSIONS) == 0


LIVE = "select count(*) from sessions where revoked_at is null"


@pytest.mark.parametrize("end", [log_out, disable, withdraw])
async def test_ending_racing_with_redemptions_leaves_no_live_session_and_nobody_waits(here, end):
    """Each takes its locks in the same order: a deadlock would be a 503."""
    login = await here.sign_in()
    codes = [await here.code(login) for _ in range(8)]
    done = await asyncio.gather(
        *(here.redeem(code) for code in codes), end(here, login), return_exceptions=True
    )
    assert {type(one) for one in done if isinstance(one, BaseException)} <= {InvalidGrant}
    assert await here.sql.fetchval(LIVE) == 0


async def test_a_session_of_a_code_is_announced_when_its_login_ends(here):
    login = await here.sign_in()
    session = (await here.redeem(await here.code(login))).started.session
    await log_out(here, login)
    kept = await here.sql.fetch("select id from revocations where kind = 'sid'")
    assert [UUID(row["id"]) for row in kept] == [session.id]
