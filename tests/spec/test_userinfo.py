"""GET, POST /oauth2/userinfo: who a client acts for (OpenID Connect Core section 5.3)."""

import pytest

from support.api import FOREIGN_ORIGIN, claims_of
from support.browserless import SITE, STANDARD, Browserless
from support.replicas import AUDIENCE

USERINFO = "/oauth2/userinfo"
(ORIGIN,) = SITE["origins"]


def bearer(token, scheme="Bearer"):
    return {"authorization": f"{scheme} {token}"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_who_signed_in_is_told_by_get_and_by_post(api, rp, browser, method, scheme):
    person = await api.person()
    given = await browser.tokens(rp, person)
    headers = bearer(given["access_token"], scheme)
    answer = await api.callers[0].request(method, USERINFO, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"sub": str(person.id)})
    assert claims_of(given["id_token"])["sub"] == answer.json()["sub"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("scopes", "shown"),
    [
        ("openid", set()),
        ("openid profile", {"name"}),
        ("openid email", {"email", "email_verified"}),
        (" ".join(STANDARD), {"name", "email", "email_verified"}),
        ("openid orders.read", set()),
    ],
)
async def test_each_scope_shows_its_claims_and_no_other(api, rp, browser, scopes, shown):
    person = await api.person()
    given = await browser.tokens(rp, person, scope=scopes)
    said = (await api.get(USERINFO, headers=bearer(given["access_token"]))).json()
    every = {
        "sub": str(person.id),
        "name": person.name,
        "email": person.email,
        "email_verified": False,
    }
    assert said == {name: every[name] for name in {"sub", *shown}}


async def test_who_shows_no_token_is_asked_for_one_and_told_of_no_error(api):
    answer = await api.get(USERINFO)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="keyturn"'


async def test_a_token_in_the_body_or_the_url_is_none(api, rp, browser):
    token = (await browser.tokens(rp, await api.person()))["access_token"]
    for answer in (
        await api.callers[0].post(USERINFO, data={"access_token": token}),
        await api.get(USERINFO, params={"access_token": token}),
    ):
        assert answer.status_code == 401


async def test_a_token_without_openid_says_nothing_about_a_person(api, rp, browser):
    device = await api.sign_in(await api.person())
    answer = await api.get(USERINFO, headers=device.bearer)
    assert await api.refusal(answer) == (403, "insufficient_scope", "scope: no openid")
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="openid"' in challenge
    for_an_api = await browser.tokens(rp, await api.person(), scope="orders.read")
    answer = await api.get(USERINFO, headers=bearer(for_an_api["access_token"]))
    assert (await api.refusal(answer))[:2] == (401, "invalid_token")


async def test_a_token_narrowed_to_an_api_is_not_for_us(api, rp, browser):
    given = await browser.tokens(rp, await api.person())
    answer = await api.token(
        rp, grant_type="refresh_token", refresh_token=given["refresh_token"], resource=AUDIENCE
    )
    narrowed = answer.json()["access_token"]
    assert (await api.get(USERINFO, headers=bearer(narrowed))).status_code == 401


async def test_what_has_ended_says_nothing_any_more(api):
    for end in ("session", "person", "client"):
        client_id, person = await api.client(SITE), await api.person()
        token = (await Browserless(api).tokens(client_id, person))["access_token"]
        assert (await api.get(USERINFO, headers=bearer(token))).status_code == 200
        if end == "session":
            await api.form("/oauth2/revoke", client_id, token=token)
        elif end == "person":
            await api.operator.accounts.disable(person.id)
        else:
            await api.clients.disable(client_id)
            await api.settled()
        assert (await api.get(USERINFO, headers=bearer(token))).status_code == 401, end


async def test_WB_11_pages_of_the_client_may_read_it_and_no_others(api, rp, browser):
    token = (await browser.tokens(rp, await api.person()))["access_token"]
    for origin, allowed in ((ORIGIN, ORIGIN), (FOREIGN_ORIGIN, None), ("null", None)):
        answer = await api.get(USERINFO, headers={**bearer(token), "origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers
    asked = {"origin": ORIGIN, "access-control-request-method": "GET"}
    answer = await api.callers[0].request("OPTIONS", USERINFO, headers=asked)
    assert answer.status_code == 204
    assert "Authorization" in answer.headers["access-control-allow-headers"]
