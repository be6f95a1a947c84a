"""The authorization endpoint from outside: RU, AZ and PK of the requirements, by their ids."""

import asyncio
import hashlib
import html
import json
import re
from collections import Counter
from secrets import token_urlsafe

import httpx2
import pytest

from support.api import FOREIGN_ORIGIN, claims_of
from support.browserless import (
    CALLBACK,
    SITE,
    SPA,
    VERIFIER,
    Browserless,
    challenge_of,
    forms_of,
    request_of,
    told,
)
from support.forging import b64
from support.redirects import MUTATED
from support.replicas import AUDIENCE

AUTHORIZE = "/oauth2/authorize"


def is_page(answer, status=400):
    """Whether an answer is a page that sends nobody anywhere."""
    assert answer.status_code == status, (answer.status_code, answer.headers.get("location"))
    assert answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers
    assert "answer" not in forms_of(answer)
    assert answer.headers["x-request-id"] in answer.text
    return True


async def ask(api, parameters, **options):
    return await api.get(AUTHORIZE, params=parameters, **options)


async def refused(api, client_id, **changes):
    """Return the error that a request is answered with, at the client."""
    answer = told(await ask(api, request_of(client_id, **changes)))
    assert set(answer) <= {"error", "error_description", "state", "iss"}
    assert answer["iss"] == api.issuer
    assert not set(answer["error_description"]) & set('"\\\r\n\t')
    return answer["error"]


# -- RU: where answers go -------------------------------------------------------------------------


@pytest.mark.parametrize("uri", MUTATED.values(), ids=MUTATED)
async def test_RU_1_a_redirect_uri_that_is_not_the_registered_bytes_gets_a_page(api, rp, uri):
    assert is_page(await ask(api, request_of(rp, redirect_uri=uri)))
    assert is_page(await ask(api, request_of(rp, redirect_uri=uri, prompt="none")))


async def test_RU_1_the_registered_bytes_are_answered(api, rp):
    assert await refused(api, rp, prompt="none") == "login_required"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_RU_2_a_native_app_listens_on_any_port_and_on_nothing_else(api, host):
    registered = f"http://{host}/p"
    client_id = await api.client({**SPA, "redirect_uris": [registered]})
    for port in ("", ":1", ":52001", ":65535"):
        uri = f"http://{host}{port}/p"
        answer = await ask(api, request_of(client_id, redirect_uri=uri, prompt="none"))
        assert told(answer, uri)["error"] == "login_required"
    for uri in (
        f"http://{host}:52001/p?q=1",
        f"http://{host}:52001/P",
        f"http://{host}:52001/p/",
        f"https://{host}:52001/p",
        f"http://{host}:99999/p",
        f"http://{host}:/p",
        f"http://{host}:1:2/p",
        "http://localhost:52001/p",
        "http://127.0.0.2:52001/p",
        "http://127.1:52001/p",
        f"http://user@{host}:52001/p",
    ):
        assert is_page(await ask(api, request_of(client_id, redirect_uri=uri))), uri


async def test_RU_3_client_and_redirect_uri_are_decided_before_anything_else(api, rp):
    evil = "https://evil.example.net/"
    for parameters in (
        request_of("nobody", response_type="bogus", redirect_uri=evil),
        request_of(rp, response_type="bogus", redirect_uri=evil),
        request_of(rp, response_type="bogus", redirect_uri=None),
        {"redirect_uri": evil},
        {"client_id": rp},
        {},
        request_of(""),
        request_of("x" * 5000),
    ):
        assert is_page(await ask(api, parameters)), parameters


async def test_RU_3_a_disabled_client_sends_nobody_anywhere(api):
    client_id = await api.client(SITE)
    await api.clients.disable(client_id)
    await api.settled()
    assert is_page(await ask(api, request_of(client_id)))


UNFIT = [
    "https://app.example.com/callback#f",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "vbscript:msgbox",
    "http://app.example.com/callback",
    "https://user@app.example.com/callback",
    "https://*.example.com/callback",
    "https:///callback",
    "//app.example.com/callback",
    "app.example.com",
    "myapp:/callback",
    "https://app.example.com/call back",
]


async def test_RU_4_an_address_that_is_not_fit_for_codes_is_never_registered(api):
    described = ["clients", "add", "unfit", "--grant", "authorization_code", "--json"]
    described += ["--audience", AUDIENCE, "--redirect-uri", CALLBACK]
    for uri in UNFIT:
        described += ["--redirect-uri", uri]
    done = api.keyturn(*described)
    assert done.returncode == 1
    refused = {one["path"] for one in json.loads(done.stdout)["problems"]}
    assert refused == {f"redirect_uris[{number}]" for number in range(1, len(UNFIT) + 1)}
    assert is_page(await ask(api, request_of("unfit")))


# -- AZ: the request and its answer ---------------------------------------------------------------


async def test_AZ_1_only_code_is_answered(api, rp):
    for kind in ("token", "id_token", "code id_token", "code token", "none", "CODE", "code code"):
        assert await refused(api, rp, response_type=kind) == "unsupported_response_type", kind
    assert await refused(api, rp, response_type=None) == "invalid_request"
    assert await refused(api, rp, response_type="") == "invalid_request"


async def test_AZ_1_state_and_issuer_come_back_with_a_refusal(api, rp):
    answer = told(await ask(api, request_of(rp, response_type="token", state="a&b=c#d ü")))
    assert (answer["state"], answer["iss"]) == ("a&b=c#d ü", api.issuer)
    answer = told(await ask(api, request_of(rp, response_type="token", state=None)))
    assert "state" not in answer


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_AZ_2_a_repeated_client_or_redirect_uri_is_a_page(api, rp, name):
    pairs = list(request_of(rp).items())
    assert is_page(await ask(api, [*pairs, (name, dict(pairs)[name])]))
    assert is_page(await ask(api, [*pairs, (name, "")]))


@pytest.mark.parametrize("name", ["scope", "state", "code_challenge", "nonce", "unknown", "prompt"])
async def test_AZ_2_any_other_repeated_parameter_is_told_to_the_client(api, rp, name):
    pairs = [*request_of(rp, unknown="1", prompt="none").items(), (name, "1")]
    answer = told(await ask(api, pairs))
    assert answer["error"] == "invalid_request"
    assert ("state" in answer) == (name != "state")


async def test_AZ_3_unknown_parameters_and_order_mean_nothing_and_post_is_get(api, rp, browser):
    person = await api.person()
    code = await browser.code(rp, person, scope="orders.read openid", extra="foobar")
    assert (await browser.redeem(rp, code)).json()["scope"] == "openid orders.read"
    backwards = dict(reversed(request_of(rp, scope="openid orders.read").items()))
    answer = await browser.open(AUTHORIZE, backwards)
    assert "code" in told(answer)
    posted = await browser.send("POST", AUTHORIZE, data=request_of(rp, scope="openid"))
    assert "code" in told(posted)


async def test_AZ_3_a_form_from_another_site_comes_again_with_the_cookies_it_lacked(api, rp):
    """Browsers keep `SameSite=Lax` cookies back from it; sent on by GET, they are there."""
    person, browser = await api.person(), Browserless(api)
    await browser.code(rp, person)
    kept, browser.cookies = browser.cookies, {}
    cross_site = {"sec-fetch-site": "cross-site"}
    answer = await browser.send(
        "POST", AUTHORIZE, data=request_of(rp, prompt="none"), headers=cross_site
    )
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{api.issuer}{AUTHORIZE}?")
    assert "set-cookie" not in answer.headers
    browser.cookies = kept
    assert "code" in told(await browser.follow(answer))


async def test_AZ_4_every_redirect_after_a_form_is_a_303(api, rp, browser):
    person = await api.person()
    page = await browser.authorize(rp)
    answer = await browser.press(page, "login", email=person.email, password=person.password)
    assert answer.status_code == 303
    page = await browser.follow(answer)
    answer = await browser.press(page, "consent", "allow")
    assert answer.status_code == 303
    back = await browser.follow(answer)
    assert (back.status_code, back.headers["referrer-policy"]) == (303, "no-referrer")
    assert back.headers["cache-control"] == "no-store"


async def test_AZ_5_every_answer_says_who_it_is_from(api, rp, browser):
    metadata = (await api.get("/.well-known/openid-configuration")).json()
    assert metadata["authorization_response_iss_parameter_supported"] is True
    person = await api.person()
    answer = told(await browser.granted(rp, person))
    assert answer == {"code": answer["code"], "state": "st-1", "iss": metadata["issuer"]}
    assert told(await browser.authorize(rp, scope="nothing"))["iss"] == metadata["issuer"]


@pytest.mark.parametrize("mode", ["query", "form_post"])
async def test_AZ_6_state_and_nonce_come_back_as_they_were(api, spa, browser, mode):
    """However little a sealed request can be packed: both travel through every page."""
    person, state, nonce = await api.person(), f"{token_urlsafe(1500)}<&\"'>", token_urlsafe(1500)
    answer = told(await browser.granted(spa, person, state=state, nonce=nonce, response_mode=mode))
    assert answer["state"] == state
    given = (await browser.redeem(spa, answer["code"])).json()
    assert claims_of(given["id_token"])["nonce"] == nonce


async def test_AZ_6_what_is_too_long_is_refused_and_never_cut(api, rp):
    assert await refused(api, rp, nonce="n" * 2049) == "invalid_request"
    answer = told(await ask(api, request_of(rp, state="s" * 2049)))
    assert (answer["error"], answer["state"]) == ("invalid_request", "s" * 2049)
    assert (await ask(api, request_of(rp, state="s" * 9000))).status_code == 414


@pytest.mark.parametrize("path", [AUTHORIZE, "/login", "/consent", "/oauth2/logout", "/logout"])
async def test_AZ_7_no_page_of_another_origin_may_read_these(api, rp, path):
    answers = [
        await api.get(path, params=request_of(rp), headers={"origin": SITE["origins"][0]}),
        await api.callers[0].request(
            "OPTIONS",
            path,
            headers={"origin": FOREIGN_ORIGIN, "access-control-request-method": "GET"},
        ),
    ]
    for answer in answers:
        assert [name for name in answer.headers if name.startswith("access-control-")] == []


async def test_AZ_8_a_refusal_in_a_form_goes_only_where_the_client_is(api, rp):
    answer = await ask(api, request_of(rp, response_mode="form_post", prompt="none"))
    assert told(answer) == {
        "error": "login_required",
        "error_description": "The person must sign in.",
        "state": "st-1",
        "iss": api.issuer,
    }


async def test_AZ_8_a_response_mode_that_is_not_the_clients_is_refused_by_query(api):
    client_id = await api.client({**SITE, "response_modes": ["query"]})
    for mode in ("form_post", "fragment", "jwt"):
        answer = await ask(api, request_of(client_id, response_mode=mode))
        assert answer.status_code == 303
        assert told(answer)["error"] == "invalid_request"


async def test_AZ_9_request_objects_are_refused_and_the_metadata_say_so(api, rp):
    metadata = (await api.get("/.well-known/openid-configuration")).json()
    assert metadata["request_parameter_supported"] is False
    assert metadata["request_uri_parameter_supported"] is False
    assert await refused(api, rp, request="eyJhbGciOiJub25lIn0.e30.") == "request_not_supported"
    uri = "https://evil.example.net/request"
    assert await refused(api, rp, request_uri=uri) == "request_uri_not_supported"


async def back_date(api, person, seconds):
    """Let the person have signed in so many seconds ago."""
    await api.sql.execute(
        "update logins set auth_time = auth_time - make_interval(secs => $2) where user_id = $1",
        person.id,
        seconds,
    )


async def test_AZ_11_no_page_is_shown_when_none_may_be(api, rp, browser):
    person = await api.person()
    assert told(await browser.authorize(rp, prompt="none"))["error"] == "login_required"
    page = await browser.authorize(rp)
    page = await browser.sign_in(page, person)
    assert "consent" in forms_of(page)
    assert told(await browser.authorize(rp, prompt="none"))["error"] == "consent_required"
    first = claims_of((await browser.tokens(rp, person))["id_token"])
    silent = told(await browser.authorize(rp, prompt="none"))
    second = claims_of((await browser.redeem(rp, silent["code"])).json()["id_token"])
    assert (first["sub"], first["auth_time"]) == (second["sub"], second["auth_time"])
    assert first["sid"] != second["sid"]


async def test_AZ_11_a_new_login_is_demanded_and_moves_auth_time(api, spa, browser):
    person = await api.person()
    first = claims_of((await browser.tokens(spa, person))["id_token"])
    await back_date(api, person, 3600)
    page = await browser.authorize(spa, prompt="login")
    assert "login" in forms_of(page)
    # Looked at and left: nothing has changed.
    silent = told(await browser.authorize(spa, prompt="none"))
    kept = claims_of((await browser.redeem(spa, silent["code"])).json()["id_token"])
    assert kept["auth_time"] == first["auth_time"] - 3600
    before = dict(browser.cookies)
    answer = told(await browser.sign_in(page, person))
    again = claims_of((await browser.redeem(spa, answer["code"])).json()["id_token"])
    assert again["auth_time"] >= first["auth_time"]
    assert browser.cookies != before, "a new proof, a new cookie"


async def test_AZ_11_max_age_is_honoured(api, spa, browser):
    person = await api.person()
    first = claims_of((await browser.tokens(spa, person))["id_token"])
    await back_date(api, person, 60)
    answer = told(await browser.authorize(spa, max_age="10000"))
    silent = claims_of((await browser.redeem(spa, answer["code"])).json()["id_token"])
    assert silent["auth_time"] == first["auth_time"] - 60
    assert told(await browser.authorize(spa, max_age="1", prompt="none"))["error"] == (
        "login_required"
    )
    for seconds in ("1", "0"):
        page = await browser.authorize(spa, max_age=seconds)
        assert "login" in forms_of(page)
        answer = told(await browser.sign_in(page, person))
        again = claims_of((await browser.redeem(spa, answer["code"])).json()["id_token"])
        assert again["auth_time"] > silent["auth_time"]
        await back_date(api, person, 60)


@pytest.mark.parametrize("prompt", ["none login", "create", "NONE"])
async def test_AZ_11_a_prompt_that_contradicts_itself_is_refused(api, rp, prompt):
    assert await refused(api, rp, prompt=prompt) == "invalid_request"


async def test_AZ_11_consent_is_asked_for_again_when_the_client_wants_it(api, spa, browser):
    person = await api.person()
    await browser.tokens(spa, person)
    page = await browser.authorize(spa, prompt="consent")
    assert "consent" in forms_of(page)
    assert "code" in told(await browser.submit(page, "consent", "allow"))
    page = await browser.authorize(spa, prompt="consent")
    assert told(await browser.submit(page, "consent", "deny"))["error"] == "access_denied"


async def test_AZ_11_an_acr_nobody_reaches_is_an_error_only_when_essential(api, spa, browser):
    unknown = '{"id_token": {"acr": {"essential": %s, "values": ["urn:example:gold"]}}}'
    essential = await refused(api, spa, claims=unknown % "true")
    assert essential == "unmet_authentication_requirements"
    person = await api.person()
    await browser.tokens(spa, person, claims=unknown % "false", acr_values="urn:example:gold 1")


async def test_AZ_12_a_hint_never_switches_accounts(api, spa, browser):
    ada, bob = await api.person(), await api.person()
    hint = (await browser.tokens(spa, ada))["id_token"]
    assert "code" in told(await browser.authorize(spa, prompt="none", id_token_hint=hint))
    other = Browserless(api)
    await other.tokens(spa, bob)
    for prompt in ("none", None):
        answer = told(await other.authorize(spa, prompt=prompt, id_token_hint=hint))
        assert answer["error"] == "login_required"
    claims = f'{{"id_token": {{"sub": {{"value": "{ada.id}"}}}}}}'
    assert told(await other.authorize(spa, claims=claims))["error"] == "login_required"
    assert "code" in told(await other.authorize(spa, login_hint=ada.email, prompt="none"))


@pytest.mark.parametrize("hint", ["x", "a.b.c", "access", "none"])
async def test_AZ_12_what_is_no_id_token_of_ours_is_no_hint(api, spa, browser, hint):
    given = await browser.tokens(spa, await api.person())
    unsigned = f"{b64({'alg': 'none', 'typ': 'JWT'})}.{given['id_token'].split('.')[1]}."
    sent = {"access": given["access_token"], "none": unsigned}.get(hint, hint)
    answer = told(await browser.authorize(spa, prompt="none", id_token_hint=sent))
    assert answer["error"] == "invalid_request"


# -- PK: proof keys -------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["rp", "spa"])
async def test_PK_1_a_challenge_by_s256_is_demanded_of_everybody(api, request, client):
    client_id = request.getfixturevalue(client)
    for changes in (
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": "s256"},
        {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
    ):
        assert await refused(api, client_id, **changes) == "invalid_request", changes


@pytest.mark.parametrize(
    "challenge", ["a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "+", "ü" * 43]
)
async def test_PK_2_a_challenge_has_43_characters_of_base64url(api, rp, challenge):
    assert await refused(api, rp, code_challenge=challenge) == "invalid_request"


@pytest.mark.parametrize(
    ("verifier", "accepted"),
    [("a" * 42, False), ("a" * 43, True), ("a-._~" * 25 + "abc", True), ("a" * 129, False),
     ("a" * 42 + "+", False), ("a" * 42 + "ü", False)],
)  # fmt: skip
async def test_PK_2_a_verifier_has_43_to_128_unreserved_characters(
    api, spa, browser, verifier, accepted
):
    person = await api.person()
    code = await browser.code(spa, person, code_challenge=challenge_of(verifier))
    answer = await browser.redeem(spa, code, code_verifier=verifier)
    assert (answer.status_code == 200) is accepted
    assert accepted or answer.json()["error"] == "invalid_grant"


async def test_PK_3_no_downgrade_in_either_direction(api, browser):
    lax = await api.client({**SITE, "require_pkce": False})
    person = await api.person()
    bare = {"code_challenge": None, "code_challenge_method": None}
    code = await browser.code(lax, person, **bare)
    assert (await browser.redeem(lax, code)).json()["error"] == "invalid_grant"
    assert (await browser.redeem(lax, code, code_verifier=None)).status_code == 200
    for verifier in (None, "", "b" * 43):
        code = await browser.code(lax, person)
        answer = await browser.redeem(lax, code, code_verifier=verifier)
        assert answer.json()["error"] == "invalid_grant"


async def test_PK_3_without_a_challenge_a_nonce_is_demanded(api):
    lax = await api.client({**SITE, "require_pkce": False})
    bare = {"code_challenge": None, "code_challenge_method": None}
    assert await refused(api, lax, nonce=None, **bare) == "invalid_request"
    assert await refused(api, lax, prompt="none", **bare) == "login_required"
    only_method = {"code_challenge": None, "code_challenge_method": "S256"}
    assert await refused(api, lax, **only_method) == "invalid_request"


async def test_PK_4_the_metadata_list_s256_alone(api):
    metadata = (await api.get("/.well-known/openid-configuration")).json()
    assert metadata["code_challenge_methods_supported"] == ["S256"]


# -- what a client may have -----------------------------------------------------------------------


async def test_TK_8_scopes_and_resources_never_exceed_what_the_client_may_have(api, rp):
    assert await refused(api, rp, scope="openid admin") == "invalid_scope"
    assert await refused(api, rp, scope="openid  openid") == "invalid_scope"
    assert await refused(api, rp, resource="https://billing.example.com") == "invalid_target"


async def test_what_is_about_a_person_is_never_given_unasked(api, rp, browser):
    given = await browser.tokens(rp, await api.person(), scope=None)
    assert given["scope"] == "orders.read orders.write"
    assert "id_token" not in given
    assert claims_of(given["access_token"])["aud"] == AUDIENCE


async def test_a_client_without_the_grant_is_told_so(api):
    """The two go together in every description of a client; a row may still say otherwise."""
    client_id = await api.client(SITE)
    await api.sql.execute(
        "update clients set grant_types = '{refresh_token}', updated_at = now() where id = $1",
        client_id,
    )
    await api.settled()
    assert await refused(api, client_id) == "unauthorized_client"


# -- between the pages ----------------------------------------------------------------------------


async def test_WB_2_a_request_begun_in_one_browser_is_not_finished_in_another(api, rp, browser):
    person, other = await api.person(), Browserless(api)
    page = await browser.authorize(rp)
    handle = forms_of(page)["login"].fields["request"]
    await other.tokens(rp, person)
    for thief in (other, Browserless(api)):
        answer = await thief.open("/oauth2/authorize/resume", {"request": handle})
        assert is_page(answer)
    page = await browser.sign_in(page, person)
    assert "code" in told(await browser.granted(rp, person))


@pytest.mark.parametrize("handle", [None, "", "x", "0" * 43, "x" * 5000])
async def test_WB_3_a_handle_nobody_gave_out_ends_in_a_page(api, rp, browser, handle):
    await browser.authorize(rp)
    sent = {} if handle is None else {"request": handle}
    assert is_page(await browser.open("/oauth2/authorize/resume", sent))


async def test_a_request_gives_one_code_however_often_it_is_resumed(api, rp, browser):
    person = await api.person()
    page = await browser.sign_in(await browser.authorize(rp), person)
    handle = forms_of(page)["consent"].fields["request"]
    assert "code" in told(await browser.submit(page, "consent", "allow"))
    assert is_page(await browser.open("/oauth2/authorize/resume", {"request": handle}))
    assert is_page(await browser.submit(page, "consent", "allow"))


async def test_who_says_no_is_not_asked_again_by_the_back_button(api, rp, browser):
    page = await browser.sign_in(await browser.authorize(rp), await api.person())
    assert told(await browser.submit(page, "consent", "deny"))["error"] == "access_denied"
    assert is_page(await browser.submit(page, "consent", "allow"))


async def test_WB_10_a_public_client_without_a_verified_address_is_asked_every_time(api, browser):
    uri = "http://127.0.0.1/p"
    client_id = await api.client({**SPA, "skip_consent": False, "redirect_uris": [uri]})
    person = await api.person()
    for port in ("4001", "4002"):
        page = await browser.authorize(client_id, redirect_uri=f"http://127.0.0.1:{port}/p")
        page = await browser.sign_in(page, person) if "login" in forms_of(page) else page
        assert "consent" in forms_of(page)
        assert "code" in told(await browser.submit(page, "consent", "allow"), "http://127.0.0.1")


async def test_WB_10_consent_is_asked_for_when_scopes_grow_and_remembered_otherwise(
    api, rp, browser
):
    person = await api.person()
    await browser.tokens(rp, person, scope="openid")
    assert "code" in told(await browser.authorize(rp, scope="openid"))
    page = await browser.authorize(rp, scope="openid orders.read")
    assert "consent" in forms_of(page)
    await browser.submit(page, "consent", "allow")
    assert "code" in told(await browser.authorize(rp, scope="openid orders.read"))


async def test_trouble_with_the_database_is_our_page_and_uses_no_code_up(outage):
    """A client that heard of it would tell the person that the sign-in had failed."""
    api, pair = outage
    client_id, person, browser = await api.client(SITE), await api.person(), Browserless(api)
    code = await browser.code(client_id, person)
    newcomer, other = Browserless(api), await api.person()
    form = await newcomer.authorize(client_id)
    pair.postgres.kill()
    try:
        # P9: one way on, which brings the form again; the password stays with the person.
        answer = await newcomer.press(form, "login", email=other.email, password=other.password)
        assert is_page(answer, 503)
        (again,) = re.findall(r'id="again" href="([^"]+)"', answer.text)
        assert other.password not in answer.text
        for prompt in (None, "none"):
            asked = request_of(client_id, prompt=prompt)
            answer = await browser.send("GET", AUTHORIZE, params=asked)
            assert is_page(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
        refused = await api.refusal(await browser.redeem(client_id, code))
        assert refused[:2] == (503, "temporarily_unavailable")
    finally:
        await pair.postgres.start()
    async with asyncio.timeout(30):
        while (answer := await browser.redeem(client_id, code)).status_code == 503:
            await asyncio.sleep(0.05)
    assert answer.status_code == 200
    page = await newcomer.open(html.unescape(again))
    assert "code" in told(await newcomer.through(page, other))


KILL = """
create function die() returns trigger language plpgsql as
$$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
create trigger die before insert on authorization_codes for each row
  when (new.user_id = '{}') execute function die()
"""


async def test_a_fault_between_the_answer_and_its_code_costs_nobody_their_sign_in(api, rp, browser):
    """The connection dies when the request is finished and the code is not yet kept."""
    person = await api.person()
    page = await browser.sign_in(await browser.authorize(rp), person)
    await api.sql.execute(KILL.format(person.id))
    try:
        answer = await browser.submit(page, "consent", "allow")
        assert is_page(answer, 503)
        (again,) = re.findall(r'id="again" href="([^"]+)"', answer.text)
    finally:
        await api.sql.execute("drop trigger die on authorization_codes; drop function die()")
    code = told(await browser.open(html.unescape(again)))["code"]
    assert (await browser.redeem(rp, code)).status_code == 200


REFUSE = """
create function refuse() returns trigger language plpgsql as
$$ begin raise exception 'full' using errcode = '53100'; end $$;
create trigger refuse before insert on authorization_requests for each row
  when (new.proven_login_id = '{}') execute function refuse()
"""


async def test_a_fault_between_the_proof_and_its_note_signs_nobody_out(api, spa, browser):
    """The cookie's value has changed, and the database takes no note for which request."""
    person = await api.person()
    await browser.tokens(spa, person)
    login_id = await api.sql.fetchval("select id from logins where user_id = $1", person.id)
    page = await browser.authorize(spa, prompt="login")
    await api.sql.execute(REFUSE.format(login_id))
    try:
        page = await browser.sign_in(page, person)
    finally:
        await api.sql.execute("drop trigger refuse on authorization_requests")
        await api.sql.execute("drop function refuse()")
    assert "login" in forms_of(page), "the request still wants its proof"
    assert "code" in told(await browser.authorize(spa, prompt="none"))
    assert "code" in told(await browser.sign_in(page, person))
    alive = "select count(*) from logins where user_id = $1 and ended_at is null"
    assert await api.sql.fetchval(alive, person.id) == 1


async def test_other_methods_are_told_which_there_are(api):
    for path in (AUTHORIZE, "/oauth2/logout", "/oauth2/userinfo", "/login", "/consent"):
        answer = await api.callers[0].request("PUT", path)
        assert answer.status_code == 405
        assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


# -- what is counted, told to operators, and left behind ------------------------------------------

ANSWERS = re.compile(r'^keyturn_authorizations_total\{result="(\w+)"\} (\d+)', re.MULTILINE)


def counted(api):
    """Return how many requests ended how, over all replicas."""
    ends = Counter()
    for replica in api.replicas:
        page = httpx2.get(f"{replica.management_url}/metrics", timeout=30).text
        ends.update({result: int(count) for result, count in ANSWERS.findall(page)})
    return ends


async def test_every_request_is_counted_by_how_it_ended(api, rp, browser):
    person = await api.person()

    async def denied():
        page = await browser.authorize(rp, prompt="consent")
        return await browser.submit(page, "consent", "deny")

    async def over():
        return await browser.open("/oauth2/authorize/resume", {"request": "x"})

    async def code():
        return await browser.granted(rp, person)

    ends = {
        "login_required": lambda: browser.authorize(rp, prompt="none"),
        "code": code,
        "access_denied": denied,
        "consent_required": lambda: browser.authorize(rp, prompt="none", scope="openid email"),
        "invalid_request": lambda: browser.authorize(rp, prompt="none", max_age="x"),
        "invalid_scope": lambda: browser.authorize(rp, scope="nothing"),
        "unsupported_response_type": lambda: browser.authorize(rp, response_type="token"),
        "unsafe_redirect": lambda: browser.authorize("nobody"),
        "request_over": over,
    }
    before = counted(api)
    for result, end in ends.items():
        await end()
        after = counted(api)
        assert after - before == Counter({result: 1})
        before = after


async def test_who_got_a_code_and_who_said_no_is_in_the_audit_trail(api, rp, browser):
    person = await api.person()
    await browser.code(rp, person)
    (event,) = await api.events("code_issued", user_id=person.id)
    assert (event["client_id"], event["result"]) == (rp, "ok")
    assert json.loads(event["detail"]) == {"scope": "openid"}
    assert event["ip"] is not None
    page = await browser.authorize(rp, prompt="consent", scope="openid orders.read")
    assert "error" in told(await browser.submit(page, "consent", "deny"))
    (event,) = await api.events("consent_denied", user_id=person.id)
    assert event["client_id"] == rp
    assert json.loads(event["detail"]) == {"scope": "openid orders.read"}


async def test_RL_3_strangers_leave_no_row_whatever_they_begin(api, rp):
    """No row to pile up, and no limit that a flood could turn against honest people."""
    handles = []
    for number in range(8):
        stranger = Browserless(api)
        page = await stranger.authorize(rp)
        handles.append(forms_of(page)["login"].fields["request"])
        typed = {"email": f"{number}@example.com", "password": "x" * 12}
        assert (await stranger.press(page, "login", **typed)).status_code == 403
        named = {"request": handles[-1]}
        assert "login" in forms_of(await stranger.open("/oauth2/authorize/resume", named))
        assert "login" in forms_of(await stranger.open("/consent", named))
    hashes = [hashlib.sha256(one.encode()).digest() for one in handles]
    rows = "select count(*) from authorization_requests where handle_hash = any($1)"
    assert await api.sql.fetchval(rows, hashes) == 0
    page = await stranger.sign_in(page, await api.person())
    assert await api.sql.fetchval(rows, hashes) == 1, "somebody has shown who they are"
    assert "code" in told(await stranger.submit(page, "consent", "allow"))
