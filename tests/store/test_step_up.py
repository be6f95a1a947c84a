"""A step-up: a new session takes an older one's place, and never before its client holds it."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from keyturn.authorizations.codes import OFFLINE
from keyturn.authorizations.model import Redeemed
from keyturn.errors import InvalidGrant, InvalidScope, Unavailable
from keyturn.jobs.leader import Leadership
from keyturn.jobs.settle_step_ups import SettleStepUps
from keyturn.sessions.model import Outcome, Refreshed
from keyturn.sessions.rotation import RefreshRequest
from support.signed_in import BANK, REQUEST, SHOP, SignedIn, signed_in

WAITING = "select count(*) from step_ups"
DUE = "update step_ups set due_at = now()"
SCOPES = REQUEST.scopes | {OFFLINE}


@pytest.fixture
async def here(database_url):
    async with signed_in(database_url) as here:
        yield here


async def stepped_up(here: SignedIn, client=SHOP, **changes) -> tuple[Redeemed, Redeemed]:
    """Return a session, and the one that a new proof gave at the same client and login."""
    login = await here.sign_in()
    old = await redeemed(here, login, client, **changes)
    again = await here.logins.prove_again(login.login, await here.now(), ("pwd",))
    return old, await redeemed(here, again, client, proven=True, **changes)


async def redeemed(here: SignedIn, login, client=SHOP, **changes) -> Redeemed:
    code = await here.code(login, client_id=client.id, **changes)
    return await here.redeem(code, client=client)


async def refresh(here: SignedIn, token: str, client=SHOP, **asked) -> Refreshed:
    return await here.parts.rotation.refresh(RefreshRequest(client, token, **asked))


def id_of(one: Redeemed) -> UUID:
    return one.started.session.id


async def settle(here: SignedIn) -> None:
    """Let the job look once."""
    leadership = Leadership(here.parts.settings.postgres, here.parts.metrics)
    try:
        await SettleStepUps(here.parts.step_ups, leadership).run_once()
    finally:
        await leadership.resign()


async def test_the_older_session_ends_with_the_first_refresh_of_the_new_one(here):
    old, new = await stepped_up(here)
    assert await here.ended_by(id_of(old)) is None
    refreshed = await refresh(here, new.started.refresh_token)
    assert refreshed.outcome is Outcome.ROTATED
    assert await here.ended_by(id_of(old)) == "step_up"
    assert "session_ended" in here.audited("session_ended")
    assert await here.sql.fetchval(WAITING) == 0
    with pytest.raises(InvalidGrant, match="revoked"):
        await refresh(here, old.started.refresh_token)
    again = await refresh(here, new.started.refresh_token)
    assert (again.outcome, again.refresh_token) == (Outcome.REPLAYED, refreshed.refresh_token)


async def test_until_then_the_older_session_refreshes_as_ever(here):
    old, new = await stepped_up(here)
    assert (await refresh(here, old.started.refresh_token)).outcome is Outcome.ROTATED
    await settle(here)
    assert await here.ended_by(id_of(old)) is None
    await refresh(here, new.started.refresh_token)
    assert await here.ended_by(id_of(old)) == "step_up"


async def test_one_grace_after_its_start_the_job_ends_what_a_silent_client_left(here):
    old, new = await stepped_up(here)
    lead = "select due_at - created_at from step_ups join sessions on id = session_id"
    assert (await here.sql.fetchval(lead)) == here.parts.step_ups.default_grace
    await here.sql.execute(DUE)
    await settle(here)
    assert await here.ended_by(id_of(old)) == "step_up"
    assert await here.sql.fetchval(WAITING) == 0
    assert (await refresh(here, new.started.refresh_token)).outcome is Outcome.ROTATED


async def test_a_client_s_own_grace_is_the_patience_of_the_job(here):
    await stepped_up(here, replace(SHOP, grace=here.parts.step_ups.default_grace * 3))
    lead = "select due_at - created_at from step_ups join sessions on id = session_id"
    assert (await here.sql.fetchval(lead)) == here.parts.step_ups.default_grace * 3


async def test_a_client_that_does_not_rotate_takes_the_place_as_well(here):
    old, new = await stepped_up(here, replace(SHOP, rotation=False))
    client = replace(SHOP, rotation=False)
    assert (await refresh(here, new.started.refresh_token, client)).outcome is Outcome.KEPT
    assert await here.ended_by(id_of(old)) == "step_up"


async def test_a_second_tab_that_signs_in_silently_takes_nobody_s_place(here):
    login = await here.sign_in()
    first, second = await redeemed(here, login), await redeemed(here, login)
    again = await here.logins.prove_again(login.login, await here.now(), ("pwd",))
    third = await redeemed(here, again)  # another application had asked for the proof
    assert await here.sql.fetchval(WAITING) == 0
    for one in (third, second, first):
        assert (await refresh(here, one.started.refresh_token)).outcome is Outcome.ROTATED
    assert [await here.ended_by(id_of(one)) for one in (first, second, third)] == [None] * 3


async def test_other_clients_and_other_logins_keep_their_sessions(here):
    login, elsewhere = await here.sign_in(), await here.sign_in()
    others = [await redeemed(here, login, BANK), await redeemed(here, elsewhere)]
    old = await redeemed(here, login)
    again = await here.logins.prove_again(login.login, await here.now(), ("pwd",))
    new = await redeemed(here, again, proven=True)
    await refresh(here, new.started.refresh_token)
    assert await here.ended_by(id_of(old)) == "step_up"
    assert [await here.ended_by(id_of(one)) for one in others] == [None, None]


async def test_a_proof_that_replaces_nothing_waits_for_nothing(here):
    login, elsewhere = await here.sign_in(), await here.sign_in()
    await redeemed(here, login, BANK, proven=True)
    await redeemed(here, elsewhere, proven=True)
    for _ in range(2):  # of one and the same proof
        await redeemed(here, login, proven=True)
    assert await here.sql.fetchval(WAITING) == 0


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (SCOPES, REQUEST.scopes, None),
        (SCOPES, SCOPES, "step_up"),
        (REQUEST.scopes, SCOPES, "step_up"),
    ],
)
async def test_a_session_that_outlives_the_login_is_replaced_by_its_like_only(
    here, before, after, reason
):
    login = await here.sign_in()
    old = await redeemed(here, login, scopes=before)
    again = await here.logins.prove_again(login.login, await here.now(), ("pwd",))
    new = await redeemed(here, again, proven=True, scopes=after)
    await refresh(here, new.started.refresh_token)
    assert await here.ended_by(id_of(old)) == reason


async def test_a_new_session_that_has_ended_takes_nobody_s_place(here):
    old, new = await stepped_up(here)
    assert await here.parts.ending.one(id_of(new)) == 1
    await here.sql.execute(DUE)
    await settle(here)
    assert await here.ended_by(id_of(old)) is None
    assert await here.sql.fetchval(WAITING) == 0


async def test_a_refused_refresh_ends_nothing(here):
    old, new = await stepped_up(here)
    with pytest.raises(InvalidScope):
        await refresh(here, new.started.refresh_token, scopes=frozenset({"email"}))
    assert await here.ended_by(id_of(old)) is None
    await refresh(here, new.started.refresh_token)
    assert await here.ended_by(id_of(old)) == "step_up"


async def test_the_older_session_ends_with_the_refresh_or_not_at_all(here):
    """The statement that moves the new session fails: what the transaction had ended lives."""
    old, new = await stepped_up(here)
    await here.sql.execute(
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin raise exception 'full' using errcode = '53100'; end $$;"
        "create trigger refuse before update of token_hash on sessions"
        " for each row execute function refuse()"
    )
    with pytest.raises(Unavailable):
        await refresh(here, new.started.refresh_token)
    assert await here.ended_by(id_of(old)) is None
    await here.sql.execute("drop trigger refuse on sessions")
    await refresh(here, new.started.refresh_token)
    assert await here.ended_by(id_of(old)) == "step_up"


async def test_of_two_step_ups_the_later_ends_both_before_it(here):
    login = await here.sign_in()
    sessions = [await redeemed(here, login)]
    for _ in range(2):
        login = await here.logins.prove_again(login.login, await here.now(), ("pwd",))
        sessions.append(await redeemed(here, login, proven=True))
    first, second, third = sessions
    await refresh(here, third.started.refresh_token)
    assert [await here.ended_by(id_of(one)) for one in (first, second)] == ["step_up"] * 2
    await here.sql.execute(DUE)
    await settle(here)
    assert await here.ended_by(id_of(third)) is None
    assert await here.sql.fetchval(WAITING) == 0


async def test_refreshes_and_the_job_at_one_moment_end_it_once_and_agree(here):
    for _ in range(5):
        old, new = await stepped_up(here)
        await here.sql.execute(DUE)
        token = new.started.refresh_token
        answers = await asyncio.gather(
            *(refresh(here, token) for _ in range(6)), here.parts.step_ups.settle_due(10)
        )
        tokens = {one.refresh_token for one in answers if isinstance(one, Refreshed)}
        outcomes = [one.outcome for one in answers if isinstance(one, Refreshed)]
        assert len(tokens) == 1
        assert outcomes.count(Outcome.ROTATED) == 1
        assert await here.ended_by(id_of(old)) == "step_up"
        told = [one.event for one in here.parts.audit.take(1000)]
        assert [one.session_id for one in told if one.type == "session_ended"] == [id_of(old)]


async def test_a_lost_first_refresh_heals_and_the_older_session_ends_all_the_same(here):
    """A failover takes the commit back: the row waits again, the client holds the next token."""
    old, new = await stepped_up(here)
    before = await here.sql.fetchrow("select * from sessions where id = $1", id_of(new))
    refreshed = await refresh(here, new.started.refresh_token)
    await here.sql.execute(
        "update sessions set token_hash = $2, next_hash = $3, generation = 0, step_up = true"
        " where id = $1",
        id_of(new),
        before["token_hash"],
        before["next_hash"],
    )
    await here.sql.execute(
        "update sessions set revoked_at = null, revoke_reason = null where id = $1", id_of(old)
    )
    healed = await refresh(here, refreshed.refresh_token)
    assert (healed.outcome, healed.refresh_token) == (Outcome.HEALED, refreshed.refresh_token)
    await here.sql.execute(
        "update sessions set rotated_at = rotated_at - interval '1 minute' where id = $1",
        id_of(new),
    )
    assert (await refresh(here, healed.refresh_token)).outcome is Outcome.ROTATED
    reason = "select revoke_reason from sessions where id = $1"
    assert await here.sql.fetchval(reason, id_of(old)) == "step_up"


async def test_a_sign_out_and_a_first_refresh_at_one_moment_do_not_wait_for_each_other(here):
    """Both end several sessions: the sign-out has the older one, the refresh the new one."""
    login = await here.sign_in()
    old = await redeemed(here, login)
    again = await here.logins.prove_again(login.login, await here.now(), ("pwd",))
    new = await redeemed(here, again, proven=True)
    await here.sql.execute(
        "create function dawdle() returns trigger language plpgsql as"
        " $$ begin perform pg_sleep(0.2); return new; end $$;"
        "create trigger dawdle before update of revoked_at on sessions for each row"
        " when (new.revoke_reason = 'browser_logout') execute function dawdle()"
    )
    leaving = asyncio.create_task(here.logins.end(login.login.id, "browser_logout"))
    held = (
        "select 1 from pg_stat_activity"
        " where wait_event = 'PgSleep' and datname = current_database()"
    )
    async with asyncio.timeout(30):
        while await here.sql.fetchval(held) is None:
            await asyncio.sleep(0.01)
    with pytest.raises(InvalidGrant, match="revoked"):
        await refresh(here, new.started.refresh_token)
    await leaving
    assert [await here.ended_by(id_of(one)) for one in (old, new)] == ["browser_logout"] * 2


async def test_refreshes_the_job_and_whoever_ends_all_never_wait_for_each_other(here):
    """Each ends several sessions of one login: in two orders, some would be answered by 503."""
    for ending in ("browser_logout", "withdrawn", "logout_all") * 3:
        login = await here.sign_in()
        tokens = [(await redeemed(here, login)).started.refresh_token for _ in range(3)]
        for _ in range(2):
            login = await here.logins.prove_again(login.login, await here.now(), ("pwd",))
            new = await redeemed(here, login, proven=True)
            tokens += [new.started.refresh_token] * 2
        await here.sql.execute(DUE)
        endings = {
            "browser_logout": here.logins.end(login.login.id, "browser_logout"),
            "withdrawn": here.consents.withdraw(here.user_id, SHOP.id),
            "logout_all": here.parts.accounts.logout_everywhere(here.user_id),
        }
        answers = await asyncio.gather(
            *(refresh(here, token) for token in tokens),
            here.parts.step_ups.settle_due(10),
            here.parts.step_ups.settle_due(10),
            endings.pop(ending),
            return_exceptions=True,
        )
        for left in endings.values():
            left.close()
        failed = [one for one in answers if isinstance(one, BaseException)]
        assert [one for one in failed if not isinstance(one, InvalidGrant)] == []
