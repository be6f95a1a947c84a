"""Pushed authorization requests from outside (RFC 9126): AZ-10, and every rule of a request there."""

import asyncio
import html
import re
import time
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from keyturn.applications import public_app
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.parts import Parts
from keyturn.telemetry.logs import stderr_writer
from support.api import FOREIGN_ORIGIN, claims_of
from support.browserless import (
    CALLBACK,
    SPA,
    Browserless,
    forms_of,
    request_of,
    told,
)
from support.pushing import AUTHORIZE, PAR, is_over, push, pushed, uri_of, visit
from support.redirects import MUTATED

# -- what is pushed, and what a browser then brings -----------------------------------------------


async def test_AZ_10_a_pushed_request_is_a_handle_and_the_browser_brings_nothing_else(
    api, rp, browser
):
    answer = await push(api, rp, scope="openid orders.read", state="a&b=c#d ü", nonce="n" * 384)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"request_uri", "expires_in"}
    assert answer.json()["expires_in"] == 90
    page = await visit(browser, rp, uri_of(answer))
    back = told(await browser.through(page, await api.person()))
    assert back == {"code": back["code"], "state": "a&b=c#d ü", "iss": api.issuer}
    given = (await browser.redeem(rp, back["code"])).json()
    assert given["scope"] == "openid orders.read"
    assert claims_of(given["id_token"])["nonce"] == "n" * 384


async def test_AZ_10_handles_cannot_be_guessed_and_say_nothing(api, rp):
    uris = [await pushed(api, rp, login_hint="lovelace@example.com") for _ in range(20)]
    assert len({uri[-64:] for uri in uris}) == len({uri[35:57] for uri in uris}) == 20
    assert not any("lovelace" in uri or "example" in uri for uri in uris)


async def test_AZ_10_a_public_client_pushes_by_its_name(api, spa, browser):
    page = await visit(browser, spa, await pushed(api, spa))
    code = told(await browser.through(page, await api.person()))["code"]
    assert (await browser.redeem(spa, code)).status_code == 200


async def test_AZ_10_what_stands_beside_a_pushed_request_means_nothing(api, spa, browser):
    uri, evil = await pushed(api, spa, prompt="none"), "https://evil.example.net/"
    beside = {"redirect_uri": evil, "state": "x", "response_type": "token", "prompt": "login"}
    answer = told(await visit(browser, spa, uri, **beside))
    assert (answer["error"], answer["state"]) == ("login_required", "st-1")
    uri = await pushed(api, spa, prompt="none")
    pairs = [("client_id", spa), ("request_uri", uri), ("state", "a"), ("state", "b")]
    assert told(await browser.open(AUTHORIZE, pairs))["error"] == "login_required"


async def test_AZ_3_a_pushed_request_may_come_by_form(api, spa, browser):
    sent = {"client_id": spa, "request_uri": await pushed(api, spa)}
    page = await browser.follow(await browser.send("POST", AUTHORIZE, data=sent))
    assert "code" in told(await browser.through(page, await api.person()))


async def test_AZ_10_a_response_mode_is_pushed_with_the_rest(api, spa, browser):
    uri = await pushed(api, spa, prompt="none", response_mode="form_post")
    answer = await visit(browser, spa, uri)
    assert (answer.status_code, told(answer)["error"]) == (200, "login_required")


# -- once, at completion --------------------------------------------------------------------------


async def test_AZ_10_until_it_is_answered_it_may_be_visited_again(api, rp, browser):
    """FAPI: a browser may ask twice before anybody signs in; pages are reloaded."""
    person, uri = await api.person(), await pushed(api, rp)
    pages = [await visit(browser, rp, uri) for _ in range(2)]
    handle = {"request": forms_of(pages[0])["login"].fields["request"]}
    assert "login" in forms_of(await browser.open("/login", handle))
    page = await browser.sign_in(await visit(browser, rp, uri), person)
    assert "consent" in forms_of(page)
    assert "consent" in forms_of(await visit(browser, rp, uri)), "nobody has answered it"
    assert "code" in told(await browser.submit(page, "consent", "allow"))


async def test_AZ_10_a_code_uses_it_up_wherever_else_it_lies_open(api, spa, browser):
    person, uri, elsewhere = await api.person(), await pushed(api, spa), Browserless(api)
    tab, other = await visit(browser, spa, uri), await visit(elsewhere, spa, uri)
    assert "code" in told(await browser.through(await visit(browser, spa, uri), person))
    for one in (browser, elsewhere, Browserless(api)):
        assert is_over(await visit(one, spa, uri))
    assert is_over(await browser.submit(tab, "login", email=person.email, password="x" * 12))
    assert is_over(await elsewhere.sign_in(other, person))
    assert "code" in told(await browser.authorize(spa, prompt="none")), "its login goes on"


@pytest.mark.parametrize("signed_in", [False, True])
async def test_AZ_10_in_silence_it_is_used_up_by_a_code_and_by_a_refusal(
    api, spa, browser, signed_in
):
    """CVE-2026-96446: only answers that went through a page counted."""
    if signed_in:
        await browser.tokens(spa, await api.person())
    uri = await pushed(api, spa, prompt="none")
    answer = told(await visit(browser, spa, uri))
    assert ("code" in answer) is signed_in
    assert signed_in or answer["error"] == "login_required"
    assert is_over(await visit(browser, spa, uri))


async def test_AZ_10_who_is_signed_in_already_uses_it_up_without_any_page(api, spa, browser):
    await browser.tokens(spa, await api.person())
    uri = await pushed(api, spa)
    assert "code" in told(await visit(browser, spa, uri))
    assert is_over(await visit(browser, spa, uri))


async def test_AZ_10_saying_no_uses_it_up(api, rp, browser):
    person, uri = await api.person(), await pushed(api, rp)
    page = await browser.sign_in(await visit(browser, rp, uri), person)
    assert told(await browser.submit(page, "consent", "deny"))["error"] == "access_denied"
    assert is_over(await visit(browser, rp, uri))


async def test_AZ_10_another_person_than_hinted_uses_it_up(api, spa, browser):
    hint = (await browser.tokens(spa, await api.person()))["id_token"]
    other, uri = Browserless(api), await pushed(api, spa, id_token_hint=hint)
    page = await visit(other, spa, uri)
    assert told(await other.sign_in(page, await api.person()))["error"] == "login_required"
    assert is_over(await visit(other, spa, uri))


async def test_AZ_10_of_many_browsers_with_one_request_one_gets_a_code(api, spa, browser):
    await browser.tokens(spa, await api.person())
    login = {name: value for name, value in browser.cookies.items() if "login" in name}
    browsers = [Browserless(api, on=number % 2, cookies=dict(login)) for number in range(12)]
    uri = await pushed(api, spa)
    answers = await asyncio.gather(*(visit(one, spa, uri) for one in browsers))
    codes = [told(one)["code"] for one in answers if one.status_code == 303]
    assert len(codes) == 1
    assert all(is_over(one) for one in answers if one.status_code != 303)
    assert (await browsers[0].redeem(spa, codes[0])).status_code == 200


# -- whose, and for how long ----------------------------------------------------------------------


async def aged(api, client_id, seconds):
    """Return a pushed request that is good for so many seconds only."""
    kept = api.operator.pushed_requests
    asked = await kept.find(await pushed(api, client_id), client_id)
    return await replace(kept, lifetime=timedelta(seconds=seconds)).push(
        replace(asked, pushed=None)
    )


async def test_AZ_10_an_expired_one_is_a_page(api, rp, browser):
    assert is_over(await visit(browser, rp, await aged(api, rp, 0)))
    assert is_over(await visit(browser, rp, await aged(api, rp, -60)))


async def test_AZ_10_its_time_is_for_the_browser_to_come_and_not_for_the_person(api, spa, browser):
    uri, person = await aged(api, spa, 1.5), await api.person()
    page = await visit(browser, spa, uri)
    deadline = time.monotonic() + 30
    while "login" in forms_of(answer := await visit(browser, spa, uri)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert is_over(answer)
    assert "code" in told(await browser.sign_in(page, person))


async def test_AZ_10_it_is_good_for_the_client_that_pushed_it_alone(api, rp, spa, browser):
    uri = await pushed(api, rp)
    for other in (spa, "nobody", "", "app"):
        assert is_over(await visit(browser, other, uri))
    assert is_over(await browser.open(AUTHORIZE, {"request_uri": uri}))
    twice = [("client_id", rp), ("client_id", rp), ("request_uri", uri)]
    assert is_over(await browser.open(AUTHORIZE, twice))
    assert "login" in forms_of(await visit(browser, rp, uri)), "nothing of that used it up"


@pytest.mark.parametrize(
    "change",
    ["", "x", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "." * 7000],
)
async def test_AZ_10_what_nobody_pushed_is_a_page(api, rp, browser, change):
    prefix, _, handle = (await pushed(api, rp)).rpartition(":")
    for made in (f"{prefix}:{change}", f"{prefix}:{handle}{change or '='}"):
        answer = await visit(browser, rp, made)
        assert answer.status_code == 414 or is_over(answer)
    flipped = ("A" if handle[30] != "A" else "B").join([handle[:30], handle[31:]])
    assert is_over(await visit(browser, rp, f"{prefix}:{flipped}"))


async def test_RU_3_a_client_that_changed_meanwhile_sends_nobody_anywhere(api, browser):
    client_id = await api.client(SPA)
    uri = await pushed(api, client_id)
    await api.redefine(client_id, {**SPA, "redirect_uris": [f"{CALLBACK}/new"]})
    assert is_over(await visit(browser, client_id, uri))
    uri = await pushed(api, client_id, redirect_uri=f"{CALLBACK}/new")
    await api.clients.disable(client_id)
    await api.settled()
    assert is_over(await visit(browser, client_id, uri))


# -- who may push, and how ------------------------------------------------------------------------


async def test_CA_4_a_confidential_client_does_not_push_by_its_name_alone(api, rp):
    answer = await api.callers[0].post(PAR, data=request_of(rp))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    answer = await api.callers[0].post(PAR, data=request_of(rp), auth=(rp, "kts_wrong"))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    answer = await api.callers[0].post(PAR, data=request_of("nobody"))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_CA_4_a_client_pushes_in_its_own_name_only(api, rp, spa):
    answer = await api.form(PAR, rp, **request_of(spa))
    assert await api.refusal(answer) == (
        400, "invalid_request", "client: the form names another client than Basic",
    )  # fmt: skip
    unnamed = {name: value for name, value in request_of(rp).items() if name != "client_id"}
    answer = await api.form(PAR, rp, **unnamed)
    assert answer.status_code == 201, "Basic has said who it is"


async def test_AZ_10_a_pushed_request_names_no_other_request(api, rp):
    for uri in (await pushed(api, rp), "https://evil.example.net/request", "x"):
        answer = await push(api, rp, request_uri=uri)
        assert (await api.refusal(answer))[:2] == (400, "invalid_request")


async def test_AZ_10_only_a_form_by_post_is_taken(api, rp):
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = await api.callers[0].request(method, PAR, params={"x": "1"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    auth = (rp, api.secrets[rp])
    answer = await api.callers[0].post(PAR, json=request_of(rp), auth=auth)
    assert answer.status_code == 415
    answer = await api.callers[0].post(PAR, params={"client_id": rp}, data=request_of(rp))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await push(api, rp, state="s" * 17000)).status_code == 413


async def test_WB_11_the_clients_own_pages_may_push_and_read_what_came_of_it(api, spa):
    for origin, readable in ((SPA["origins"][0], True), (FOREIGN_ORIGIN, False), ("null", False)):
        answer = await api.form(PAR, spa, headers={"origin": origin}, **request_of(spa))
        assert answer.status_code == 201
        assert (answer.headers.get("access-control-allow-origin") == origin) is readable
        assert "access-control-allow-credentials" not in answer.headers
        assert "origin" in answer.headers["vary"].lower()


# -- every rule of a request holds for a pushed one -----------------------------------------------


@pytest.mark.parametrize("uri", MUTATED.values(), ids=MUTATED)
async def test_RU_1_a_redirect_uri_that_is_not_the_registered_bytes_is_not_pushed(api, rp, uri):
    answer = await push(api, rp, redirect_uri=uri)
    assert (await api.refusal(answer))[:2] == (400, "invalid_request")
    assert "location" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_RU_2_a_native_app_pushes_any_port_and_nothing_else(api, browser, host):
    client_id = await api.client({**SPA, "redirect_uris": [f"http://{host}/p"]})
    uri = f"http://{host}:52001/p"
    request = await pushed(api, client_id, redirect_uri=uri, prompt="none")
    assert told(await visit(browser, client_id, request), uri)["error"] == "login_required"
    for wrong in (f"{uri}?q=1", f"https://{host}:52001/p", "http://localhost:52001/p"):
        assert (await push(api, client_id, redirect_uri=wrong)).status_code == 400


REFUSED = {
    "AZ-1 token": ({"response_type": "token"}, "unsupported_response_type"),
    "AZ-1 hybrid": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "AZ-1 missing": ({"response_type": None}, "invalid_request"),
    "AZ-6 state": ({"state": "s" * 2049}, "invalid_request"),
    "AZ-6 nonce": ({"nonce": "n" * 2049}, "invalid_request"),
    "AZ-6 NUL": ({"state": "a\0b"}, "invalid_request"),
    "AZ-8 fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "AZ-11 prompt": ({"prompt": "none login"}, "invalid_request"),
    "AZ-11 max_age": ({"max_age": "soon"}, "invalid_request"),
    "AZ-12 hint": ({"id_token_hint": "a.b.c"}, "invalid_request"),
    "PK-1 missing": ({"code_challenge": None}, "invalid_request"),
    "PK-1 short": ({"code_challenge": "x" * 42}, "invalid_request"),
    "PK-1 plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "PK-1 unnamed": ({"code_challenge_method": None}, "invalid_request"),
    "RU-3 no redirect_uri": ({"redirect_uri": None}, "invalid_request"),
    "scope": ({"scope": "openid nothing"}, "invalid_scope"),
    "resource": ({"resource": "https://evil.example.net"}, "invalid_target"),
    "claims": ({"claims": "[]"}, "invalid_request"),
}


@pytest.mark.parametrize(("changes", "error"), REFUSED.values(), ids=REFUSED)
async def test_AZ_a_request_that_a_browser_could_not_bring_is_not_pushed(api, rp, changes, error):
    answer = await push(api, rp, **changes)
    assert (await api.refusal(answer))[:2] == (400, error)
    assert "location" not in answer.headers


@pytest.mark.parametrize("name", ["redirect_uri", "state", "scope", "unknown", "client_id"])
async def test_AZ_2_a_repeated_parameter_is_refused(api, spa, name):
    fields = {**request_of(spa, unknown="1")}
    doubled = {one: [value, value] if one == name else value for one, value in fields.items()}
    answer = await api.callers[0].post(PAR, data=doubled)
    assert (await api.refusal(answer))[:2] == (400, "invalid_request")


async def test_a_client_without_the_code_flow_pushes_nothing(api):
    answer = await push(api, "machine")
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_request", "unauthorized_client"}


async def test_AZ_6_what_cannot_travel_is_refused_when_it_is_pushed(api, spa, browser):
    """And what is taken comes through every page."""
    import secrets

    state, nonce = secrets.token_urlsafe(1500), secrets.token_urlsafe(1500)
    page = await visit(browser, spa, await pushed(api, spa, state=state, nonce=nonce))
    answer = told(await browser.through(page, await api.person()))
    assert answer["state"] == state
    hint = secrets.token_urlsafe(1500)
    answer = await push(api, spa, state=state, nonce=nonce, login_hint=hint, acr_values=hint[::-1])
    assert await api.refusal(answer) == (
        400, "invalid_request", "parameters: too long together",
    )  # fmt: skip


# -- clients that must push -----------------------------------------------------------------------


async def test_AZ_10_a_client_that_must_push_does_not_come_otherwise(api, browser):
    client_id = await api.client({**SPA, "require_par": True})
    for prompt in ("none", None):
        answer = await browser.authorize(client_id, prompt=prompt)
        assert told(answer)["error"] == "invalid_request"
        assert (told(answer)["state"], told(answer)["iss"]) == ("st-1", api.issuer)
    posted = await browser.send("POST", AUTHORIZE, data=request_of(client_id))
    assert told(posted)["error"] == "invalid_request"
    evil = request_of(client_id, redirect_uri="https://evil.example.net/")
    assert is_over(await browser.open(AUTHORIZE, evil))
    page = await visit(browser, client_id, await pushed(api, client_id))
    assert "code" in told(await browser.through(page, await api.person()))


async def test_AZ_10_a_server_may_make_every_client_push(api, spa):
    settings = load_settings(
        {
            **api.settings,
            "KEYTURN_PUSHED_REQUESTS__REQUIRED": "true",
            "KEYTURN_PUSHED_REQUESTS__LIFETIME": "60",
        }
    )
    parts = Parts.of(settings, SystemClock())
    transport = httpx2.ASGITransport(app=public_app(parts, stderr_writer()))
    async with httpx2.AsyncClient(transport=transport, base_url=api.issuer) as caller:
        answer = await caller.get(AUTHORIZE, params=request_of(spa))
        assert told(answer)["error"] == "invalid_request"
        answer = await caller.post(PAR, data=request_of(spa, prompt="none"))
        assert answer.json()["expires_in"] == 60
        sent = {"client_id": spa, "request_uri": uri_of(answer)}
        assert told(await caller.get(AUTHORIZE, params=sent))["error"] == "login_required"
        metadata = (await caller.get("/.well-known/openid-configuration")).json()
        assert metadata["require_pushed_authorization_requests"] is True
    await parts.close()


async def test_AZ_9_metadata_say_where_to_push_and_that_nobody_has_to(api):
    metadata = (await api.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["pushed_authorization_request_endpoint"] == f"{api.issuer}{PAR}"
    assert metadata["require_pushed_authorization_requests"] is False
    assert metadata["request_uri_parameter_supported"] is False


# -- what it is not, what it leaves, and what is counted ------------------------------------------


async def test_AC_6_a_pushed_request_is_good_nowhere_else_and_nothing_else_is_good_for_one(
    api, spa, browser
):
    uri, person = await pushed(api, spa), await api.person()
    handle = uri.rpartition(":")[2]
    for token in (uri, handle):
        answers = [
            await browser.redeem(spa, token),
            await api.token(spa, grant_type="refresh_token", refresh_token=token),
        ]
        for answer in answers:
            assert (await api.refusal(answer))[:2] == (400, "invalid_grant")
        page = await visit(browser, spa, uri)
        forged = Browserless(api, cookies=dict.fromkeys(browser.cookies, spa))
        for one in (browser, forged):
            for path in ("/login", "/consent", "/oauth2/authorize/resume"):
                assert is_over(await one.open(path, {"request": token}))
    in_progress = forms_of(page)["login"].fields["request"]
    code = told(await browser.through(page, person))["code"]
    for other in (code, in_progress):
        assert is_over(await visit(browser, spa, f"{uri.removesuffix(handle)}{other}"))
    assert (await browser.redeem(spa, code)).status_code == 200


async def test_RL_3_whoever_pushes_leaves_no_row(api, spa, rp):
    rows = "select count(*) from authorization_requests"
    before = await api.sql.fetchval(rows)
    for number in range(8):
        await visit(Browserless(api), spa, await pushed(api, spa, state=str(number)))
        await pushed(api, rp, state=str(number))
    assert await api.sql.fetchval(rows) == before


async def test_every_push_is_counted_by_what_was_answered(api, rp, browser):
    def counted(result):
        return api.metric("keyturn_pushed_requests_total", result=result)

    ends = {"ok": {}, "invalid_scope": {"scope": "x"}, "invalid_request": {"prompt": "x"}}
    for result, changes in ends.items():
        before = counted(result)
        await push(api, rp, **changes)
        assert counted(result) == before + 1
    before = api.metric("keyturn_authorizations_total", result="invalid_request_uri")
    await visit(browser, rp, "urn:ietf:params:oauth:request_uri:x")
    after = api.metric("keyturn_authorizations_total", result="invalid_request_uri")
    assert after == before + 1


# -- while something is away ----------------------------------------------------------------------

KILL = """
create function die_pushed() returns trigger language plpgsql as
$$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
create trigger die_pushed before insert on authorization_codes for each row
  when (new.user_id = '{}') execute function die_pushed()
"""


@pytest.mark.parametrize("signed_in", [False, True])
async def test_a_fault_between_the_answer_and_its_code_leaves_the_request_as_it_was(
    api, spa, browser, signed_in
):
    person = await api.person()
    if signed_in:
        await browser.tokens(spa, person)
    uri = await pushed(api, spa)
    await api.sql.execute(KILL.format(person.id))
    try:
        page = await visit(browser, spa, uri)
        answer = page if signed_in else await browser.sign_in(page, person)
        assert answer.status_code == 503
        (again,) = re.findall(r'id="again" href="([^"]+)"', answer.text)
    finally:
        await api.sql.execute("drop function die_pushed() cascade")
    assert "code" in told(await browser.open(html.unescape(again)))
    assert is_over(await visit(browser, spa, uri))


async def test_while_the_database_is_away_a_push_is_503_and_a_pushed_request_waits(
    api, spa, browser
):
    uri = await pushed(api, spa)
    nowhere = {**api.settings, "KEYTURN_POSTGRES__URL": "postgresql://127.0.0.1:1/nowhere"}
    parts = Parts.of(load_settings(nowhere), SystemClock())
    transport = httpx2.ASGITransport(app=public_app(parts, stderr_writer()))
    async with httpx2.AsyncClient(transport=transport, base_url=api.issuer) as caller:
        refused = await caller.post(PAR, data=request_of(spa))
        sent = {"client_id": spa, "request_uri": uri}
        page = await caller.get(AUTHORIZE, params=sent)
    await parts.close()
    assert refused.json()["error"] == "temporarily_unavailable"
    for answer in (refused, page):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "location" not in answer.headers
    (again,) = re.findall(r'id="again" href="([^"]+)"', page.text)
    page = await browser.open(html.unescape(again))
    assert "code" in told(await browser.through(page, await api.person()))
