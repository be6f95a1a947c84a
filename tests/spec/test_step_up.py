"""Step-up by the code flow (RFC 9470, OpenID Connect Core section 3.1.2.1), from outside."""

import asyncio
import time

import pytest

from support.api import PATIENCE, claims_of

FRESH, STALE = "urn:keyturn:acr:password", "urn:keyturn:acr:session"
AGE = "interval '10 minutes'"


async def make_older(api, person):
    """Ten minutes pass between the person's sign-in and what comes next."""
    for table in ("logins", "sessions"):
        await api.sql.execute(
            f"update {table} set auth_time = auth_time - {AGE} where user_id = $1", person.id
        )
    await api.sql.execute(
        f"update users set valid_after = valid_after - {AGE} where id = $1", person.id
    )


async def refreshed(api, client, given):
    return await api.token(client, grant_type="refresh_token", refresh_token=given["refresh_token"])


@pytest.mark.parametrize(
    "asked", [{"prompt": "login"}, {"max_age": "300"}, {"acr_values": FRESH}], ids=str
)
async def test_a_step_up_ends_the_older_session_at_the_first_refresh(api, spa, browser, asked):
    person = await api.person()
    old = await browser.tokens(spa, person)
    await make_older(api, person)
    stale = (await refreshed(api, spa, old)).json()
    assert claims_of(stale["access_token"])["acr"] == STALE
    page = await browser.authorize(spa, **asked)
    assert page.status_code == 200, "the person was not asked again"
    counted = api.metric("keyturn_step_ups_total", result="ok")
    new = await browser.tokens(spa, person, **asked)
    assert api.metric("keyturn_step_ups_total", result="ok") == counted + 1
    before, after = claims_of(stale["access_token"]), claims_of(new["access_token"])
    assert after["acr"] == FRESH
    assert after["auth_time"] > before["auth_time"]
    assert after["sid"] != before["sid"]
    assert (await refreshed(api, spa, stale)).status_code == 200
    assert (await refreshed(api, spa, new)).status_code == 200
    ended = await refreshed(api, spa, stale)
    assert (ended.status_code, ended.json()["error"]) == (400, "invalid_grant")
    assert await api.goes_inactive(stale["access_token"])
    assert await api.is_active(new["access_token"])


async def test_a_client_that_never_refreshes_has_one_session_left_after_its_grace(
    api, spa, browser
):
    person = await api.person()
    old = await browser.tokens(spa, person)
    await make_older(api, person)
    new = await browser.tokens(spa, person, prompt="login")
    assert await api.is_active(old["access_token"])
    sid = claims_of(new["access_token"])["sid"]
    due = "update step_ups set due_at = now() where session_id = $1"
    assert await api.sql.execute(due, sid) == "UPDATE 1"
    waiting = "select 1 from step_ups where session_id = $1"
    deadline = time.monotonic() + PATIENCE
    while await api.sql.fetchval(waiting, sid):
        assert time.monotonic() < deadline, "the job never came"
        await asyncio.sleep(0.05)
    assert await api.goes_inactive(old["access_token"])
    assert await api.is_active(new["access_token"])
