"""Where a browser may be sent: what may be registered, and what counts as registered."""

import pytest

from keyturn.clients import syntax
from keyturn.clients.redirect_uris import is_registered

CALLBACK = "https://app.example/callback?from=keyturn"


@pytest.mark.parametrize(
    "value",
    [
        CALLBACK,
        "https://app.example:8443/a%20b/;v=1?x=(1)&y='2'",
        "https://xn--bcher-kva.example",
        "http://localhost:8083/callback",
        "http://127.0.0.1/callback",
        "http://[::1]:9/callback",
        "com.example.app:/callback",
        "com.example.app://callback",
    ],
)
def test_ru_4_a_redirect_uri_is_https_or_loopback_or_an_apps_own_scheme(value):
    assert syntax.redirect_uri(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "/callback",
        "//app.example/callback",
        "https:app.example",
        "https:/app.example",
        "https://",
        "https://:8443/callback",
        "https://app.example:99999/callback",
        "https://app.example/callback#",
        "https://app.example/callback#part",
        "https://*.example/callback",
        "https://app.example/*",
        "https://user@app.example/callback",
        "https://user:word@app.example/callback",
        "https://@app.example/callback",
        "https://app.example\\@evil.example/callback",
        "https://app.example/a b",
        "https://app.example/a\n",
        "https://app.example/\x00",
        "https://app.example/ü",
        "https://app.example/%zz",
        "https://[::1",
        "https://app.example/" + "a" * 512,
        "http://app.example/callback",
        "http://127.0.0.2/callback",
        "http://localhost.evil.example/callback",
        "javascript:alert(1)",
        "JavaScript:/alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "vbscript:/x",
        "blob:https://app.example/x",
        "about:blank",
        "myapp:/callback",
        "com.example.app:callback",
        "com.example.app://callback:99999/",
        "com.example.app://callback:x/",
        "com.example.app://[callback",
    ],
)
def test_ru_4_nothing_else_can_be_registered(value):
    with pytest.raises(ValueError, match=r"https|names a host"):
        syntax.redirect_uri(value)


@pytest.mark.parametrize(
    "presented",
    [
        "HTTPS://app.example/callback?from=keyturn",
        "https://APP.example/callback?from=keyturn",
        "https://app.example/Callback?from=keyturn",
        "https://app.example:443/callback?from=keyturn",
        "http://app.example/callback?from=keyturn",
        "https://app.example/callback",
        "https://app.example/callback/?from=keyturn",
        "https://app.example/callback?from=keyturn&x=1",
        "https://app.example/callback?from=keyturn#f",
        "https://app.example/callback/../x?from=keyturn",
        "https://app.example/callback/..;/x",
        "https://app.example/%63allback?from=keyturn",
        "https://app.example/callback?from=keyturn ",
        "https://app.example/callback?from=keyturn\n",
        "https://app.example.evil.example/callback?from=keyturn",
        "https://app.example@evil.example/callback?from=keyturn",
        "https://user@app.example/callback?from=keyturn",
        "//app.example/callback?from=keyturn",
        "\\https://app.example/callback?from=keyturn",
        "http://127.0.0.1/callback?from=keyturn",
        "",
    ],
)
def test_ru_1_a_redirect_uri_is_registered_byte_for_byte(presented):
    registered = frozenset({CALLBACK, "https://other.example/"})
    assert is_registered(CALLBACK, registered)
    assert not is_registered(presented, registered)


NATIVE = frozenset({"http://127.0.0.1/cb", "http://[::1]:7/cb?x=1", "http://localhost:8083/cb"})


@pytest.mark.parametrize(
    "presented",
    [
        "http://127.0.0.1/cb",
        "http://127.0.0.1:1/cb",
        "http://127.0.0.1:65535/cb",
        "http://[::1]/cb?x=1",
        "http://[::1]:50000/cb?x=1",
        "http://localhost:8083/cb",
    ],
)
def test_ru_2_a_native_app_may_use_any_port_of_a_loopback_address(presented):
    assert is_registered(presented, NATIVE)


@pytest.mark.parametrize(
    "presented",
    [
        "http://127.0.0.1:1/cb?q=1",
        "http://127.0.0.1:1/cb/",
        "http://127.0.0.1:1",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:1@evil.example/cb",
        "http://127.0.0.1:1.evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:\u0661/cb",
        "http://127.0.0.1:1/cb\n",
        "http://127.0.0.2:1/cb",
        "https://127.0.0.1:1/cb",
        "http://[::1]:1/cb",
        "http://[0:0:0:0:0:0:0:1]:1/cb?x=1",
        "http://localhost:1/cb",
    ],
)
def test_ru_2_everything_else_of_it_is_exact_and_localhost_is_no_address(presented):
    assert not is_registered(presented, NATIVE)
