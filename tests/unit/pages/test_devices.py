"""A browser by the name its owner knows it by; whatever else comes, as it calls itself, cut."""

from datetime import timedelta

import pytest

from keyturn.pages.devices import MOST, name_of
from keyturn.pages.languages import Languages

ENGLISH, GERMAN = (Languages.load().known[code] for code in ("en", "de"))
MOZILLA = "Mozilla/5.0"
LIKE = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (
            f"{MOZILLA} (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
            "Firefox on Linux",
        ),
        (
            f"{MOZILLA} (Windows NT 10.0; Win64) {LIKE} Chrome/150.0 Safari/537.36",
            "Chrome on Windows",
        ),
        (f"{MOZILLA} (Windows NT 10.0) {LIKE} Chrome/150 Safari/537 Edg/150.0", "Edge on Windows"),
        (f"{MOZILLA} (X11; CrOS x86_64) {LIKE} Chrome/150 Safari/537 OPR/120", "Opera on ChromeOS"),
        (
            f"{MOZILLA} (Linux; Android 16; K) {LIKE} Chrome/150 Mobile Safari/537",
            "Chrome on Android",
        ),
        (f"{MOZILLA} (iPhone; CPU iPhone OS 19_1 like Mac OS X) Safari/604.1", "Safari on iPhone"),
        (f"{MOZILLA} (iPad; CPU OS 19_1 like Mac OS X) CriOS/150 Safari/604.1", "Chrome on iPad"),
        (f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) Version/19 Safari/605", "Safari on macOS"),
        (f"{MOZILLA} (Amiga)", f"{MOZILLA} (Amiga)"),
        ("orders-sync/4.11 (Linux) Chrome/0", "orders-sync/4.11 (Linux) Chrome/0"),
        (None, "Unknown device"),
        ("x" * MOST, "x" * MOST),
        ("x" * 200, "x" * MOST + "…"),
    ],
)
def test_a_device_is_told_as_its_owner_would(device, name):
    assert name_of(device, ENGLISH) == name


def test_a_device_is_told_in_the_language_of_the_page():
    assert name_of(f"{MOZILLA} (iPhone) Safari/604.1", GERMAN) == "Safari auf iPhone"


@pytest.mark.parametrize(
    ("language", "age", "text"),
    [
        (ENGLISH, timedelta(seconds=-3), "just now"),
        (ENGLISH, timedelta(seconds=59), "just now"),
        (ENGLISH, timedelta(minutes=5), "5 minutes ago"),
        (GERMAN, timedelta(days=3), "vor 3 Tagen"),
    ],
)
def test_a_moment_is_told_by_how_long_ago_it_was(language, age, text):
    assert language.ago(age) == text
