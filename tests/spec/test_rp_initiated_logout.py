"""RP-initiated logout (WB-8): who is signed out at once, who is asked, and where they go."""

import json

import pytest

from support.api import claims_of
from support.browserless import GOODBYE, ORIGIN, SITE, Browserless, forms_of, told
from support.forging import b64, unb64

LOGOUT = "/oauth2/logout"


@pytest.fixture
async def signed_in(api, rp, browser):
    """A person signed in at the client, and the ID token it holds."""
    return await browser.tokens(rp, await api.person())


async def is_signed_out(browser, client_id):
    """Whether nobody is recognised any more."""
    answer = told(await browser.authorize(client_id, prompt="none"))
    return answer.get("error") == "login_required"


def is_question(answer):
    return answer.status_code == 200 and "logout" in forms_of(answer)


def is_farewell(answer):
    assert "location" not in answer.headers
    return answer.status_code == 200 and "logout" not in forms_of(answer)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_WB_8_a_client_that_knows_who_signs_out_gets_them_back(
    api, rp, browser, signed_in, method
):
    sent = {
        "id_token_hint": signed_in["id_token"],
        "post_logout_redirect_uri": GOODBYE,
        "state": "a&b c",
    }
    how = {"params": sent} if method == "GET" else {"data": sent}
    answer = await browser.send(method, LOGOUT, **how)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{GOODBYE}?state=a%26b%20c"
    assert not [name for name in browser.cookies if "kt_login" in name]
    assert await is_signed_out(browser, rp)


async def test_WB_9_the_old_cookie_and_the_sessions_are_worth_nothing_afterwards(
    api, rp, browser, signed_in
):
    kept = Browserless(api, cookies=dict(browser.cookies))
    await browser.open(LOGOUT, {"id_token_hint": signed_in["id_token"]})
    assert await is_signed_out(kept, rp)
    assert not await api.is_active(signed_in["access_token"])
    refresh = {"grant_type": "refresh_token", "refresh_token": signed_in["refresh_token"]}
    assert (await api.token(rp, **refresh)).json()["error"] == "invalid_grant"


async def test_a_session_with_offline_access_outlives_the_browser(api, rp, browser):
    given = await browser.tokens(rp, await api.person(), scope="openid offline_access")
    await browser.open(LOGOUT, {"id_token_hint": given["id_token"]})
    assert await is_signed_out(browser, rp)
    refresh = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
    assert (await api.token(rp, **refresh)).status_code == 200


async def test_WB_8_without_state_there_is_none_in_the_redirect(browser, signed_in):
    sent = {"id_token_hint": signed_in["id_token"], "post_logout_redirect_uri": GOODBYE}
    assert (await browser.open(LOGOUT, sent)).headers["location"] == GOODBYE


@pytest.mark.parametrize(
    "uri",
    [
        GOODBYE + "?foo=bar",
        GOODBYE + "/",
        GOODBYE.upper(),
        "https://evil.example.net/",
        "//evil.example.net",
        "javascript:alert(1)",
        SITE["redirect_uris"][0],
    ],
)
async def test_WB_8_an_address_that_is_not_registered_is_never_gone_to(rp, browser, signed_in, uri):
    sent = {"id_token_hint": signed_in["id_token"], "post_logout_redirect_uri": uri, "state": "s"}
    page = await browser.open(LOGOUT, sent)
    assert is_question(page)
    assert "code" in told(await browser.authorize(rp, prompt="none"))
    assert is_farewell(await browser.submit(page, "logout", "sign-out"))
    assert await is_signed_out(browser, rp)
    assert is_farewell(await browser.open(LOGOUT, sent))


@pytest.mark.parametrize("sent", [{}, {"state": "s"}, {"post_logout_redirect_uri": GOODBYE}])
async def test_WB_8_without_a_hint_the_person_is_asked(rp, browser, signed_in, sent):
    page = await browser.open(LOGOUT, sent)
    assert is_question(page)
    assert 'id="account" href="/account"' in page.text  # who stays has a way on, too
    assert "code" in told(await browser.authorize(rp, prompt="none"))
    answer = await browser.submit(page, "logout", "sign-out")
    assert is_farewell(answer)
    assert await is_signed_out(browser, rp)


async def test_WB_8_a_named_client_gets_the_person_back_once_they_have_agreed(
    rp, browser, signed_in
):
    sent = {"client_id": rp, "post_logout_redirect_uri": GOODBYE, "state": "s"}
    page = await browser.open(LOGOUT, sent)
    assert is_question(page)
    assert f'id="back" href="{ORIGIN}/"' in page.text
    answer = await browser.submit(page, "logout", "sign-out")
    assert answer.headers["location"] == f"{GOODBYE}?state=s"
    assert await is_signed_out(browser, rp)


async def test_WB_8_a_hint_that_nobody_of_ours_signed_is_no_hint(api, rp, browser, signed_in):
    head, body, signature = signed_in["id_token"].split(".")
    kid = json.loads(unb64(head))["kid"]
    for hint in (
        f"{b64({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        f"{b64({'alg': 'none', 'typ': 'JWT', 'kid': kid})}.{body}.{signature}",
        f"{head}.{b64({'sub': 'x', 'aud': rp, 'iss': api.issuer})}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        signed_in["access_token"],
        "x",
    ):
        sent = {"id_token_hint": hint, "post_logout_redirect_uri": GOODBYE, "state": "s"}
        assert is_question(await browser.open(LOGOUT, sent)), hint
        assert is_farewell(await Browserless(api).open(LOGOUT, sent)), hint
    assert "code" in told(await browser.authorize(rp, prompt="none"))


async def test_WB_8_an_expired_hint_is_as_good(api, rp, browser, signed_in):
    claims = {**claims_of(signed_in["id_token"]), "exp": 1, "iat": 0}
    await api.operator.keyring.load()
    hint = api.operator.keyring.signing.sign(json.dumps(claims).encode(), "JWT")
    sent = {"id_token_hint": hint, "post_logout_redirect_uri": GOODBYE}
    assert (await browser.open(LOGOUT, sent)).headers["location"] == GOODBYE
    assert await is_signed_out(browser, rp)


async def test_WB_8_a_hint_of_somebody_else_signs_nobody_out_unasked(api, rp, browser, signed_in):
    other = Browserless(api)
    await other.tokens(rp, await api.person())
    sent = {"id_token_hint": signed_in["id_token"], "post_logout_redirect_uri": GOODBYE}
    page = await other.open(LOGOUT, sent)
    assert is_question(page)
    assert "code" in told(await other.authorize(rp, prompt="none"))
    answer = await other.submit(page, "logout", "sign-out")
    assert answer.headers["location"] == GOODBYE
    assert await is_signed_out(other, rp)
    assert not await is_signed_out(browser, rp)


async def test_who_is_signed_out_already_goes_where_the_hints_client_says(api, rp, signed_in):
    sent = {"id_token_hint": signed_in["id_token"], "post_logout_redirect_uri": GOODBYE}
    answer = await Browserless(api).open(LOGOUT, sent)
    assert answer.headers["location"] == GOODBYE
    named = {"client_id": rp, "post_logout_redirect_uri": GOODBYE}
    assert is_farewell(await Browserless(api).open(LOGOUT, named))


async def test_a_hint_and_a_client_that_contradict_each_other_are_a_page(
    api, spa, browser, signed_in
):
    sent = {"id_token_hint": signed_in["id_token"], "client_id": spa}
    assert (await browser.open(LOGOUT, sent)).status_code == 400
    twice = [("id_token_hint", "a"), ("id_token_hint", "b")]
    assert (await browser.send("GET", LOGOUT, params=twice)).status_code == 400


async def test_WB_4_nobody_else_can_agree_to_sign_out(api, rp, browser, signed_in):
    page = await browser.open(LOGOUT)
    form = forms_of(page)["logout"]
    other = Browserless(api)
    await other.tokens(rp, await api.person())
    for fields, headers in (
        ({**form.fields, "csrf": "1.00"}, {}),
        ({**form.fields, "csrf": forms_of(await other.open(LOGOUT))["logout"].fields["csrf"]}, {}),
        (form.fields, {"sec-fetch-site": "cross-site"}),
        (form.fields, {"sec-fetch-site": "same-site"}),
        (form.fields, {"origin": "https://evil.example.net"}),
        (form.fields, {"origin": "null"}),
    ):
        answer = await browser.send("POST", LOGOUT, data=fields, headers=headers)
        assert answer.status_code == 403, headers
    # Without the token it is any application's form: the person is asked.
    asked = {name: value for name, value in form.fields.items() if name != "csrf"}
    assert is_question(await browser.send("POST", LOGOUT, data=asked))
    assert "code" in told(await browser.authorize(rp, prompt="none"))


async def test_a_form_from_another_site_comes_again_with_the_cookies_it_lacked(
    rp, browser, signed_in
):
    kept, browser.cookies = browser.cookies, {}
    sent = {"id_token_hint": signed_in["id_token"], "post_logout_redirect_uri": GOODBYE}
    headers = {"sec-fetch-site": "cross-site"}
    answer = await browser.send("POST", LOGOUT, data=sent, headers=headers)
    assert answer.status_code == 303
    browser.cookies = kept
    answer = await browser.follow(answer)
    assert answer.headers["location"] == GOODBYE
    assert await is_signed_out(browser, rp)
