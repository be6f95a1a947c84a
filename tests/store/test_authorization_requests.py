"""Authorization requests in progress, on a real PostgreSQL: one browser, one answer, no litter."""

import asyncio
import base64
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from keyturn.authorization_errors import RequestOver
from keyturn.authorizations import requests
from keyturn.authorizations.model import AuthorizationRequest, CodeGrant
from keyturn.authorizations.sealed import LONGEST
from keyturn.crypto.secrets import MasterSecrets
from keyturn.errors import InvalidRequest, Unavailable
from support.signed_in import REQUEST, signed_in

FULL = AuthorizationRequest(
    client_id="shop",
    redirect_uri="https://app.example/callback?a=b",
    response_mode="form_post",
    scopes=frozenset({"openid", "email"}),
    audiences=("https://b.example", "https://a.example"),
    state="<svg onload=alert(1)>\u2028ü",
    nonce="n" * 384,
    code_challenge="c" * 43,
    prompt=frozenset({"login", "consent"}),
    max_age=0,
    acr_values=("b", "a"),
    essential_acr=frozenset({"a"}),
    login_hint="ada@example.com",
    ui_locales=("de-CH", "en"),
    hinted_subject=str(uuid4()),
    id_token_claims=("email",),
)
ROWS = "select count(*) from authorization_requests"


@pytest.fixture
async def here(database_url):
    async with signed_in(database_url) as here:
        yield here


@pytest.mark.parametrize(
    "request_", [REQUEST, FULL, replace(REQUEST, scopes=frozenset())], ids=["usual", "full", "bare"]
)
async def test_a_request_comes_back_as_it_was_begun(here, request_):
    handle = await here.requests.begin(request_, "browser")
    pending = await here.requests.find(handle, "browser")
    assert pending is not None
    assert (pending.handle, pending.request) == (handle, request_)
    assert pending.proven_login_id is None


def test_a_member_of_another_release_is_left_out():
    assert AuthorizationRequest.from_json({**REQUEST.as_json(), "of_tomorrow": [1]}) == REQUEST


async def test_wb_2_wb_3_a_request_is_found_by_its_own_handle_in_its_own_browser_only(here):
    handle = await here.requests.begin(REQUEST, "browser")
    for other in ("", "Browser", "browser2"):
        assert await here.requests.find(handle, other) is None
    raw = base64.urlsafe_b64decode(handle + "=" * (-len(handle) % 4))
    for place in (0, 1, 16, 17, len(raw) // 2, len(raw) - 1):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        forged = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
        assert await here.requests.find(forged, "browser") is None, place
    for other in ("", handle[:-1], handle + "x", "x" * 43, "x" * 5000, "x" * 9000, "ü", "A" * 44):
        assert await here.requests.find(other, "browser") is None
    assert len({await here.requests.begin(REQUEST, "browser") for _ in range(20)}) == 20
    assert not any(word in raw for word in (b"shop", b"app.example", b"a state"))


async def test_wb_3_there_is_one_way_to_write_a_handle(here):
    """A second one would have a row of its own, and be finished a second time."""
    handle = await here.requests.begin(REQUEST, "browser")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twins = {handle[:-1] + one for one in alphabet} | {handle.replace("-", "+"), handle + "="}
    twins |= {handle.replace("_", "/"), f" {handle}", handle + "\n"}
    for twin in twins - {handle}:
        assert await here.requests.find(twin, "browser") is None, twin


async def test_a_request_begun_under_the_old_secret_goes_on_until_that_one_is_dropped(here):
    old, new = here.parts.secrets.values[1], b"n" * 32
    handle = await here.requests.begin(REQUEST, "browser")
    rolled_out = replace(here.requests, secrets=MasterSecrets({2: new, 1: old}))
    assert await rolled_out.find(handle, "browser") is not None
    dropped = replace(here.requests, secrets=MasterSecrets({2: new}))
    assert await dropped.find(handle, "browser") is None


async def test_rl_3_beginning_requests_leaves_nothing_behind(here):
    handles = [await here.requests.begin(REQUEST, "browser") for _ in range(100)]
    for handle in handles:
        assert await here.requests.find(handle, "browser") is not None
    assert await here.sql.fetchval(ROWS) == 0


async def test_az_6_what_is_too_long_to_travel_is_refused_and_never_cut(here):
    def noise(size):
        return "".join(uuid4().hex for _ in range(size // 32))

    long = replace(REQUEST, state=noise(2048), nonce=noise(2048))
    handle = await here.requests.begin(long, "browser")
    assert len(handle) <= LONGEST
    pending = await here.requests.find(handle, "browser")
    assert pending is not None
    assert pending.request == long
    with pytest.raises(InvalidRequest):
        await here.requests.begin(replace(long, login_hint=noise(8192)), "browser")


async def test_a_request_is_finished_once_and_not_found_afterwards(here):
    handle = await here.requests.begin(REQUEST, "browser")
    done = await asyncio.gather(
        *(here.requests.finish(REQUEST, handle) for _ in range(20)), return_exceptions=True
    )
    assert [one for one in done if one is None] == [None]
    assert {type(one) for one in done if one is not None} == {RequestOver}
    assert await here.requests.find(handle, "browser") is None


async def test_a_request_and_its_code_are_finished_together_once(here):
    handle, login = await here.requests.begin(REQUEST, "browser"), (await here.sign_in()).login
    grant = CodeGrant(REQUEST, login, REQUEST.scopes)
    done = await asyncio.gather(
        *(here.codes.issue(grant, handle) for _ in range(10)), return_exceptions=True
    )
    assert [type(one) for one in done if isinstance(one, Exception)] == [RequestOver] * 9
    [code] = [one for one in done if isinstance(one, str)]
    assert await here.sql.fetchval("select count(*) from authorization_codes") == 1
    assert here.audited("code_issued") == ["code_issued"]
    await here.redeem(code)


KILL = """
create function die() returns trigger language plpgsql as
$$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
create trigger die before insert on authorization_codes for each row execute function die()
"""


async def test_killed_between_the_request_and_its_code_neither_is_done(here):
    handle, login = await here.requests.begin(REQUEST, "browser"), (await here.sign_in()).login
    grant = CodeGrant(REQUEST, login, REQUEST.scopes)
    await here.sql.execute(KILL)
    with pytest.raises(Unavailable):
        await here.codes.issue(grant, handle)
    assert await here.requests.find(handle, "browser") is not None, "the person goes on"
    assert here.audited("code_issued") == []
    await here.sql.execute("drop trigger die on authorization_codes")
    await here.redeem(await here.codes.issue(grant, handle))
    assert await here.requests.find(handle, "browser") is None


async def test_the_login_proven_for_a_request_is_remembered_with_it(here):
    handle, other = [await here.requests.begin(REQUEST, "browser") for _ in range(2)]
    for login in ((await here.sign_in()).login, (await here.sign_in()).login):
        await here.requests.prove(handle, login.id)
        pending = await here.requests.find(handle, "browser")
        assert pending is not None
        assert pending.proven_login_id == login.id
    pending = await here.requests.find(other, "browser")
    assert pending is not None
    assert pending.proven_login_id is None


async def test_a_request_waits_for_half_an_hour(here):
    assert here.requests.lifetime == timedelta(minutes=30)
    for minutes, is_over in ((1, False), (0, True), (-1, True)):
        short = replace(here.requests, lifetime=timedelta(minutes=minutes))
        pending = await here.requests.find(await short.begin(REQUEST, "browser"), "browser")
        assert (pending is None) is is_over


async def test_what_is_done_with_a_request_is_kept_longer_than_its_handle_is_good(here):
    """Purged earlier, a finished request could be finished again."""
    handle = await here.requests.begin(REQUEST, "browser")
    await here.requests.finish(REQUEST, handle)
    kept = "select expires_at - now() from authorization_requests"
    assert await here.sql.fetchval(kept) > here.requests.lifetime
    assert await requests.purge_expired(here.parts.database, 10) == 0
    await here.sql.execute("update authorization_requests set expires_at = now() - interval '1 s'")
    assert await requests.purge_expired(here.parts.database, 10) == 1


async def test_what_the_person_answered_is_remembered_until_the_request_is_finished(here):
    handle = await here.requests.begin(REQUEST, "browser")
    for said in ("agreed", "denied"):
        await here.requests.answer(handle, said)
        pending = await here.requests.find(handle, "browser")
        assert pending is not None
        assert pending.answer == said
    await here.requests.finish(REQUEST, handle)
    await here.requests.answer(handle, "agreed")
    await here.requests.prove(handle, uuid4())
    row = await here.sql.fetchrow("select answer, proven_login_id from authorization_requests")
    assert tuple(row) == ("denied", None)
