"""A URL is read in one way, and judged by what the operator allows."""

import pytest

from keyturn.configuration import load_settings
from keyturn.errors import SettingsRefused
from keyturn.outgoing.destination import Destination
from keyturn.outgoing.policy import NOTHING_PRIVATE, Policy
from support import replicas


@pytest.mark.parametrize(
    ("url", "place", "authority", "target"),
    [
        ("https://app.example", "app.example:443", "app.example", "/"),
        ("https://App.Example/a/b?c=d", "app.example:443", "app.example", "/a/b?c=d"),
        ("https://app.example:8443?x", "app.example:8443", "app.example:8443", "/?x"),
        ("http://localhost:80/x", "localhost:80", "localhost", "/x"),
        ("https://[2606:4700::1111]/x", "[2606:4700::1111]:443", "[2606:4700::1111]", "/x"),
        ("https://[::1]:9/x", "[::1]:9", "[::1]:9", "/x"),
    ],
)
def test_a_url_is_taken_apart(url, place, authority, target):
    read = Destination.parse(url)
    assert (read.place, read.authority, read.target) == (place, authority, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "app.example",
        "//app.example",
        "ftp://app.example",
        "file:///etc/passwd",
        "gopher://app.example",
        "HTTPS://app.example",
        "https:app.example",
        "https:///x",
        "https://",
        "https://user@app.example/",
        "https://user:pw@app.example/",
        "https://app.example@evil.example/",
        "https://app.example\\@evil.example/",
        "https://app.example#x",
        "https://app.example/x#y",
        "https://app.example:0/",
        "https://app.example:65536/",
        "https://app.example:080/",
        "https://app.example:/",
        "https://app.example./",
        "https://.example/",
        "https://a..example/",
        "https://a_.-x.example-/",
        "https://[::1/",
        "https://app.example/a b",
        "https://app.example/\r\nX: y",
        "https://app.example/%zz",
        "https://b\u00fccher.example/",
        "https://app.example/\u00fc",
        "https://app\uff0eexample/",
        " https://app.example/",
    ],
)
def test_SS_1_what_parsers_might_read_differently_is_refused(url):
    with pytest.raises(ValueError, match="https URL"):
        Destination.parse(url)


def objects(policy, url):
    return policy.objection(Destination.parse(url)) is not None


INSIDE = ["https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://10.1/",
          "https://2130706433/", "https://localhost/", "https://a.localhost/", "https://0/"]  # fmt: skip


@pytest.mark.parametrize("url", INSIDE)
def test_SS_1_an_inside_address_needs_the_operators_word(url):
    assert objects(NOTHING_PRIVATE, url)
    assert objects(Policy(frozenset({"127.0.0.2:443", "localhost:444"})), url)
    assert not objects(Policy(frozenset({Destination.parse(url).place})), url)


def test_http_needs_it_too_and_development():
    listed = frozenset({"app.example:80"})
    assert objects(NOTHING_PRIVATE, "http://app.example/")
    assert objects(Policy(development=True), "http://app.example/")
    assert objects(Policy(listed), "http://app.example/")
    assert not objects(Policy(listed, development=True), "http://app.example/")
    assert objects(Policy(listed, development=True), "http://app.example:81/")


def settings(**changes):
    return load_settings(replicas.settings("postgresql://u@h/d", None, **changes))


def test_the_operator_lists_hosts_exactly():
    found = settings(outgoing__private_hosts="app.internal, [::1]:8443,10.0.0.1:9")
    assert Policy.of(found).private_hosts == {"app.internal:443", "[::1]:8443", "10.0.0.1:9"}
    assert Policy.of(settings()).private_hosts == frozenset()


@pytest.mark.parametrize(
    "text", ["*", "*.internal", "https://a", "a/b", "A.internal", "a:0", "a:65536"]
)
def test_and_not_otherwise(text):
    with pytest.raises(SettingsRefused, match="host or host:port"):
        settings(outgoing__private_hosts=text)
