"""Pushed requests on a real PostgreSQL: no row until they are answered, and answered once."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from keyturn.authorization_errors import RequestOver
from keyturn.authorizations import requests, sealed
from keyturn.authorizations.model import CodeGrant
from keyturn.authorizations.pushed import LONGEST, PREFIX, is_pushed
from keyturn.crypto import opaque
from keyturn.crypto.secrets import PUSHED, MasterSecrets
from keyturn.errors import InvalidRequest, Unavailable
from support.signed_in import REQUEST, signed_in

ROWS = "select count(*) from authorization_requests"
CODES = "select count(*) from authorization_codes"


@pytest.fixture
async def here(database_url):
    async with signed_in(database_url) as here:
        yield here


@pytest.fixture
def pushed(here):
    return here.parts.pushed_requests


async def found(pushed):
    """Push a request and come with it."""
    asked = await pushed.find(await pushed.push(REQUEST), REQUEST.client_id)
    assert asked is not None
    return asked


async def test_a_pushed_request_comes_back_as_it_was_and_leaves_no_row(here, pushed):
    uri = await pushed.push(REQUEST)
    assert is_pushed(uri)
    asked = await pushed.find(uri, "shop")
    assert replace(asked, pushed=None) == REQUEST
    assert asked == await pushed.find(uri, "shop"), "until it is answered it may be opened again"
    assert await pushed.find(uri, "bank") is None
    assert await pushed.find(uri.replace(":", ";"), "shop") is None
    assert await here.sql.fetchval(ROWS) == 0


async def test_ac_6_a_pushed_handle_is_no_browsers_and_a_browsers_no_pushed_one(here, pushed):
    """Whatever somebody writes into their cookie: the keys differ."""
    uri = await pushed.push(REQUEST)
    assert await here.requests.find(uri.removeprefix(PREFIX), REQUEST.client_id) is None
    handle = await here.requests.begin(REQUEST, REQUEST.client_id)
    assert await pushed.find(PREFIX + handle, REQUEST.client_id) is None


async def test_az_10_twenty_browsers_with_one_request_get_one_code(here, pushed):
    """Each has a handle of its own; some are signed in already and have none."""
    login, asked = (await here.sign_in()).login, await found(pushed)
    handles = [await here.requests.begin(asked, f"browser {number}") for number in range(15)]
    grant = CodeGrant(asked, login, asked.scopes)
    done = await asyncio.gather(
        *(here.codes.issue(grant, handle) for handle in [*handles, *[None] * 5]),
        return_exceptions=True,
    )
    assert [type(one) for one in done if isinstance(one, Exception)] == [RequestOver] * 19
    assert await here.sql.fetchval(CODES) == 1
    await here.redeem(next(one for one in done if isinstance(one, str)))
    for number, handle in enumerate(handles):
        assert await here.requests.find(handle, f"browser {number}") is None


async def test_az_10_of_a_code_and_a_refusal_one_is_given(here, pushed):
    login = (await here.sign_in()).login
    for _ in range(10):
        asked = await found(pushed)
        handle = await here.requests.begin(asked, "browser")
        done = await asyncio.gather(
            here.codes.issue(CodeGrant(asked, login, asked.scopes)),
            here.requests.finish(asked, handle),
            here.requests.finish(asked),
            return_exceptions=True,
        )
        assert [type(one) for one in done if isinstance(one, Exception)] == [RequestOver] * 2


async def test_az_10_a_refusal_uses_a_pushed_request_up(here, pushed):
    uri = await pushed.push(REQUEST)
    await here.requests.finish(await pushed.find(uri, "shop"))
    assert await pushed.find(uri, "shop") is None
    await here.requests.finish(REQUEST)
    assert await here.sql.fetchval(ROWS) == 1, "what came by itself, and shows no page, has no row"


async def test_az_10_it_expires_for_who_comes_and_not_for_who_is_there(here, pushed):
    short = replace(pushed, lifetime=timedelta(0))
    assert await pushed.find(await short.push(REQUEST), "shop") is None
    uri = await replace(pushed, lifetime=timedelta(seconds=2)).push(REQUEST)
    asked = await pushed.find(uri, "shop")
    handle = await here.requests.begin(asked, "browser")
    async with asyncio.timeout(30):
        while await pushed.find(uri, "shop") is not None:
            await asyncio.sleep(0.05)
    pending = await here.requests.find(handle, "browser")
    login = (await here.sign_in()).login
    await here.codes.issue(CodeGrant(pending.request, login, asked.scopes), handle)


async def test_az_10_that_it_was_used_is_kept_longer_than_anybody_can_come_with_it(here, pushed):
    """Purged earlier, it could be used again."""
    await here.requests.finish(await found(pushed))
    kept = await here.sql.fetchval("select expires_at - now() from authorization_requests")
    assert kept > here.requests.lifetime
    assert kept > timedelta(seconds=599), "the longest `pushed_requests.lifetime`"
    assert await requests.purge_expired(here.parts.database, 10) == 0
    await here.sql.execute("update authorization_requests set expires_at = now() - interval '1 s'")
    assert await requests.purge_expired(here.parts.database, 10) == 1


KILL = """
create function die() returns trigger language plpgsql as
$$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
create trigger die before insert on authorization_codes for each row execute function die()
"""


@pytest.mark.parametrize("shows_pages", [True, False])
async def test_killed_between_the_request_and_its_code_neither_is_done(here, pushed, shows_pages):
    uri, login = await pushed.push(REQUEST), (await here.sign_in()).login
    asked = await pushed.find(uri, "shop")
    handle = await here.requests.begin(asked, "browser") if shows_pages else None
    await here.sql.execute(KILL)
    with pytest.raises(Unavailable):
        await here.codes.issue(CodeGrant(asked, login, asked.scopes), handle)
    assert await pushed.find(uri, "shop") == asked, "the person goes on"
    await here.sql.execute("drop trigger die on authorization_codes")
    await here.redeem(await here.codes.issue(CodeGrant(asked, login, asked.scopes), handle))
    assert await pushed.find(uri, "shop") is None


async def test_az_6_what_is_taken_still_fits_when_a_browser_has_come_with_it(here, pushed):
    size = 0
    for size in range(1000, 6000, 40):
        long = replace(REQUEST, state=opaque.token_urlsafe(size))
        try:
            uri = await pushed.push(long)
        except InvalidRequest:
            break
        assert len(uri) <= len(PREFIX) + LONGEST
        asked = await pushed.find(uri, "shop")
        assert len(await here.requests.begin(asked, "b" * 43)) <= sealed.LONGEST
    assert 3000 < size < 5960, "the longest one that is taken was met"


async def test_what_was_pushed_under_the_old_secret_is_good_until_that_one_is_dropped(pushed):
    old, uri = pushed.secrets.values[1], await pushed.push(REQUEST)
    rolled_out = replace(pushed, secrets=MasterSecrets({2: b"n" * 32, 1: old}))
    assert await rolled_out.find(uri, "shop") is not None
    dropped = replace(pushed, secrets=MasterSecrets({2: b"n" * 32}))
    assert await dropped.find(uri, "shop") is None
    assert "pushed" in PUSHED
