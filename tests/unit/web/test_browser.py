"""The pages' cookies, and tokens that tell our own forms from foreign ones."""

import pytest
from starlette.requests import Request
from starlette.responses import Response

from keyturn.authorization_errors import ForgedForm
from keyturn.crypto.secrets import MasterSecrets
from keyturn.errors import InvalidRequest
from keyturn.web.browser import BrowserCookies, Csrf

ISSUER = "https://id.example"
COOKIES = BrowserCookies(ISSUER)
OLD, NEW = {1: b"o" * 32}, {2: b"n" * 32}
VALUE = "v" * 43


def request(cookie=None, **headers):
    told = {"cookie": cookie, **headers} if cookie else headers
    raw = [(n.replace("_", "-").encode(), v.encode()) for n, v in told.items()]
    return Request({"type": "http", "method": "POST", "headers": raw})


def csrf(*secrets):
    values = {}
    for one in secrets:
        values |= one
    return Csrf(MasterSecrets(values), ISSUER)


def is_taken(checking, token, *about, **headers):
    try:
        checking.check(request(**headers), token, *about)
    except ForgedForm:
        return False
    return True


def test_two_servers_behind_one_host_name_have_cookies_of_their_own():
    names = {BrowserCookies(one).name("login") for one in (ISSUER, ISSUER + ":8443")}
    assert len(names) == 2
    assert all(one.startswith("__Host-kt_login_") for one in names)
    assert BrowserCookies(ISSUER, secure=False).name("login").startswith("kt_login_")


def test_a_cookie_on_loopback_http_is_not_secure_and_one_that_is_cleared_is_gone_at_once():
    response = Response()
    cookies = BrowserCookies("http://localhost:8080", secure=False)
    cookies.set_login(response, VALUE, 60)
    cookies.clear_login(response)
    told = response.headers.getlist("set-cookie")
    assert [one.partition("=")[2] for one in told] == [
        f"{VALUE}; Max-Age=60; Path=/; HttpOnly; SameSite=Lax",
        "; Max-Age=0; Path=/; HttpOnly; SameSite=Lax",
    ]


@pytest.mark.parametrize("value", ["", "short", "with blank" * 5, "x" * 201, "ü" * 43])
def test_a_value_that_is_none_of_ours_is_not_looked_at(value):
    assert COOKIES.login(request(f"{COOKIES.name('login')}={value}")) is None


def test_of_two_logins_neither_is_believed_and_of_two_languages_neither_is_spoken():
    login, language = COOKIES.name("login"), COOKIES.name("language")
    with pytest.raises(InvalidRequest):
        COOKIES.login(request(f"{login}={VALUE}; {login}={VALUE}"))
    assert COOKIES.language(request(f"{language}=de; {language}=en")) is None
    assert COOKIES.language(request(f"{language}=de")) == "de"


def test_a_browser_keeps_its_value_and_a_new_one_is_told_once():
    response = Response()
    known = COOKIES.ensure(request(f"{COOKIES.name('browser')}={VALUE}"))
    COOKIES.keep(response, known)
    assert (known.value, response.headers.getlist("set-cookie")) == (VALUE, [])
    new = COOKIES.ensure(request())
    COOKIES.keep(response, new)
    assert new.value != COOKIES.ensure(request()).value
    assert len(response.headers.getlist("set-cookie")) == 1


def test_a_token_fits_one_form_one_request_and_one_browser():
    one = csrf(NEW)
    token = one.token("browser", "login", "handle")
    assert is_taken(one, token, "browser", "login", "handle")
    for about in (
        ("other", "login", "handle"),
        ("browser", "consent", "handle"),
        ("browser", "login", "other"),
        ("browser", "login"),
        (None, "login", "handle"),
    ):
        assert not is_taken(one, token, *about)


@pytest.mark.parametrize(
    "token", ["", ".", "2.", "2", "9.abc", "x.abc", "²." + "0" * 64, "2." + "0" * 64, "ü", "02.x"]
)
def test_what_is_no_token_of_ours_is_refused(token):
    assert not is_taken(csrf(NEW), token, "browser", "login", "handle")


def test_a_form_shown_before_the_secret_was_rolled_is_taken_while_both_are_listed():
    token = csrf(OLD).token("browser", "login")
    assert is_taken(csrf(NEW, OLD), token, "browser", "login")
    assert not is_taken(csrf(NEW), token, "browser", "login")


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),
        ({"origin": ISSUER}, True),
        ({"origin": "null", "sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"origin": "null"}, False),
        ({"origin": "null", "sec_fetch_site": "none"}, False),
        ({"origin": ISSUER, "sec_fetch_site": "same-site"}, False),
        ({"origin": ISSUER + ".evil.example"}, False),
        ({"origin": ISSUER, "sec_fetch_site": "cross-site"}, False),
    ],
)
def test_a_form_of_another_page_is_refused_whatever_its_token(headers, taken):
    one = csrf(NEW)
    assert is_taken(one, one.token("b", "login"), "b", "login", **headers) is taken
