import hashlib

import pytest
from starlette.responses import Response

from keyturn.errors import InvalidRequest
from keyturn.web.cookies import SessionCookies
from support.asgi import request

ISSUER = "https://id.example"
COOKIES = SessionCookies(ISSUER)


def set_cookie(cookies: SessionCookies, max_age: int | None = 60) -> str:
    response = Response()
    cookies.set(response, "spa", "krt1_abc-DEF", max_age)
    return response.headers["set-cookie"]


def test_the_name_is_bound_to_issuer_and_client():
    digest = hashlib.sha256(b"https://id.example\nspa").hexdigest()
    assert COOKIES.name("spa") == f"__Host-kt_{digest[:8]}"
    other = SessionCookies("http://localhost:8080", secure=False)
    names = {COOKIES.name("spa"), COOKIES.name("app"), other.name("spa"), other.name("app")}
    assert len(names) == 4


def test_a_cookie_is_out_of_reach_of_scripts_subdomains_and_other_sites():
    assert set_cookie(COOKIES) == (
        f"{COOKIES.name('spa')}=krt1_abc-DEF; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Strict"
    )


def test_a_session_that_is_not_remembered_has_no_max_age():
    assert "Max-Age" not in set_cookie(COOKIES, None)


def test_another_path_takes_the_secure_prefix():
    cookie = set_cookie(SessionCookies(ISSUER, "/auth"))
    assert cookie.startswith("__Secure-kt_")
    assert "; Path=/auth; Secure;" in cookie


def test_on_http_loopback_there_is_no_prefix_and_no_secure():
    """Browsers drop `Secure` cookies and their prefixes there."""
    cookie = set_cookie(SessionCookies("http://localhost:8080", secure=False))
    assert cookie.startswith("kt_")
    assert "Secure" not in cookie
    assert "HttpOnly; SameSite=Strict" in cookie


def test_clearing_repeats_the_attributes_so_that_the_browser_finds_it():
    response = Response()
    COOKIES.clear(response, "spa")
    assert response.headers["set-cookie"] == (
        f"{COOKIES.name('spa')}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict"
    )


@pytest.mark.parametrize(
    "header", ["{name}=tok", "a=b; {name}=tok", "{name}=tok;a", " {name}=tok ;x=y"]
)
def test_the_client_s_cookie_is_found_among_others(header):
    name = COOKIES.name("spa")
    assert COOKIES.read(request(("Cookie", header.format(name=name))), "spa") == "tok"


@pytest.mark.parametrize(
    "header", ["", "a=b", "x{name}=tok", "{name}x=tok", "{name}", "{name}=", "{upper}=tok"]
)
def test_anything_else_is_no_cookie(header):
    name = COOKIES.name("spa")
    text = header.format(name=name, upper=name.upper())
    assert COOKIES.read(request(("Cookie", text)), "spa") is None


def test_the_same_name_twice_is_refused_in_one_header_and_in_two():
    one = f"{COOKIES.name('spa')}=a"
    for headers in ([("Cookie", f"{one}; {one}")], [("Cookie", one), ("Cookie", one)]):
        with pytest.raises(InvalidRequest, match="twice"):
            COOKIES.read(request(*headers), "spa")


def test_another_client_s_cookie_twice_is_not_our_concern():
    one = f"{COOKIES.name('other')}=a"
    assert COOKIES.read(request(("Cookie", f"{one}; {one}; {COOKIES.name('spa')}=t")), "spa") == "t"


@pytest.mark.parametrize("token", ["a;b", "a b", "a\r\nX: 1", "", "é", "a,b"])
def test_DS_5_a_value_that_could_leave_the_cookie_is_never_set(token):
    with pytest.raises(ValueError, match="cookie"):
        COOKIES.set(Response(), "spa", token, None)
