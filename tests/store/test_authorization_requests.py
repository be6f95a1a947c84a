"""Authorization requests in progress, on a real PostgreSQL: one browser, one answer."""

import asyncio
from uuid import uuid4

import pytest

from keyturn.authorizations.model import AuthorizationRequest
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
    userinfo_claims=("name",),
)


@pytest.fixture
async def here(database_url):
    async with signed_in(database_url) as here:
        yield here


@pytest.mark.parametrize("request_", [REQUEST, FULL], ids=["usual", "full"])
async def test_a_request_comes_back_as_it_was_kept(here, request_):
    handle = await here.requests.keep(request_, "browser")
    pending = await here.requests.find(handle, "browser")
    assert pending is not None
    assert (pending.handle, pending.request) == (handle, request_)
    assert pending.proven_login_id is None


def test_a_member_of_another_release_is_left_out():
    assert AuthorizationRequest.from_json({**REQUEST.as_json(), "of_tomorrow": [1]}) == REQUEST


async def test_wb_2_wb_3_a_request_is_found_by_its_own_handle_in_its_own_browser_only(here):
    handle = await here.requests.keep(REQUEST, "browser")
    for other in ("", "Browser", "browser2"):
        assert await here.requests.find(handle, other) is None
    for other in ("", handle[:-1], handle + "x", "x" * 43, "x" * 5000, "ü"):
        assert await here.requests.find(other, "browser") is None
    assert len({await here.requests.keep(REQUEST, "browser") for _ in range(20)}) == 20
    kept = str(await here.sql.fetch("select * from authorization_requests"))
    assert handle not in kept


async def test_a_request_is_finished_once_and_not_found_afterwards(here):
    handle = await here.requests.keep(REQUEST, "browser")
    finished = await asyncio.gather(*(here.requests.finish(handle) for _ in range(20)))
    assert sorted(finished) == [False] * 19 + [True]
    assert await here.requests.find(handle, "browser") is None
    assert await here.requests.finish("unknown") is False


async def test_the_login_proven_for_a_request_is_remembered_with_it(here):
    handle, other = [await here.requests.keep(REQUEST, "browser") for _ in range(2)]
    login = (await here.sign_in()).login
    await here.requests.prove(handle, login.id)
    pending = await here.requests.find(handle, "browser")
    assert pending is not None
    assert pending.proven_login_id == login.id
    pending = await here.requests.find(other, "browser")
    assert pending is not None
    assert pending.proven_login_id is None


async def test_a_request_waits_for_half_an_hour(here):
    handle = await here.requests.keep(REQUEST, "browser")
    await here.sql.execute(
        "update authorization_requests set expires_at = expires_at - interval '30 min'"
    )
    assert await here.requests.find(handle, "browser") is None
    assert await here.requests.finish(handle) is False


async def test_what_the_person_answered_is_remembered_until_the_request_is_finished(here):
    handle = await here.requests.keep(REQUEST, "browser")
    for said in ("agreed", "denied"):
        await here.requests.answer(handle, said)
        pending = await here.requests.find(handle, "browser")
        assert pending is not None
        assert pending.answer == said
    await here.requests.finish(handle)
    await here.requests.answer(handle, "agreed")
    assert await here.sql.fetchval("select answer from authorization_requests") == "denied"
