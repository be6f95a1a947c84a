"""What people have allowed applications, on a real PostgreSQL."""

import asyncio

import pytest

from support.signed_in import signed_in


@pytest.fixture
async def here(database_url):
    async with signed_in(database_url) as here:
        yield here


async def test_nothing_is_allowed_until_somebody_says_so(here):
    assert await here.consents.granted(here.user_id, "shop") == frozenset()
    assert await here.consents.list_of_user(here.user_id) == []


async def test_what_is_allowed_adds_up_for_one_person_and_one_application(here):
    consents, somebody = here.consents, await here.person()
    await consents.grant(here.user_id, "shop", frozenset({"openid", "email"}))
    await consents.grant(here.user_id, "shop", frozenset({"orders", "openid"}))
    await consents.grant(here.user_id, "bank", frozenset({"openid"}))
    assert await consents.granted(here.user_id, "shop") == {"openid", "email", "orders"}
    assert await consents.granted(somebody, "shop") == frozenset()
    listed = [(one.client_id, one.scopes) for one in await consents.list_of_user(here.user_id)]
    assert listed == [
        ("bank", frozenset({"openid"})),
        ("shop", frozenset({"openid", "email", "orders"})),
    ]
    assert here.audited("consent_granted") == ["consent_granted"] * 3


async def test_two_answers_at_once_are_both_kept(here):
    scopes = [f"scope{number}" for number in range(8)]
    await asyncio.gather(
        *(here.consents.grant(here.user_id, "shop", frozenset({one})) for one in scopes)
    )
    assert await here.consents.granted(here.user_id, "shop") == set(scopes)


async def test_wb_10_taking_it_back_ends_what_the_application_holds_and_nothing_else(here):
    login = await here.sign_in()
    await here.consents.grant(here.user_id, "shop", frozenset({"openid"}))
    session = (await here.redeem(await here.code(login))).started.session
    assert await here.consents.withdraw(here.user_id, "bank") is False
    assert await here.ended_by(session.id) is None
    assert await here.consents.withdraw(here.user_id, "shop") is True
    assert await here.consents.granted(here.user_id, "shop") == frozenset()
    assert await here.ended_by(session.id) == "consent_withdrawn"
    assert await here.logins.find(login.value) is not None
    assert await here.consents.withdraw(here.user_id, "shop") is False
    assert here.audited("consent_withdrawn") == ["consent_withdrawn"]


async def test_a_deleted_account_leaves_no_consent_behind(here):
    await here.consents.grant(here.user_id, "shop", frozenset({"openid"}))
    await here.parts.accounts.delete(here.user_id)
    assert await here.sql.fetchval("select count(*) from consents") == 0
