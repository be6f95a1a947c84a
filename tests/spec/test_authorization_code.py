"""Codes at the token endpoint, and what they give: AC-1 to AC-6, RU-5, RT-10."""

import asyncio
import json
from urllib.parse import urlencode
from uuid import UUID

import pytest

from support.api import FOREIGN_ORIGIN, claims_of
from support.browserless import CALLBACK, SITE, SPA, VERIFIER, Browserless, forms_of, told
from support.replicas import AUDIENCE

USERINFO = "/oauth2/userinfo"


async def is_alive(api, client_id, given):
    """Whether what a code gave still works: all of it, or nothing."""
    bearer = {"authorization": f"Bearer {given['access_token']}"}
    seen = {
        (await api.get(USERINFO, headers=bearer)).status_code == 200,
        await api.is_active(given["access_token"]),
        (
            await api.token(
                client_id, grant_type="refresh_token", refresh_token=given["refresh_token"]
            )
        ).status_code
        == 200,
    }
    assert len(seen) == 1
    return seen.pop()


async def refused(api, answer):
    """Return the error of a token answer."""
    status, code, _ = await api.refusal(answer)
    assert status == 400
    return code


async def test_AC_1_codes_are_random_kept_as_hashes_and_good_for_a_minute(api, spa, browser):
    person = await api.person()
    codes = {await browser.code(spa, person) for _ in range(20)}
    assert len(codes) == 20
    assert min(map(len, codes)) >= 43
    rows = await api.sql.fetch(
        "select c::text as said, expires_at - created_at as life from authorization_codes c"
        " where user_id = $1",
        person.id,
    )
    assert {row["life"].total_seconds() for row in rows} == {60.0}
    said = "".join(row["said"] for row in rows)
    assert not [code for code in codes if code in said]
    code = codes.pop()
    await api.sql.execute(
        "update authorization_codes set expires_at = now() where user_id = $1", person.id
    )
    assert await refused(api, await browser.redeem(spa, code)) == "invalid_grant"


async def test_AC_2_of_fifty_redemptions_at_once_one_succeeds(api, spa, browser):
    person = await api.person()
    code = await browser.code(spa, person)
    browsers = [Browserless(api, on=n % 2) for n in range(50)]
    answers = await asyncio.gather(*(one.redeem(spa, code) for one in browsers))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49
    sessions = "select count(*) from sessions where user_id = $1"
    assert await api.sql.fetchval(sessions, person.id) == 1


async def test_AC_3_a_valid_second_redemption_ends_what_the_first_one_gave(api, rp, browser):
    code = await browser.code(rp, await api.person())
    given = (await browser.redeem(rp, code)).json()
    assert await is_alive(api, rp, given)
    assert await refused(api, await browser.redeem(rp, code)) == "invalid_grant"
    assert not await is_alive(api, rp, given)
    said = claims_of(given["access_token"])
    (event,) = await api.events("code_reuse", session_id=UUID(said["sid"]))
    assert (str(event["user_id"]), event["client_id"]) == (said["sub"], rp)


async def test_AC_3_so_it_does_when_the_code_has_expired_meanwhile(api, rp, browser):
    person = await api.person()
    code = await browser.code(rp, person)
    given = (await browser.redeem(rp, code)).json()
    await api.sql.execute(
        "update authorization_codes set expires_at = now() where user_id = $1", person.id
    )
    assert await refused(api, await browser.redeem(rp, code)) == "invalid_grant"
    assert not await is_alive(api, rp, given)


async def test_AC_4_who_merely_saw_a_code_ends_nothing(api, rp, spa, browser):
    code = await browser.code(rp, await api.person())
    given = (await browser.redeem(rp, code)).json()
    for client_id, changes in (
        (rp, {"code_verifier": "b" * 43}),
        (rp, {"code_verifier": None}),
        (rp, {"redirect_uri": CALLBACK + "/"}),
        (spa, {}),
    ):
        answer = await browser.redeem(client_id, code, **changes)
        assert await refused(api, answer) == "invalid_grant"
    assert await is_alive(api, rp, given)
    sub = UUID(claims_of(given["access_token"])["sub"])
    (event,) = await api.events("code_refused", user_id=sub)
    assert (event["client_id"], event["result"]) == (rp, "failed")
    reason = "the verifier is not that of the challenge"
    assert json.loads(event["detail"]) == {"issued_to": rp, "reason": reason}


async def test_AC_4_a_wrong_redemption_does_not_use_a_code_up(api, rp, browser):
    code = await browser.code(rp, await api.person())
    assert await refused(api, await browser.redeem(rp, code, code_verifier="b" * 43))
    assert (await browser.redeem(rp, code)).status_code == 200


async def test_AC_5_a_code_is_bound_to_client_address_proof_and_nonce(api, rp, spa, browser):
    person = await api.person()
    other = await api.client(SITE)
    for client_id in (other, spa):
        answer = await browser.redeem(client_id, await browser.code(rp, person))
        assert await refused(api, answer) == "invalid_grant"
    for changes in (
        {"redirect_uri": f"{CALLBACK}?x=1"},
        {"redirect_uri": "https://evil.example.net/callback"},
        {"code_verifier": VERIFIER + "x"},
    ):
        answer = await browser.redeem(rp, await browser.code(rp, person), **changes)
        assert await refused(api, answer) == "invalid_grant", changes
    first = await browser.code(rp, person, nonce="one")
    second = await browser.code(rp, person, nonce="two")
    for code, nonce in ((second, "two"), (first, "one")):
        given = (await browser.redeem(rp, code)).json()
        assert claims_of(given["id_token"])["nonce"] == nonce


async def test_RU_5_the_redirect_uri_is_demanded_because_every_request_had_one(api, rp, browser):
    code = await browser.code(rp, await api.person())
    answer = await browser.redeem(rp, code, redirect_uri=None)
    assert await refused(api, answer) == "invalid_grant"


async def test_AC_5_a_code_ends_with_the_sign_in_it_came_from(api, rp, browser):
    person = await api.person()
    code = await browser.code(rp, person)
    await api.operator.accounts.logout_everywhere(person.id)
    assert await refused(api, await browser.redeem(rp, code)) == "invalid_grant"
    code = await browser.code(rp, person)
    await api.operator.accounts.disable(person.id)
    assert await refused(api, await browser.redeem(rp, code)) == "invalid_grant"


async def test_CA_4_TK_3_who_is_not_the_client_or_says_things_twice_uses_no_code_up(
    api, rp, browser
):
    code = await browser.code(rp, await api.person())
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    for named in ({"client_id": rp}, {"client_id": rp, "client_secret": "x" * 43}):
        answer = await api.callers[0].post("/oauth2/token", data={**fields, **named})
        assert (await api.refusal(answer))[:2] == (401, "invalid_client")
    auth = (rp, api.secrets[rp])
    for name, value in fields.items():
        for second in (value, "another", ""):
            body = urlencode([*fields.items(), (name, second)])
            kind = {"content-type": "application/x-www-form-urlencoded"}
            answer = await api.callers[0].post(
                "/oauth2/token", content=body, headers=kind, auth=auth
            )
            assert await refused(api, answer) == "invalid_request"
    assert (await browser.redeem(rp, code)).status_code == 200


async def test_CA_7_a_code_is_worth_nothing_to_a_client_that_was_closed_meanwhile(api, browser):
    client_id = await api.client(SITE)
    code = await browser.code(client_id, await api.person())
    await api.clients.disable(client_id)
    await api.settled()
    answer = await browser.redeem(client_id, code)
    assert await api.refusal(answer) == (401, "invalid_client", "client: disabled")
    await api.clients.enable(client_id)
    await api.settled()
    assert (await browser.redeem(client_id, code)).status_code == 200


async def test_AC_6_nothing_single_use_is_good_where_another_is_wanted(api, rp, browser):
    person = await api.person()
    page = await browser.authorize(rp)
    handle, csrf = (forms_of(page)["login"].fields[name] for name in ("request", "csrf"))
    page = await browser.sign_in(page, person)
    code = told(await browser.submit(page, "consent", "allow"))["code"]
    given = (await browser.redeem(rp, await browser.code(rp, person))).json()
    held = {**browser.cookies, "handle": handle, "csrf": csrf, "refresh": given["refresh_token"]}
    for name, value in held.items():
        assert await refused(api, await browser.redeem(rp, value)) == "invalid_grant", name
    for value in (code, handle, csrf):
        answer = await api.token(rp, grant_type="refresh_token", refresh_token=value)
        assert await refused(api, answer) == "invalid_grant"
        page = await browser.open("/oauth2/authorize/resume", {"request": value})
        assert page.status_code == 400
    assert (await browser.redeem(rp, code)).status_code == 200


async def test_the_token_answer_is_one_no_cache_keeps(api, rp, browser):
    answer = await browser.redeem(rp, await browser.code(rp, await api.person()))
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert answer.json()["token_type"] == "Bearer"


async def test_a_missing_code_is_no_grant_at_all(api, rp, browser):
    assert await refused(api, await browser.redeem(rp, "")) == "invalid_request"


async def test_a_client_without_the_refresh_grant_gets_no_refresh_token(api, browser):
    client_id = await api.client({**SITE, "grant_types": ["authorization_code"]})
    given = await browser.tokens(client_id, await api.person())
    assert "refresh_token" not in given
    assert claims_of(given["access_token"])["sid"] == claims_of(given["id_token"])["sid"]


async def test_without_openid_there_is_no_id_token_and_no_word_to_us(api, rp, browser):
    given = await browser.tokens(rp, await api.person(), scope="orders.read")
    assert "id_token" not in given
    assert claims_of(given["access_token"])["aud"] == AUDIENCE


async def test_an_id_token_says_what_openid_connect_demands(api, rp, browser):
    person = await api.person()
    given = await browser.tokens(rp, person, scope="openid email profile")
    claims = claims_of(given["id_token"])
    assert set(claims) == {
        *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "sid", "acr", "amr", "at_hash")
    }
    assert (claims["iss"], claims["sub"], claims["aud"]) == (api.issuer, str(person.id), rp)
    assert claims["iat"] < claims["exp"] <= claims["iat"] + 3600
    assert claims["auth_time"] <= claims["iat"]


async def test_no_nonce_in_no_nonce_out(api, rp, browser):
    given = await browser.tokens(rp, await api.person(), nonce=None)
    assert "nonce" not in claims_of(given["id_token"])


async def test_the_claims_parameter_puts_claims_into_the_id_token_and_none_of_ours_away(
    api, browser
):
    """What the client may not have is left out, whoever asks and however essential it is."""
    without_names = [scope for scope in SITE["scopes"] if scope != "profile"]
    client_id = await api.client({**SITE, "scopes": without_names})
    person = await api.person()
    wanted = '{"id_token": {"email": {"essential": true}, "name": null, "sid": {"value": "x"}}}'
    given = await browser.tokens(client_id, person, scope="openid", claims=wanted)
    claims = claims_of(given["id_token"])
    assert claims["email"] == person.email
    assert "name" not in claims
    assert claims["sid"] != "x"


async def test_a_claim_asked_for_by_name_is_asked_of_the_person_and_shown_at_userinfo(
    api, rp, browser
):
    """As `oidcc-claims-essential` has it; the person agrees to the scope that shows it."""
    person, wanted = await api.person(), '{"userinfo": {"name": {"essential": true}}}'
    await browser.tokens(rp, person, scope="openid")
    silent = await browser.authorize(rp, prompt="none", claims=wanted)
    assert told(silent)["error"] == "consent_required"
    page = await browser.authorize(rp, claims=wanted)
    assert "your name" in page.text.lower()
    code = told(await browser.submit(page, "consent", "allow"))["code"]
    given = (await browser.redeem(rp, code)).json()
    assert given["scope"] == "openid profile"
    assert "name" not in claims_of(given["id_token"])
    headers = {"authorization": f"Bearer {given['access_token']}"}
    said = (await api.get(USERINFO, headers=headers)).json()
    assert said == {"sub": str(person.id), "name": person.name}


async def test_RT_1_RT_2_RT_3_RT_6_a_session_of_a_code_rotates_as_any_other(api, browser):
    """One grant that kept its refresh tokens another way would have rules of its own."""
    rp, other = await api.client({**SITE, "grace": 60}), await api.client(SITE)
    given = await browser.tokens(rp, await api.person())
    first, sid = given["refresh_token"], UUID(claims_of(given["access_token"])["sid"])

    async def use(client_id, token, on=0):
        fields = {"grant_type": "refresh_token", "refresh_token": token}
        async with asyncio.timeout(30):
            # A busy machine sheds some, and they come again with the same token.
            while (answer := await api.token(client_id, on=on, **fields)).status_code == 503:
                await asyncio.sleep(0.1)
        return answer

    assert await refused(api, await use(other, first)) == "invalid_grant"
    answers = await asyncio.gather(*(use(rp, first, n % 2) for n in range(20)))
    assert [one.status_code for one in answers] == [200] * 20
    (second,) = {one.json()["refresh_token"] for one in answers}
    assert second != first
    past = "update sessions set rotated_at = rotated_at - interval '90 s' where id = $1"
    await api.sql.execute(past, sid)
    assert await refused(api, await use(other, first)) == "invalid_grant"
    assert (await use(rp, second)).status_code == 200, "another client's reuse ends nothing"
    assert await refused(api, await use(rp, first)) == "invalid_grant"
    why = "select revoke_reason from sessions where id = $1"
    assert await api.sql.fetchval(why, sid) == "reuse"


async def test_RT_8_consent_that_was_taken_back_ends_refreshes(api, rp, browser):
    person = await api.person()
    given = await browser.tokens(rp, person)
    await api.operator.consents.withdraw(person.id, rp)
    answer = await api.token(rp, grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert await refused(api, answer) == "invalid_grant"
    assert told(await browser.authorize(rp, prompt="none"))["error"] == "consent_required"


async def test_RT_10_a_refresh_gives_the_same_identity_again(api, rp, browser):
    given = await browser.tokens(rp, await api.person(), scope="openid offline_access")
    answer = await api.token(rp, grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert answer.headers["cache-control"] == "no-store"
    before, after = claims_of(given["id_token"]), claims_of(answer.json()["id_token"])
    for name in ("iss", "sub", "aud", "auth_time", "sid"):
        assert after[name] == before[name], name
    assert after["iat"] >= before["iat"]
    assert "nonce" not in after


async def test_RT_10_a_refresh_narrowed_to_an_api_gives_no_identity(api, rp, browser):
    given = await browser.tokens(rp, await api.person(), scope="openid orders.read")
    answer = await api.token(
        rp,
        grant_type="refresh_token",
        refresh_token=given["refresh_token"],
        scope="orders.read",
    )
    assert "id_token" not in answer.json()


async def test_a_resource_narrows_a_token_and_never_widens_it(api, browser):
    other = "https://billing.example.com"
    client_id = await api.client({**SITE, "audiences": [AUDIENCE, other]})
    person = await api.person()
    code = await browser.code(client_id, person, resource=other)
    given = (await browser.redeem(client_id, code)).json()
    assert claims_of(given["access_token"])["aud"] == [other, api.issuer]
    code = await browser.code(client_id, person, resource=other)
    answer = await browser.redeem(client_id, code, resource=AUDIENCE)
    assert await refused(api, answer) == "invalid_target"
    # A wrong word about the resource uses no code up, as no other mistake does.
    assert (await browser.redeem(client_id, code, resource=other)).status_code == 200


@pytest.mark.parametrize("origin", [SITE["origins"][0], FOREIGN_ORIGIN])
async def test_WB_11_pages_of_the_client_alone_may_read_its_tokens(api, rp, browser, origin):
    code = await browser.code(rp, await api.person())
    answer = await api.form(
        "/oauth2/token",
        rp,
        headers={"origin": origin},
        grant_type="authorization_code",
        code=code,
        redirect_uri=CALLBACK,
        code_verifier=VERIFIER,
    )
    allowed = answer.headers.get("access-control-allow-origin")
    assert allowed == (None if origin == FOREIGN_ORIGIN else origin)


async def test_TK_8_what_a_client_may_have_no_more_is_in_no_token_of_a_code_on_its_way(
    api, browser
):
    """An operator takes a scope and an API away while a code travels."""
    gone = "https://billing.example.com"
    client_id = await api.client({**SPA, "audiences": [AUDIENCE, gone]})
    person = await api.person()
    asked = {"scope": "openid email orders.read orders.write"}
    code = await browser.code(client_id, person, **asked, resource=gone)
    bare = await browser.code(client_id, person, scope="orders.read", resource=gone)
    await api.redefine(client_id, {**SPA, "scopes": ["openid", "orders.read"]})
    given = (await browser.redeem(client_id, code)).json()
    said = claims_of(given["access_token"])
    assert set(said["scope"].split()) == {"openid", "orders.read"}
    assert said["aud"] == api.issuer
    assert await refused(api, await browser.redeem(client_id, bare)) == "invalid_target"
    again = await api.token(
        client_id, grant_type="refresh_token", refresh_token=given["refresh_token"]
    )
    later = claims_of(again.json()["access_token"])
    assert (later["scope"], later["aud"]) == (said["scope"], said["aud"])


async def test_TK_8_nor_of_a_request_that_waits_for_its_person(api, browser):
    client_id, person = await api.client(SPA), await api.person()
    page = await browser.authorize(client_id, scope="openid orders.read orders.write")
    await api.redefine(client_id, {**SPA, "scopes": ["openid", "orders.read"]})
    code = told(await browser.sign_in(page, person))["code"]
    given = (await browser.redeem(client_id, code)).json()
    assert set(claims_of(given["access_token"])["scope"].split()) == {"openid", "orders.read"}
