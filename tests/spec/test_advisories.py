"""What broke in other servers and no other row drives in just that way (`ADVISORIES.md`)."""

import asyncio
import itertools
import json
import time
from dataclasses import replace
from urllib.parse import quote
from uuid import UUID

import pytest

from keyturn import paths
from keyturn.hosted import Hosted
from keyturn.routes import public_routes
from support import replicas
from support.api import APP, PASSWORD, SignedIn, claims_of, joined, set_cookies
from support.browserless import GOODBYE, SITE, VERIFIER, Browserless, forms_of, told
from support.replicas import ORIGIN
from support.television import DEVICE_CODE, TELEVISION, Television, answered

GRANT_ZERO = {**APP, "grace": 0}


def device_of(client, given):
    """Return a device as its app keeps it, from the answer of the token endpoint."""
    sid = claims_of(given["access_token"])["sid"]
    return SignedIn(client, given["access_token"], given["refresh_token"], UUID(sid))


async def dead(api, device, token):
    answer = await api.refresh(device, token)
    return (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


# -- refresh tokens ---------------------------------------------------------------------------------


async def test_RT_2_a_restart_of_everything_makes_no_superseded_token_good_again(outage):
    running, pair = outage
    device = await running.sign_in(await running.person())
    child = await running.rotated(device)
    await running.age(child)
    await pair.postgres.stop()
    await pair.postgres.start()
    with replicas.replicas(running.settings) as (one,):
        async with joined(running, one) as restarted:
            assert await dead(restarted, device, device.refresh_token)
            assert await dead(restarted, child, child.refresh_token), "the whole session ends"


@pytest.mark.parametrize("replayed", [0, 1, 2])
async def test_RT_2_three_rotations_within_one_second_are_told_apart(api, replayed):
    """Times do not order them; the generation in the token does."""
    client = await api.client(GRANT_ZERO)
    device = await api.seed(client, await api.person())
    tokens, began = [device.refresh_token], await api.sql.fetchval("select now()")
    for _ in range(3):
        answer = await api.refresh(device, tokens[-1])
        tokens.append(answer.json()["refresh_token"])
    row = await api.row(device)
    assert (row["rotated_at"] - began).total_seconds() < 1, "invalid: the machine is too slow"
    assert len(set(tokens)) == 4
    assert await dead(api, device, tokens[replayed])
    assert await dead(api, device, tokens[-1])


async def by_body(api, person):
    return await api.sign_in(person)


async def by_cookie(api, person):
    answer = await api.login(person, transport="cookie", headers={"origin": ORIGIN})
    ((_, value, _),) = set_cookies(answer)
    given = answer.json()
    return SignedIn("app", given["accessToken"], value, UUID(given["sessionId"]))


async def by_code(api, person):
    client = await api.client({**SITE, "kind": "public", "skip_consent": True})
    return device_of(client, await Browserless(api).tokens(client, person))


async def by_code_offline(api, person):
    client = await api.client(SITE)
    given = await Browserless(api).tokens(client, person, scope="openid offline_access")
    return device_of(client, given)


async def by_device(api, person):
    television = await Television.begun(api, await api.client(TELEVISION))
    await answered(Browserless(api), person, television)
    return device_of(television.client, (await television.poll()).json())


BEGINNINGS = {
    "/auth/login, body": by_body,
    "/auth/login, cookie": by_cookie,
    "authorization_code": by_code,
    "authorization_code, confidential and offline": by_code_offline,
    DEVICE_CODE: by_device,
}
NONE_COMES_WITH = {
    "refresh_token",  # the same session's
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:token-exchange",
}


async def test_RT_1_every_grant_that_yields_a_refresh_token_is_driven_below(api):
    document = (await api.get("/.well-known/openid-configuration")).json()
    driven = {name.split(",")[0] for name in BEGINNINGS}
    grants = set(document["grant_types_supported"]) - NONE_COMES_WITH
    assert grants == driven - {"/auth/login"}


@pytest.mark.parametrize("beginning", BEGINNINGS)
async def test_RT_1_RT_2_RT_3_RT_6_however_a_session_began_it_has_one_lineage(api, beginning):
    device = await BEGINNINGS[beginning](api, await api.person())
    foreign = await api.token(
        "shop", grant_type="refresh_token", refresh_token=device.refresh_token
    )
    assert foreign.json()["error"] == "invalid_grant"
    answers = await asyncio.gather(*(api.refresh(device) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    (child,) = {answer.json()["refresh_token"] for answer in answers}
    assert child != device.refresh_token
    grandchild = await api.rotated(replace(device, refresh_token=child))
    await api.age(grandchild)
    assert await dead(api, device, device.refresh_token)
    assert await dead(api, grandchild, grandchild.refresh_token)
    assert await api.events("refresh_reuse", session_id=device.session_id)


async def test_RT_7_a_session_ends_though_nobody_set_an_end(api):
    for device in (await api.sign_in(await api.person()), await by_code(api, await api.person())):
        row = await api.row(device)
        lives = (row["expires_at"] - row["created_at"]).total_seconds()
        unused = (row["idle_expires_at"] - row["created_at"]).total_seconds()
        assert 0 < unused <= lives <= 30 * 86400 + 1


# -- who is signed in -------------------------------------------------------------------------------


async def signed_out(browser, given):
    await browser.open(
        "/oauth2/logout",
        {"id_token_hint": given["id_token"], "post_logout_redirect_uri": GOODBYE},
    )


async def application_only(browser, given):
    await browser.api.form("/oauth2/revoke", "app", token=given["refresh_token"])


async def cookies_deleted(browser, _given):
    browser.cookies.clear()


async def signed_out_elsewhere(browser, given):
    """The request to sign out never carried the cookies: this browser knows nothing of it."""
    await signed_out(Browserless(browser.api), given)


@pytest.mark.parametrize(
    "leaving", [signed_out, application_only, cookies_deleted, signed_out_elsewhere]
)
async def test_AZ_11_WB_2_the_next_person_at_a_browser_never_gets_the_last_ones_session(
    api, spa, leaving
):
    browser, first, second = Browserless(api), await api.person(), await api.person()
    before = await browser.tokens(spa, first)
    cookies = set(browser.cookies.values())
    await leaving(browser, before)
    page = await browser.authorize(spa, prompt="login")
    answer = await browser.through(page, second)
    after = (await browser.redeem(spa, told(answer)["code"])).json()
    old, new = (claims_of(given["access_token"]) for given in (before, after))
    assert (old["sub"], new["sub"]) == (str(first.id), str(second.id))
    assert old["sid"] != new["sid"]
    login = {value for name, value in browser.cookies.items() if "login" in name}
    assert len(login) == 1
    assert not login & cookies, "the cookie is another one"
    # Whoever comes back to the first one's tokens is that one still, or nobody; never the second.
    again = await api.refresh(device_of(spa, before))
    if again.status_code == 200:
        assert claims_of(again.json()["access_token"])["sub"] == str(first.id)
        assert claims_of(again.json()["access_token"])["sid"] == old["sid"]


async def test_AZ_11_a_new_sign_in_that_is_given_up_changes_nothing(api, spa):
    browser, person = Browserless(api), await api.person()
    before = claims_of((await browser.tokens(spa, person))["access_token"])
    cookies = dict(browser.cookies)
    page = await browser.authorize(spa, prompt="login")
    wrong = replace(await api.person(), password="not the password")
    assert (await browser.sign_in(page, wrong)).status_code == 403
    await browser.authorize(spa, prompt="login")
    login = {name: value for name, value in cookies.items() if "login" in name}
    assert browser.cookies.items() >= login.items()
    answer = told(await browser.authorize(spa, prompt="none"))
    after = claims_of((await browser.redeem(spa, answer["code"])).json()["access_token"])
    assert (after["sub"], after["auth_time"]) == (before["sub"], before["auth_time"])


# -- steps left out ---------------------------------------------------------------------------------


NO_BODIES = {
    "form": (b"", "application/x-www-form-urlencoded"),
    "form of empty fields": (
        b"client_id=&grant_type=&code=&token=&email=&password=&request=&csrf=&decision=&do=",
        "application/x-www-form-urlencoded",
    ),
    "json": (b"{}", "application/json"),
    "json of empty members": (
        json.dumps(dict.fromkeys(("email", "password", "refreshToken", "newPassword"), "")),
        "application/json",
    ),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize("body", NO_BODIES)
async def test_WB_4_an_empty_post_takes_no_step_at_any_door(api, spa, body):
    """Nobody gets a token, a code, a cookie or a session ended by sending nothing at all."""
    content, kind = NO_BODIES[body]
    parts = api.operator
    doors = {one.path: one for one in public_routes(parts, Hosted.of(parts))}
    takes_post = [path for path, one in doors.items() if "POST" in (one.methods or {"POST"})]
    assert {paths.LOGIN_PAGE, paths.CONSENT_PAGE, paths.ACCOUNT_PAGE, paths.TOKEN} <= {*takes_post}
    browser, person = Browserless(api), await api.person()
    given = await browser.tokens(spa, person)
    for path in takes_post:
        headers = {"content-type": kind, "origin": api.issuer, "x-keyturn-client": "app"}
        answer = await browser.send("POST", path, content=content, headers=headers)
        harmless = {paths.LOGOUT: {204}, paths.END_SESSION: {200, 403}, paths.AUTHORIZE: {400}}
        allowed = harmless.get(path, set()) | {400, 401, 403, 404, 405, 415}
        assert answer.status_code in allowed, (path, answer.status_code, answer.text)
        assert '"access_token":' not in answer.text
        assert "accessToken" not in answer.text
        assert "location" not in answer.headers
    device = device_of(spa, given)
    assert (await api.refresh(device)).status_code == 200
    assert "code" in told(await browser.authorize(spa, prompt="none"))


async def test_WB_4_a_sign_in_form_that_lacks_something_signs_nobody_in(api, spa):
    person = await api.person()
    for missing in ("email", "password", "csrf", "request", "email password", "csrf request"):
        for emptied in (False, True):
            browser = Browserless(api)
            page = await browser.authorize(spa)
            form = forms_of(page)["login"]
            fields = {**form.fields, "email": person.email, "password": PASSWORD}
            for name in missing.split():
                fields = {**fields, name: ""} if emptied else without(fields, name)
            answer = await browser.send("POST", form.action, data=fields)
            assert answer.status_code in {400, 403}, (missing, answer.status_code)
            assert not any("login" in name for name in browser.cookies)


def without(fields, name):
    return {key: value for key, value in fields.items() if key != name}


async def test_AC_5_a_redemption_that_lacks_something_gives_nothing_and_uses_nothing_up(api, rp):
    browser = Browserless(api)
    code = await browser.code(rp, await api.person())
    whole = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": SITE["redirect_uris"][0],
        "code_verifier": VERIFIER,
    }
    for size in (1, 2, 3):
        for missing in itertools.combinations(whole, size):
            fields = {name: value for name, value in whole.items() if name not in missing}
            emptied = {**whole, **dict.fromkeys(missing, "")}
            for sent in (fields, emptied):
                answer = await api.form("/oauth2/token", rp, **sent)
                assert answer.status_code == 400, missing
    assert (await api.form("/oauth2/token", rp, **whole)).status_code == 200


async def test_WB_3_no_step_of_a_sign_in_is_taken_before_the_one_it_builds_on(api, rp):
    """The page that comes later answers like the first one, or not at all."""
    browser, person = Browserless(api), await api.person()
    page = await browser.authorize(rp)
    handle = forms_of(page)["login"].fields["request"]
    early = {"request": handle, "csrf": forms_of(page)["login"].fields["csrf"], "decision": "allow"}
    for path in (paths.CONSENT_PAGE, paths.RESUME):
        answer = await browser.open(path, {"request": handle})
        assert "code" not in answer.headers.get("location", "")
        assert "consent" not in forms_of(answer)
    answer = await browser.send("POST", paths.CONSENT_PAGE, data=early)
    assert answer.status_code in {303, 400, 403}
    assert "code=" not in answer.headers.get("location", "")
    assert not await api.sql.fetchval("select count(*) from consents where user_id = $1", person.id)
    page = await browser.sign_in(await browser.authorize(rp), person)
    # Signed in, but not asked yet: neither resuming nor another form of theirs is a yes.
    handle = forms_of(page)["consent"].fields["request"]
    answer = await browser.open(paths.RESUME, {"request": handle})
    assert "consent" in forms_of(answer)
    fields = forms_of(page)["consent"].fields
    yes = {**fields, "decision": "allow"}
    lacking = [without(yes, "csrf"), without(yes, "login"), without(yes, "request"), fields]
    for sent in (*lacking, {**fields, "decision": ""}, {**yes, "csrf": ""}):
        answer = await browser.follow(await browser.send("POST", paths.CONSENT_PAGE, data=sent))
        assert "code=" not in answer.headers.get("location", "")
    answer = await browser.follow(await browser.send("POST", paths.CONSENT_PAGE, data=yes))
    assert "code" in told(answer), "and all of it together is a yes"


async def test_WB_14_a_password_is_not_changed_by_who_did_not_prove_to_know_it(api):
    """There is no way back into an account by mail: the one way is a session proven just now."""
    person = await api.person()
    device = await api.sign_in(person)
    new = {"newPassword": "another good one"}
    for sent, status in (
        (new, 401),
        ({**new, "email": person.email}, 400),
        ({**new, "token": "x", "refreshToken": ""}, 400),
        ({**new, "refreshToken": device.access_token}, 401),
    ):
        answer = await api.post("/auth/password", sent)
        assert answer.status_code in {status, 400, 401}, answer.text
        assert answer.status_code != 204
    assert (await api.login(person)).status_code == 200


# -- what ended, ended --------------------------------------------------------------------------------


async def end_session(api, device, client):
    assert (await api.form("/oauth2/revoke", client, token=device.refresh_token)).status_code == 200


async def end_token(api, device, client):
    assert (await api.form("/oauth2/revoke", client, token=device.access_token)).status_code == 200


async def end_person(api, device, _client):
    user_id = UUID(claims_of(device.access_token)["sub"])
    await api.operator.accounts.disable(user_id)
    await api.operator.accounts.enable(user_id)


async def end_everywhere(api, device, _client):
    await api.operator.accounts.logout_everywhere(UUID(claims_of(device.access_token)["sub"]))


async def close_client(api, _device, client):
    await api.clients.disable(client)
    await api.settled()


ENDS = (end_session, end_token, end_person, end_everywhere, close_client)


@pytest.mark.parametrize("first", ENDS)
async def test_IN_3_no_end_hides_another_and_none_is_undone_by_what_is_opened_again(api, first):
    """An API is told `inactive` by each cause alone, and by any two, whichever came first."""
    client = await api.client({**APP, "scopes": ["orders.read"]})
    for second in (None, *(one for one in ENDS if one is not first and one is not close_client)):
        person = await api.person()
        device = await api.sign_in(person, client=client)
        assert await api.is_active(device.access_token)
        if second is not None and first is close_client:
            await second(api, device, client)
        await first(api, device, client)
        if second is not None and first is not close_client:
            await second(api, device, client)
        assert await api.goes_inactive(device.access_token)
        if first is close_client:
            await api.clients.enable(client)
            await api.settled()
            still = await api.is_active(device.access_token)
            assert still == (second is None), "what else had ended stays ended"


# -- what is not here ---------------------------------------------------------------------------------


async def test_WB_5_no_frame_of_ours_takes_messages_from_other_pages(api, spa):
    """Session management by an iframe is not offered, and no page of ours may be framed."""
    document = (await api.get("/.well-known/openid-configuration")).json()
    assert not {name for name in document if "iframe" in name}
    page = await Browserless(api).authorize(spa)
    assert "postMessage" not in page.text
    assert "<iframe" not in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


PROBES = ("kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0")


@pytest.mark.parametrize(
    "spelling",
    [
        "{}/", "/{}", "{}//", "{};x", "{}%2f", "{}%00", "{}/.", "{}/..;/x", "/static/..{}",
        "/static/%2e%2e{}", "{}?/health/live", "{}#/.well-known/jwks.json", "{}/.well-known/jwks.json",
        "/.well-known/jwks.json{}", "{}.css",
    ],
)  # fmt: skip
async def test_OP_8_a_protected_door_opens_by_no_other_spelling_and_for_no_probe(api, spelling):
    device = await api.sign_in(await api.person())
    for path in ("/auth/me", "/auth/sessions", "/oauth2/userinfo", "/metrics", "/health/live"):
        for probe in PROBES:
            answer = await api.get(spelling.format(path), headers={"user-agent": probe})
            assert answer.status_code in {400, 401, 404}, (path, answer.status_code)
    exact = await api.get("/auth/me", headers=device.bearer)
    assert exact.status_code == 200


@pytest.mark.parametrize(
    "address",
    ["ada@evil.example@example.com", "ada@example.com@evil.example", "ada@@example.com",
     '"ada@example.com"@evil.example', "ada@example.com,eve@evil.example", "@example.com",
     "ada@example.com\x00@evil.example", "<ada@example.com>"],
)  # fmt: skip
async def test_CR_8_an_address_of_two_halves_too_many_is_nobodys(api, address):
    answer = await api.post("/auth/login", {"email": address, "password": PASSWORD})
    assert (answer.status_code, answer.json()["error"]) in {
        (401, "invalid_credentials"),
        (400, "invalid_request"),
    }
    added = api.keyturn("users", "add", address, "--json")
    assert added.returncode != 0


async def test_DS_6_an_id_in_an_address_is_an_id_or_nothing(api):
    device = await api.sign_in(await api.person())
    other = await api.sign_in(await api.person())
    bad = ["..", "../me", "../logout-all", str(other.session_id).replace("-", "") + "x", "*", "%",
           f"{device.session_id}/../{other.session_id}", f"{device.session_id}\x00", "1", "null"]  # fmt: skip
    for text in bad:
        answer = await api.post(
            f"/auth/sessions/{quote(text, safe='')}", device.credential, method="DELETE"
        )
        assert answer.status_code in {400, 404}, (text, answer.status_code)
    for one in (device, other):
        assert await api.is_active(one.access_token)


async def test_SS_1_no_parameter_of_a_refresh_makes_the_server_call_anybody(api):
    """Nothing listens where they lead; a server that tried would tell, or wait."""
    device = await api.sign_in(await api.person())
    inside = "http://127.0.0.1:9/x"
    names = ("logout_uri", "redirect_uri", "jwks_uri", "request_uri", "client_session_host",
             "client_session_state", "backchannel_logout_uri", "sector_identifier_uri")  # fmt: skip
    began = time.monotonic()
    answer = await api.refresh(device, **dict.fromkeys(names, inside))
    assert answer.status_code == 200
    assert time.monotonic() - began < 5
    row = await api.row(device)
    assert inside not in str(dict(row))


async def test_SS_2_a_request_uri_is_never_fetched(api, rp):
    """A listener that would hear of any attempt hears of none."""
    calls = []

    async def heard(reader, writer):
        calls.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(heard, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for name in ("request_uri", "request"):
            browser = Browserless(api)
            where = f"http://127.0.0.1:{port}/{name}"
            answer = await browser.authorize(rp, **{name: where})
            assert "code" not in answer.headers.get("location", "")
            machine = await api.token("machine", grant_type="client_credentials", **{name: where})
            assert machine.status_code in {200, 400}
    assert calls == []
