import pytest
from starlette.datastructures import Headers

from keyturn.errors import CookieNeedsSameSite, OriginRefused
from keyturn.web import origin
from support.asgi import a_client

APP = "https://app.example"
CLIENT = a_client("spa", APP)


NAMED = ("X-Keyturn-Client", "spa")


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.lower().encode(), value.encode()) for name, value in pairs])


@pytest.mark.parametrize("pairs", [[], [("Origin", APP)], [("Sec-Fetch-Site", "cross-site")]])
def test_no_origin_or_the_client_s_own_passes(pairs):
    origin.check(headers(*pairs), CLIENT)


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "https://app.example:443",
        "https://APP.example",
        "http://app.example",
        "https://app.example/",
        "https://app.example.evil",
        "https://evil",
        "",
        f"{APP}, {APP}",
    ],
)
def test_every_other_origin_is_refused(value):
    with pytest.raises(OriginRefused):
        origin.check(headers(("Origin", value)), CLIENT)


def test_two_origins_are_refused_though_both_are_listed():
    with pytest.raises(OriginRefused):
        origin.check(headers(("Origin", APP), ("Origin", APP)), CLIENT)


def test_null_is_refused_even_where_somebody_listed_it():
    with pytest.raises(OriginRefused):
        origin.check(headers(("Origin", "null")), a_client("spa", "null"))


@pytest.mark.parametrize("pairs", [[("Origin", APP)], [("Sec-Fetch-Site", "same-origin")]])
def test_WB_13_a_cookie_works_with_a_proof_of_where_it_comes_from(pairs):
    origin.require(headers(NAMED, *pairs), CLIENT)


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("Sec-Fetch-Site", "same-site")],
        [("Sec-Fetch-Site", "none")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil")],
        [("Origin", "null")],
    ],
)
def test_WB_13_a_cookie_without_such_a_proof_is_refused(pairs):
    with pytest.raises(OriginRefused):
        origin.require(headers(NAMED, *pairs), CLIENT)


def test_WB_13_a_cookie_without_the_client_header_is_refused():
    with pytest.raises(OriginRefused, match="X-Keyturn-Client"):
        origin.require(headers(("Origin", APP)), CLIENT)


def test_a_cross_site_sign_in_with_cookies_is_told_what_to_do():
    with pytest.raises(CookieNeedsSameSite):
        origin.refuse_cross_site(headers(("Sec-Fetch-Site", "cross-site")))
    origin.refuse_cross_site(headers(("Sec-Fetch-Site", "same-site")))
    origin.refuse_cross_site(headers())
