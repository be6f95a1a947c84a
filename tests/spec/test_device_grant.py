"""RFC 8628 over HTTP: what devices are told, whatever their people do meanwhile."""

import asyncio
import re

import pytest

from support.api import OTHER_AUDIENCE, claims_of
from support.browserless import SITE, SPA, VERIFIER, Browserless, forms_of, told
from support.replicas import AUDIENCE, ORIGIN
from support.television import (
    BEGIN,
    DEVICE_CODE,
    SELF,
    TELEVISION,
    Television,
    answered,
    entry,
    question,
)

USER_CODE = re.compile(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}")


@pytest.fixture(scope="module")
async def tv(api):
    """A public client of the device grant."""
    return await api.client(TELEVISION)


@pytest.fixture(scope="module")
async def box(api):
    """A confidential one."""
    return await api.client(TELEVISION, kind="confidential", name="Box")


@pytest.fixture
async def person(api):
    return await api.person()


@pytest.fixture
async def device(api, tv):
    return await Television.begun(api, tv)


# -- section 3.1, 3.2: what a device is given ------------------------------------------------------


async def test_a_device_is_given_two_codes_and_told_where_and_how_often(api, tv):
    answer = await Television(api, tv).begin()
    said = answer.json()
    assert set(said) == {
        "device_code", "user_code", "verification_uri", "verification_uri_complete",
        "expires_in", "interval",
    }  # fmt: skip
    assert (said["expires_in"], said["interval"]) == (600, 5)
    assert len(said["device_code"]) == 43, "256 bits"
    assert USER_CODE.fullmatch(said["user_code"])
    assert said["verification_uri"] == f"{api.issuer}/device"
    complete = f"{api.issuer}/device?user_code={said['user_code']}"
    assert said["verification_uri_complete"] == complete
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


async def test_the_metadata_name_the_endpoint_and_the_grant(api):
    said = (await api.get("/.well-known/oauth-authorization-server")).json()
    assert said["device_authorization_endpoint"] == f"{api.issuer}{BEGIN}"
    assert DEVICE_CODE in said["grant_types_supported"]


async def test_the_database_keeps_neither_code(api, device):
    row = str(dict(await device.row()))
    assert device.told["device_code"] not in row
    assert device.code not in row
    assert device.code.replace("-", "") not in row


async def test_no_page_of_any_origin_may_read_what_a_device_is_told(api, tv):
    with_origin = await api.form(BEGIN, tv, headers={"origin": ORIGIN})
    preflight = await api.callers[0].options(
        BEGIN, headers={"origin": ORIGIN, "access-control-request-method": "POST"}
    )
    for answer in (with_origin, preflight):
        assert not any(one.startswith("access-control") for one in answer.headers)


async def test_only_a_client_with_the_grant_may_begin_or_ask(api, device):
    for path, fields in ((BEGIN, {}), ("/oauth2/token", {"grant_type": DEVICE_CODE})):
        answer = await api.form(path, "app", device_code=device.told["device_code"], **fields)
        assert (await api.refusal(answer))[:2] == (400, "unauthorized_client")


async def test_CA_4_a_confidential_client_cannot_begin_or_ask_by_its_id_alone(api, box, person):
    television = await Television.begun(api, box)
    await answered(Browserless(api), person, television)
    for path in (BEGIN, "/oauth2/token"):
        code = television.told["device_code"]
        fields = {"grant_type": DEVICE_CODE, "device_code": code, "client_id": box}
        assert (await api.refusal(await api.form(path, None, **fields)))[0] == 401
    assert (await television.poll()).status_code == 200


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"scope": "orders.read admin"}, "invalid_scope"),
        ({"scope": "orders.read  orders.write"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
    ],
)
async def test_TK_8_nothing_beyond_the_clients_own_may_be_asked_for(api, tv, fields, code):
    answer = await Television(api, tv).begin(**fields)
    assert (await api.refusal(answer))[:2] == (400, code)


async def test_TK_8_what_is_about_the_person_is_given_when_it_is_named_only(api, tv, person):
    one = Television(api, tv)
    one.told = (await one.begin()).json()
    await answered(Browserless(api), person, one)
    given = (await one.poll()).json()
    assert given["scope"] == "orders.read orders.write"
    assert "id_token" not in given


async def test_TK_8_a_resource_that_was_not_granted_uses_nothing_up(api, tv, person):
    one = await Television.begun(api, tv, resource=AUDIENCE)
    await answered(Browserless(api), person, one)
    assert await one.error(resource=OTHER_AUDIENCE) == "invalid_target"
    given = (await one.poll(resource=AUDIENCE)).json()
    assert set(claims_of(given["access_token"])["aud"]) == {AUDIENCE, api.issuer}


@pytest.mark.parametrize("name", ["scope", "resource", "client_id", "device_code"])
@pytest.mark.parametrize("value", ["'; --", "\x00", "\ud800", "A" * 9000, "1e400", "%", "💩"])
async def test_DS_6_nothing_that_is_sent_is_a_failure_of_ours(api, tv, name, value):
    for path in (BEGIN, "/oauth2/token"):
        fields = {"client_id": tv, "grant_type": DEVICE_CODE, "device_code": "x", name: value}
        sent = {one: text.encode("utf-8", "surrogatepass") for one, text in fields.items()}
        answer = await api.callers[0].post(path, data=sent)
        assert answer.status_code in {200, 400, 401}, answer.text
        assert answer.status_code != 200 or name == "device_code"


# -- section 3.4, 3.5: asking ----------------------------------------------------------------------


async def test_a_person_connects_a_device_which_gets_tokens_once(api, device, person):
    assert await device.error() == "authorization_pending"
    browser = Browserless(api)
    page = await answered(browser, person, device)
    assert "Your device is connected" in page.text
    answer = await device.poll()
    given = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert given["scope"] == "openid orders.read"
    said, identity = claims_of(given["access_token"]), claims_of(given["id_token"])
    assert said["sub"] == identity["sub"] == str(person.id)
    assert identity["aud"] == device.client
    assert (said["amr"], said["sid"]) == (["pwd"], identity["sid"])
    assert "nonce" not in identity
    # A device whose answer was lost asks again: that ends nothing.
    assert await device.error() == "invalid_grant"
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    assert (await api.token(device.client, **refresh)).status_code == 200
    (event,) = await api.events("device_redeemed", client_id=device.client, user_id=person.id)
    assert str(event["session_id"]) == said["sid"]


async def test_a_client_without_the_refresh_grant_gets_no_refresh_token(api, person):
    once = await api.client(TELEVISION, grant_types=[DEVICE_CODE])
    television = await Television.begun(api, once)
    await answered(Browserless(api), person, television)
    assert "refresh_token" not in (await television.poll()).json()


async def test_a_device_that_asks_too_soon_is_told_to_slow_down_each_time(device):
    assert await device.error() == "authorization_pending"
    for interval in (10, 15):
        assert await device.error() == "slow_down"
        assert (await device.row())["poll_interval"].total_seconds() == interval
    await device.set("polled_at = polled_at - interval '11 seconds'")
    assert await device.error() == "slow_down", "of the 15 seconds it has to wait now"
    await device.set("polled_at = polled_at - interval '19 seconds'")
    assert await device.error() == "authorization_pending"
    assert (await device.row())["poll_interval"].total_seconds() == 20


async def test_an_answer_is_not_held_back_from_a_device_that_asks_too_often(api, device, person):
    await device.poll()
    assert await device.error() == "slow_down"
    await answered(Browserless(api), person, device)
    assert (await device.poll()).status_code == 200


async def test_a_no_is_told_to_the_device_and_is_final(api, device, person):
    browser = Browserless(api)
    kept = await question(browser, person, device)
    page = await browser.submit(kept, "device", "deny")
    assert "Nothing was connected" in page.text
    for _ in range(2):
        assert await device.error() == "access_denied"
    again = await browser.submit(kept, "device", "allow")
    assert again.status_code == 400
    stranger = await question(Browserless(api), await api.person(), device)
    assert stranger.status_code == 400
    assert await device.error() == "access_denied"
    assert await api.events("device_denied", client_id=device.client, user_id=person.id)


@pytest.mark.parametrize("approved", [False, True])
async def test_a_code_expires_whether_or_not_somebody_answered(api, device, person, approved):
    browser = Browserless(api)
    kept = await question(browser, person, device)
    if approved:
        await browser.submit(kept, "device", "allow")
    await device.set("expires_at = now()")
    assert await device.error() == "expired_token"
    late = await browser.submit(kept, "device", "allow")
    assert late.status_code == 400
    assert await device.error() == "expired_token"


@pytest.mark.parametrize("code", ["x", "x" * 43, "x" * 5000, "ü", "' or 1=1"])
async def test_what_is_no_device_code_is_refused(api, tv, code):
    answer = await api.token(tv, grant_type=DEVICE_CODE, device_code=code)
    assert (await api.refusal(answer))[:2] == (400, "invalid_grant")
    nothing = await api.token(tv, grant_type=DEVICE_CODE)
    assert (await api.refusal(nothing))[:2] == (400, "invalid_request")


@pytest.mark.parametrize("approved", [False, True])
async def test_another_client_with_the_code_learns_and_changes_nothing(
    api, device, box, person, approved
):
    if approved:
        await answered(Browserless(api), person, device)
    before = await device.row()
    thief = Television(api, box, device.told)
    assert await thief.error() == "invalid_grant"
    assert await device.row() == before
    assert (await device.poll()).status_code == (200 if approved else 400)


async def test_fifty_parallel_questions_get_one_session(api, device, person):
    await answered(Browserless(api), person, device)
    asked = (device.poll(on=number % 2) for number in range(50))
    answers = await asyncio.gather(*asked)
    assert sorted(one.status_code for one in answers) == [200] + [400] * 49
    assert {one.json().get("error") for one in answers} == {None, "invalid_grant"}
    count = "select count(*) from sessions where user_id = $1"
    assert await api.sql.fetchval(count, person.id) == 1


async def test_CA_7_a_disabled_client_can_neither_begin_nor_ask_nor_be_confirmed(api, person):
    client = await api.client(TELEVISION)
    device, browser = await Television.begun(api, client), Browserless(api)
    await answered(browser, person, device)
    waiting = await Television.begun(api, client)
    await api.clients.disable(client)
    await api.settled()
    for answer in (await device.begin(), await device.poll()):
        assert (await api.refusal(answer))[:2] == (401, "invalid_client")
    assert (await question(browser, person, waiting)).status_code == 400


# -- AC-6: a device code is nothing elsewhere, and nothing else is a device code -------------------


@pytest.fixture(scope="module")
async def everything(api):
    """A client that has every grant of people at once."""
    return await api.client(SPA, grant_types=[*SPA["grant_types"], DEVICE_CODE])


async def test_AC_6_the_codes_of_a_device_are_nothing_at_other_doors(api, everything, person):
    device, browser = await Television.begun(api, everything), Browserless(api)
    await answered(browser, person, device)
    pending = await Television.begun(api, everything)
    codes = [device.told["device_code"], device.code, pending.told["device_code"], pending.code]
    for code in codes:
        redeemed = await browser.redeem(everything, code)
        assert (await api.refusal(redeemed))[:2] == (400, "invalid_grant")
        given = {"grant_type": "refresh_token", "refresh_token": code}
        refreshed = await api.token(everything, **given)
        assert (await api.refusal(refreshed))[:2] == (400, "invalid_grant")
        assert not await api.is_active(code)
        for path in ("/login", "/consent", "/oauth2/authorize/resume"):
            assert (await browser.send("GET", path, params={"request": code})).status_code == 400
        revoked = await api.form("/oauth2/revoke", everything, token=code)
        assert revoked.status_code == 200
    assert (await device.poll()).status_code == 200, "nothing of it was used up or revoked"


async def test_AC_6_nothing_else_is_a_device_code_or_a_user_code(api, everything, person):
    browser = Browserless(api)
    page = await browser.authorize(everything)
    handle = forms_of(page)["login"].fields["request"]
    given = await browser.tokens(everything, person, scope="openid offline_access")
    code = told(await browser.authorize(everything))["code"]
    device = await Television.begun(api, everything)
    others = [handle, code, given["access_token"], given["refresh_token"], device.code]
    others += [given["id_token"], *browser.cookies.values()]
    for one in others:
        answer = await api.token(everything, grant_type=DEVICE_CODE, device_code=one)
        assert (await api.refusal(answer))[:2] == (400, "invalid_grant")
    form = await browser.open("/device")
    for one in (*others[:4], device.told["device_code"]):
        answer = await browser.submit(form, "device-code", user_code=one)
        assert answer.status_code == 400
        assert "device" not in forms_of(answer)
    redeemed = await browser.redeem(everything, code, code_verifier=VERIFIER)
    assert redeemed.status_code == 200, "and was not used up"


# -- how long what a person said holds -------------------------------------------------------------


async def everywhere(api, person, _device):
    await api.operator.accounts.logout_everywhere(person.id)


async def disabled(api, person, _device):
    await api.operator.accounts.disable(person.id)


async def erased(api, person, _device):
    await api.operator.accounts.delete(person.id)


async def withdrawn(api, person, device):
    await api.operator.consents.withdraw(person.id, device.client)


ENDS = [everywhere, disabled, erased, withdrawn]


@pytest.mark.parametrize("end", ENDS)
async def test_RV_4_what_ends_every_session_ends_what_no_device_has_fetched(
    api, device, person, end
):
    await answered(Browserless(api), person, device)
    await end(api, person, device)
    assert await device.error() in {"access_denied", "invalid_grant"}
    count = "select count(*) from sessions where user_id = $1"
    assert await api.sql.fetchval(count, person.id) == 0


@pytest.mark.parametrize("end", ENDS)
async def test_RV_4_and_what_it_has(api, device, person, end):
    await answered(Browserless(api), person, device)
    given = (await device.poll()).json()
    await end(api, person, device)
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    assert (await api.refusal(await api.token(device.client, **refresh)))[1] == "invalid_grant"
    assert await api.goes_inactive(given["access_token"])


async def test_signing_out_of_the_browser_leaves_the_device_connected(api, tv, person):
    browser, fetched = Browserless(api), await Television.begun(api, tv)
    await answered(browser, person, fetched)
    given = (await fetched.poll()).json()
    waiting = await Television.begun(api, tv)
    await answered(browser, person, waiting)
    await browser.submit(await browser.open("/logout"), "logout", "sign-out")
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    assert (await api.token(tv, **refresh)).status_code == 200
    assert (await waiting.poll()).status_code == 200


async def test_signing_out_everywhere_else_ends_devices_and_what_they_wait_for(api, tv, person):
    browser, fetched = Browserless(api), await Television.begun(api, tv)
    await answered(browser, person, fetched)
    given = (await fetched.poll()).json()
    waiting = await Television.begun(api, tv)
    await answered(browser, person, waiting)
    await browser.submit(await browser.open("/account"), "end-others")
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    assert (await api.token(tv, **refresh)).status_code == 400
    assert await waiting.error() == "access_denied"


async def test_the_account_shows_the_device_and_what_it_was_allowed(api, device, person):
    browser = Browserless(api)
    await answered(browser, person, device)
    await device.poll()
    page = await browser.open("/account")
    assert SELF in page.text
    assert f'value="{device.client}"' in page.text, "what it was allowed can be withdrawn"


async def test_a_first_party_device_is_confirmed_too_and_no_consent_is_kept(api, person):
    client, browser = await api.client(TELEVISION, skip_consent=True), Browserless(api)
    device = await Television.begun(api, client)
    page = await question(browser, person, device)
    assert "device" in forms_of(page)
    assert await device.error() == "authorization_pending"
    await browser.submit(page, "device", "allow")
    assert (await device.poll()).status_code == 200
    assert not await api.operator.consents.granted(person.id, client)


async def test_what_a_device_was_allowed_an_application_of_the_browser_is_not_asked_again(
    api, person
):
    client = await api.client(SITE, kind="public", grant_types=[*SITE["grant_types"], DEVICE_CODE])
    browser, device = Browserless(api), await Television.begun(api, client)
    await answered(browser, person, device)
    assert "code" in told(await browser.authorize(client, scope="openid orders.read"))
    assert "consent" in forms_of(await browser.authorize(client, scope="openid email"))


# -- trouble ---------------------------------------------------------------------------------------


async def test_trouble_with_the_database_uses_nothing_up(outage):
    api, pair = outage
    client, person, browser = await api.client(TELEVISION), await api.person(), Browserless(api)
    connected, waiting = [await Television.begun(api, client) for _ in range(2)]
    await answered(browser, person, connected)
    entered = await entry(browser, person, waiting.told["verification_uri_complete"])
    asked = await question(browser, person, waiting)
    pair.postgres.kill()
    try:
        for answer in (await connected.poll(), await waiting.poll(), await waiting.begin()):
            assert (await api.refusal(answer))[:2] == (503, "temporarily_unavailable")
        for page, form, button in ((entered, "device-code", ""), (asked, "device", "allow")):
            answer = await browser.press(page, form, button)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            (again,) = re.findall(r'id="again" href="([^"]+)"', answer.text)
            assert again == f"/device?user_code={waiting.code}", "P9: the code is kept"
    finally:
        await pair.postgres.start()
    async with asyncio.timeout(30):
        while (answer := await connected.poll()).status_code == 503:
            await asyncio.sleep(0.05)
    assert answer.status_code == 200
    page = await browser.submit(await browser.open(again), "device-code")
    await browser.submit(page, "device", "allow")
    assert (await waiting.poll()).status_code == 200
