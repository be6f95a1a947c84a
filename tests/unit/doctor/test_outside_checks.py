"""What the doctor says of facts from outside, beyond what the story of a proxy shows."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.cli.doctor import visible
from keyturn.doctor import answers, documents, exposure, tls
from keyturn.doctor.wire import Answer, NoAnswer, Tls

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def answer(status=200, body=b"", **headers):
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, named, body)


def keys(*names):
    return answer(body=json.dumps({"keys": [{"kid": one, "n": one[0]} for one in names]}).encode())


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("public, max-age=300", ""),
        ("max-age=0", ""),
        ("", "missing"),
        ("no-cache", "no-cache"),
        ("public, max-age=301", "longer than 300"),
        ("public, max-age=300, s-maxage=86400", "s-maxage"),
        ("public, max-age=300, stale-while-revalidate=60", "stale-while-revalidate"),
    ],
)
def test_public_documents_are_kept_for_as_long_as_the_servers_say(said, problem):
    headers = {"cache_control": said} if said else {}
    found = answers.kept({"the JWKS": answer(**headers)}, 300)
    assert problem in found.sentence
    assert bool(found.remedy) == bool(problem)


def test_an_old_copy_out_of_a_cache_is_found():
    held = answer(cache_control="public, max-age=300", age="301")
    assert "301 s" in answers.kept({"the JWKS": held}, 300).sentence
    assert not answers.kept({"the JWKS": held}, None).remedy


def test_numbers_without_end_are_numbers_that_are_too_large():
    endless = "9" * 5000
    assert answers.kept({"the JWKS": answer(cache_control=f"max-age={endless}")}, 300).remedy
    held = answer(cache_control="max-age=300", age=endless)
    assert answers.kept({"the JWKS": held}, 300).remedy


@pytest.mark.parametrize(
    ("date", "good"),
    [
        ("Sat, 31 Jan 2026 00:00:00 GMT", True),
        ("Sat, 31 Jan 2026 00:00:00 -0000", True),
        ("Sat, 31 Jan 2026 00:01:00 -0000", False),
        ("yesterday", True),
        ("", True),
    ],
)
def test_a_clock_is_compared_whatever_names_its_zone(date, good):
    assert bool(answers.clock(answer(date=date), NOW).remedy) != good


def test_keys_of_no_shape_are_no_end_of_the_examination():
    strange = answer(body=b'{"keys": [{"kid": {"a": 1}, "n": ["x"]}, 7, {"n": {}}]}')
    assert documents.jwks([strange])


def test_a_terminal_is_given_nothing_that_it_would_obey():
    said = answer(body=b'{"issuer": "\\u001b]0;root\\u0007\\u009b2J\\nok"}')
    (found, *_) = documents.metadata("https://id.example", said, said)
    assert "\x1b" in found.sentence
    assert visible(found.sentence).isprintable()
    assert r"\x1b]0;root\x07\x9b2J\nok" in visible(found.sentence)
    assert visible("é ü 鍵") == "é ü 鍵"


def test_a_header_that_a_proxy_adds_once_more_is_found():
    twice = Answer(200, (("x-content-type-options", "nosniff"),) * 2)
    found = answers.headers("http://localhost", {"the JWKS": twice})
    assert "nosniff and nosniff" in found.sentence
    once = answer(x_content_type_options="nosniff")
    assert not answers.headers("http://localhost", {"the JWKS": once}).remedy


@pytest.mark.parametrize(
    ("cookie", "good"),
    [
        ("__Host-kt=a; Path=/; Secure; HttpOnly", True),
        ("__Host-kt=a; Path=/; HttpOnly", False),
        ("__Host-kt=a; Path=/auth; Secure", False),
        ("__Host-kt=a; Path=/; Secure; Domain=example.com", False),
        ("kt=a; Path=/; Secure", False),
    ],
)
def test_cookies_over_https_are_for_the_host(cookie, good):
    found = answers.cookies("https://id.example", answer(set_cookie=cookie))
    assert bool(found.remedy) != good


def test_a_date_is_compared_or_missed():
    at = "Sat, 31 Jan 2026 00:00:00 GMT"
    assert not answers.clock(answer(date=at), NOW + timedelta(seconds=10)).remedy
    assert answers.clock(answer(date=at), NOW - timedelta(seconds=11)).remedy
    assert answers.clock(answer(), NOW).severity == "skipped"
    assert answers.clock(answer(date="yesterday"), NOW).severity == "skipped"


def test_the_signing_key_must_be_seen_and_others_may_lag():
    def compare(*seen):
        return [one.id for one in documents.against_database(seen, ["a"], ["a", "b"]) if one.remedy]

    assert compare("a", "b") == []
    assert compare("a") == ["jwks.current"]
    assert compare("b") == ["jwks.signing"]


def test_one_key_alone_and_replicas_that_differ_are_found():
    def found(*documents_):
        return [one.id for one in documents.jwks(documents_) if one.remedy]

    assert found(keys("a", "b"), keys("a", "b")) == []
    assert found(keys("a", "a-ps256")) == ["jwks.next"]
    assert found(keys("a", "b"), keys("a", "c")) == ["jwks.replicas"]
    assert found(answer(404)) == ["jwks.document"]
    assert found(answer(body=b'{"keys": 1}')) == ["jwks.document"]


def test_a_page_for_every_path_is_no_management_port():
    page = {path: answer(body=b"<html>") for path in exposure.SIGNS}
    assert not exposure.exposed(page).remedy
    for path, sign in exposure.SIGNS.items():
        assert path in exposure.exposed(page | {path: answer(503, sign)}).sentence
        assert not exposure.exposed(page | {path: answer(404, sign)}).remedy


@pytest.mark.parametrize(
    ("started", "ready", "dependencies", "found"),
    [
        (answer(body=b'{"status":"started"}'), answer(), answer(body=b"{}"), []),
        (answer(503, b'{"status":"starting"}'), answer(503), answer(503), ["ready", "dependencies"]),
        (
            answer(body=b'{"status":"started"}'),
            answer(503, b'{"reasons":["draining"]}'),
            answer(503, b'{"dependencies":{"redis":{"up":false,"reason":"breaker: open"}}}'),
            ["ready", "dependencies"],
        ),
        (answer(404), answer(404), answer(404), ["reachable"]),
    ],
)  # fmt: skip
def test_a_management_port_says_how_it_is(started, ready, dependencies, found):
    said = exposure.port("http://m", started, ready, dependencies)
    assert [one.id.removeprefix("management.") for one in said if one.remedy] == found
    assert len(said) == len(exposure.OF_PORT)


@pytest.mark.parametrize(
    ("given", "good"),
    [
        (NoAnswer("connection", "refused"), True),
        (answer(301, location="https://id.example/"), True),
        (answer(301, location="http://www.id.example/"), False),
        (answer(403), True),
        (answer(200), False),
    ],
)
def test_http_is_redirected_refused_or_not_there(given, good):
    assert bool(tls.plain(given).remedy) != good


@pytest.mark.parametrize(("days", "good"), [(90, True), (15, True), (14, False), (1, False)])
def test_a_certificate_that_ends_soon_is_warned_of(days, good):
    agreed = Answer(200, tls=Tls("TLSv1.3", NOW + timedelta(days=days)))
    found = [one.id for one in tls.answered("https://id", agreed, NOW) if one.remedy]
    assert (found == []) == good


@pytest.mark.parametrize("kind", ["certificate", "tls", "connection", "silence", "language"])
def test_whoever_does_not_answer_is_told_why(kind):
    found = [one for one in tls.failed("https://id", NoAnswer(kind, "why")) if one.remedy]
    assert [one.id for one in found] == [
        "issuer.tls" if kind in {"certificate", "tls"} else "issuer.reachable"
    ]
    assert "why" in found[0].sentence
