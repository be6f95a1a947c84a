"""However a session ends, its application hears of it, and can believe what it hears."""

from uuid import UUID

import pytest

from support.api import APP, claims_of
from support.browserless import Browserless, forms_of
from support.receiver import hearing


@pytest.fixture(scope="module")
async def heard(databases, shared_redis_url):
    async with hearing(databases, shared_redis_url) as running:
        yield running


class Visit:
    """A person signed in at one application through the pages, in one browser."""

    def __init__(self, heard, client_id, person, browser, given):
        self.heard, self.api, self.client_id = heard, heard.api, client_id
        self.person, self.browser, self.given = person, browser, given
        self.sid = claims_of(given["id_token"])["sid"]

    @property
    def operator(self):
        """What the commands call."""
        return self.api.operator


async def browser_logout(visit):
    page = await visit.browser.open("/oauth2/logout")
    assert "logout" in forms_of(page)
    await visit.browser.submit(page, "logout", "sign-out")


async def rp_logout(visit):
    await visit.browser.open("/oauth2/logout", {"id_token_hint": visit.given["id_token"]})


async def log_out_everywhere(visit):
    """From an app of another client, by its own session."""
    device = await visit.api.sign_in(visit.person)
    answer = await visit.api.post("/auth/logout-all", device.credential)
    assert answer.status_code == 200


async def password_change(visit):
    device = await visit.api.sign_in(visit.person)
    body = {**device.credential, "newPassword": "another horse battery"}
    assert (await visit.api.post("/auth/password", body)).status_code == 204


async def account_disabled(visit):
    await visit.operator.accounts.disable(visit.person.id)


async def account_deleted(visit):
    await visit.operator.accounts.delete(visit.person.id)


async def revoked_by_the_operator(visit):
    await visit.operator.ending.one(UUID(visit.sid))


async def swept_by_the_operator(visit):
    await visit.operator.ending.all_of_client(visit.client_id)


async def given_up_by_the_client(visit):
    answer = await visit.api.form(
        "/oauth2/revoke", visit.client_id, token=visit.given["refresh_token"]
    )
    assert answer.status_code == 200


async def reuse(visit):
    refresh = {"grant_type": "refresh_token", "refresh_token": visit.given["refresh_token"]}
    assert (await visit.api.token(visit.client_id, **refresh)).status_code == 200
    await visit.api.sql.execute(
        "update sessions set rotated_at = rotated_at - interval '1 hour' where id = $1::uuid",
        visit.sid,
    )
    assert (await visit.api.token(visit.client_id, **refresh)).status_code == 400


async def code_reuse(visit):
    again = await visit.browser.redeem(visit.client_id, visit.given["code"])
    assert again.status_code == 400


async def consent_withdrawn(visit):
    await visit.operator.consents.withdraw(visit.person.id, visit.client_id)


async def somebody_else_signs_in(visit):
    """In the same browser: the login that was there ends."""
    other = await visit.api.person()
    page = await visit.browser.authorize(visit.client_id, prompt="login")
    await visit.browser.sign_in(page, other)


WAYS = [
    browser_logout,
    rp_logout,
    log_out_everywhere,
    password_change,
    account_disabled,
    account_deleted,
    revoked_by_the_operator,
    swept_by_the_operator,
    given_up_by_the_client,
    reuse,
    code_reuse,
    consent_withdrawn,
    somebody_else_signs_in,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_the_application_hears_of_it(heard, way):
    client_id = await heard.client(f"/{way.__name__}")
    browser, person = Browserless(heard.api), await heard.api.person()
    code = await browser.code(client_id, person)
    given = (await browser.redeem(client_id, code)).json()
    visit = Visit(heard, client_id, person, browser, {**given, "code": code})
    assert not await heard.waiting(client_id)
    await way(visit)
    [got] = await heard.receiver.told(f"/{way.__name__}")
    said = await heard.claims(got.token)
    assert (said["aud"], said["sub"], said["sid"]) == (client_id, str(person.id), visit.sid)
    await heard.forgotten(client_id)


async def test_an_app_of_the_session_api_hears_of_it_too(heard):
    client_id = await heard.client("/app", APP)
    device = await heard.api.sign_in(await heard.api.person(), client=client_id)
    answer = await heard.api.post("/auth/logout", device.credential, client=client_id)
    assert answer.status_code == 204
    [got] = await heard.receiver.told("/app")
    assert (await heard.claims(got.token))["sid"] == str(device.session_id)


async def test_every_application_of_the_person_hears_of_its_own_session(heard):
    clients = [await heard.client(f"/one-of-{number}") for number in range(3)]
    browser, person = Browserless(heard.api), await heard.api.person()
    given = [await browser.tokens(one, person) for one in clients]
    await browser.open("/oauth2/logout", {"id_token_hint": given[0]["id_token"]})
    for number, tokens in enumerate(given):
        [got] = await heard.receiver.told(f"/one-of-{number}")
        said = await heard.claims(got.token)
        assert said["sid"] == claims_of(tokens["id_token"])["sid"]


async def test_a_session_that_outlives_the_browser_is_not_announced(heard):
    client_id = await heard.client("/offline")
    browser, person = Browserless(heard.api), await heard.api.person()
    given = await browser.tokens(client_id, person, scope="openid offline_access")
    await browser.open("/oauth2/logout", {"id_token_hint": given["id_token"]})
    assert not await heard.waiting(client_id)
    assert not heard.receiver.at("/offline")
