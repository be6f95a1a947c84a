"""Of what a browser calls itself, what tells devices apart is kept."""

import pytest
from starlette.requests import Request

from keyturn.pages.devices import name_of
from keyturn.pages.languages import Languages
from keyturn.web.device import MOST_DEVICE, device_of

ENGLISH = Languages.load().known["en"]
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"


def device(name):
    headers = [] if name is None else [(b"user-agent", name.encode("latin-1"))]
    return device_of(Request({"type": "http", "headers": headers}))


@pytest.mark.parametrize(
    ("sent", "kept", "shown"),
    [
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/131.0.0.0 Safari/537.36",
            "(Windows NT 10.0; Win64; x64) Chrome/131.0.0.0",
            "Chrome on Windows",
        ),
        (
            f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36",
            "(Linux; Android 10; K) Chrome/131.0.0.0 Mobile",
            "Chrome on Android",
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
            "(Windows NT 10.0) Chrome/131.0.0.0 Edg/131.0.0.0",
            "Edge on Windows",
        ),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {SAFARI}",
            "(iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
            "(X11; Linux x86_64; rv:133.0) Firefox/133.0",
            "Firefox on Linux",
        ),
    ],
)
def test_what_all_browsers_say_is_not_kept_and_nobody_misses_it(sent, kept, shown):
    assert device(sent) == kept
    assert name_of(kept, ENGLISH) == name_of(sent, ENGLISH) == shown


@pytest.mark.parametrize("name", ["orders-sync/4.11 (Linux) Safari/537.36", "Mozilla/4.0 (OS/2)"])
def test_what_is_no_browser_is_kept_as_it_calls_itself(name):
    assert device(name) == name


def test_whoever_says_nothing_or_too_much_is_kept_so_far():
    assert device(None) is None
    assert device("") is None
    assert device("x" * 300) == "x" * MOST_DEVICE
    assert device("a\tb\x7fc") == "abc"
