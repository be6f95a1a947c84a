"""The judge finds what it is there to find: each complaint is planted once."""

import json

import pytest

from attacks.campaign import complaints_of_log
from attacks.grammar import draft
from attacks.judge import Judge
from attacks.wire import Answer

SECRET = b"kts_a-secret-of-somebody"
ISSUER = "https://id.example"
REFUSED = {
    "error": "invalid_client",
    "error_description": "Client authentication failed.",
}


def answer(status=200, body=b"", **headers):
    named = {"content_type": "application/json", "cache_control": "no-store", **headers}
    pairs = tuple((name.replace("_", "-"), value) for name, value in named.items())
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    raw = b"".join(f"{name}: {value}\r\n".encode() for name, value in pairs) + text
    return Answer(status, pairs, text, raw)


def complaints(what, door="POST /oauth2/token", **parts):
    one = draft(door, **{"form": [("a", "b")], **parts})
    return [*Judge(ISSUER, {"client secret": SECRET}).complaints(one, what)]


def test_what_is_right_is_let_pass():
    assert complaints(answer()) == []
    assert complaints(answer(303, location=f"{ISSUER}/login")) == []
    assert complaints(answer(200, SECRET), form=[("client_secret", SECRET)]) == []


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        (answer(500, {"error": "server_error", "error_description": "x"}), "status 500"),
        (answer(200, b"Traceback (most recent"), "Traceback"),
        (answer(200, SECRET), "tells a client secret"),
        (answer(200, x_evil="1"), "header x-evil"),
        (answer(303, location="https://evil.example/"), "sends somebody to"),
        (answer(303, location="//evil.example/"), "sends somebody to"),
        (answer(303, location=f"{ISSUER}.evil.example/"), "sends somebody to"),
        (answer(307, location=f"{ISSUER}/login"), "redirects by 307"),
        (answer(400, b"no"), "no JSON object"),
        (answer(400, b"<html>", content_type="text/html"), "a page where programs ask"),
        (answer(400, {**REFUSED, "error": "made_up"}), "made_up with 400"),
        (answer(400, {**REFUSED, "requestId": "1"}), "members"),
        (answer(401, REFUSED, cache_control="public"), "may be kept"),
    ],
)
def test_what_is_wrong_is_found(what, complaint):
    assert any(complaint in one for one in complaints(what)), complaints(what)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"no json", "no JSON"),
        (b'{"level": "error", "event": "request_failed"}', "the log says"),
        (b'{"event": "request", "method": "GOT"}', "a method of the caller's"),
        (b'{"event": "x", "detail": "' + SECRET + b'"}', "tells a client secret"),
        (b'{"event": "x", "detail": "' + SECRET.hex().encode() + b'"}', "tells a client secret"),
    ],
)
def test_what_a_log_must_not_say_is_found(line, complaint):
    (found, *_) = complaints_of_log(line, {"client secret": SECRET})
    assert complaint in found


def test_a_log_without_any_of_it_is_let_pass():
    line = b'{"event": "request", "method": "GET", "level": "info"}\n'
    assert [*complaints_of_log(line, {"client secret": SECRET})] == []
