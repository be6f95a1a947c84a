"""What may stand in a description of a client (RFC 6749 3.3, RFC 6454, RFC 8707)."""

import uuid

import pytest

from keyturn.clients import syntax


@pytest.mark.parametrize("value", ["web", "a", "Web-App_1.2~x", "0", "a" * 128])
def test_a_client_id_is_url_safe(value):
    assert syntax.client_id(value) == value


@pytest.mark.parametrize(
    "value", ["", "a" * 129, "-web", ".", "..", "a b", "a:b", "a/b", "a%20", "ü", "a\n", "a\x00"]
)
def test_a_client_id_holds_nothing_else(value):
    with pytest.raises(ValueError, match="letters, digits"):
        syntax.client_id(value)


def test_tk_7_a_client_id_never_looks_like_the_id_of_a_user():
    user = uuid.uuid4()
    for spelling in (str(user), user.hex, str(user).upper(), f"{user.hex[:7]}-{user.hex[7:]}"):
        with pytest.raises(ValueError, match="ids of users"):
            syntax.client_id(spelling)


@pytest.mark.parametrize(
    "value",
    [
        "https://app.example",
        "https://app.example:8443",
        "https://xn--bcher-kva.example",
        "http://localhost:5173",
        "http://127.0.0.1",
        "http://[::1]:3000",
    ],
)
def test_an_origin_is_what_browsers_send(value):
    assert syntax.origin(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "*",
        "https://*",
        "https://*.example",
        "https://app.example/",
        "https://app.example/path",
        "https://app.example?x",
        "https://app.example#x",
        "https://user@app.example",
        "https://App.example",
        "HTTPS://app.example",
        "https://app.example:443",
        "http://localhost:80",
        "https://app.example:0",
        "https://app.example:65536",
        "https://app.example:08",
        "https://[0:0:0:0:0:0:0:1]",
        "https://[zz]",
        "http://app.example",
        "http://localhost.evil.example",
        "ftp://localhost",
        "file://",
        "https://bücher.example",
        "https://app.example\n",
        "",
    ],
)
def test_an_origin_is_nothing_else(value):
    with pytest.raises(ValueError, match=r"."):
        syntax.origin(value)


@pytest.mark.parametrize(
    "value", ["https://api.example", "https://api.example/v1?x=1", "urn:example:api", "http://api"]
)
def test_an_audience_is_an_absolute_uri(value):
    assert syntax.audience(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "https://*.example",
        "web",
        "/api",
        "//api.example",
        "https://",
        "https:///path",
        "https://[bad",
        "https://api.example#x",
        "https://api.example/ x",
        "https://api.example/\u00fc",
        "https://" + "a" * 512,
    ],
)
def test_an_audience_is_nothing_else(value):
    with pytest.raises(ValueError, match="URI"):
        syntax.audience(value)


@pytest.mark.parametrize("value", ["orders.read", "openid", "https://api.example/read", "!"])
def test_a_scope_is_one_token(value):
    assert syntax.scope(value) == value


@pytest.mark.parametrize("value", ["", "a b", 'a"b', "a\\b", "ü", "a\t", "a" * 129])
def test_a_scope_is_nothing_else(value):
    with pytest.raises(ValueError, match="one scope"):
        syntax.scope(value)


@pytest.mark.parametrize(
    "value", ["https://a.example/", "https://a.example/about?x=1#terms", "https://a.example#top"]
)
def test_a_link_is_an_address_people_may_open(value):
    assert syntax.link(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "http://a.example/",
        "https://bank.example@a.example/",
        "https://bank.example:443@a.example/",
        "https://a.example/#\0",
        "https://a.example/#\ud800",
        "https://a.example/#a b",
        "https://a.example/#a#b",
        "https://#a.example/",
    ],
    ids=ascii,
)
def test_a_link_says_whose_it_is_and_holds_nothing_that_could_not_be_kept(value):
    with pytest.raises(ValueError, match=r"https address|no user"):
        syntax.link(value)
