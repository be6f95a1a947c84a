"""DS-1 to DS-7: whatever is sent to a real server, at every public address, it answers soon and
says no by the book: no 5xx, no traceback, no header of the caller's making.

The parser's bounds are tried one by one in `test_http_hardening.py`; here the whole service stands
behind them.
"""

import asyncio
import json
import random
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_from_bytes, urlsplit

import httpx2
import pytest

from support import replicas
from support.api import GATEWAY, PASSWORD, Api, joined
from support.site import Conversation
from support.television import DEVICE_CODE, TELEVISION

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
FORMS = {
    "/oauth2/token": ("grant_type", "refresh_token", "scope", "resource", "client_id"),
    "/oauth2/revoke": ("token", "token_type_hint", "client_id", "client_secret"),
    "/oauth2/introspect": ("token", "token_type_hint", "client_id", "client_secret"),
    "/oauth2/par": ("redirect_uri", "state", "request", "client_id"),
    "/oauth2/device_authorization": ("scope", "resource", "client_id", "client_secret"),
}
BODIES = {
    "/auth/login": ("email", "password", "scope", "transport", "rememberMe"),
    "/auth/refresh": ("refreshToken",),
    "/auth/logout": ("refreshToken",),
    "/auth/logout-all": ("refreshToken", "exceptCurrent"),
    "/auth/reauthenticate": ("refreshToken", "password"),
    "/auth/password": ("refreshToken", "newPassword"),
}
READ = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/jwks.json",
    "/auth/me",
    "/auth/sessions",
    "/auth/openapi.json",
)
ONE_SESSION = "/auth/sessions/0198f0c4-0000-7000-8000-000000000002"
EVERYWHERE = (*FORMS, *BODIES, *READ, ONE_SESSION)
SHORT = {
    "KEYTURN_SERVER__HEADER_TIMEOUT": "0.5",
    "KEYTURN_SERVER__BODY_TIMEOUT": "0.5",
    "KEYTURN_SERVER__IDLE_TIMEOUT": "0.5",
}
PATIENCE = 30.0


@pytest.fixture(scope="module")
async def hasty(api):
    """A third replica that waits half a second where the others wait ten."""
    with replicas.replicas({**api.settings, **SHORT}) as (one,):
        async with joined(api, one) as running:
            yield running


def port_of(api: Api) -> int:
    return urlsplit(api.replicas[0].url).port or 0


async def say(api: Api, raw: bytes) -> Conversation:
    return await Conversation.begin(port_of(api), raw)


async def ask(api: Api, raw: bytes) -> bytes:
    """Send bytes on a connection of their own; return all that comes until it closes."""
    async with await say(api, raw) as conversation:
        return await conversation.rest(PATIENCE)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def is_alive(api: Api) -> None:
    try:
        answer = await api.get("/.well-known/jwks.json")
    except httpx2.ReadError:  # on a line that was kept, and hung up on for its silence just now
        answer = await api.get("/.well-known/jwks.json")
    assert answer.status_code == 200


# -- DS-1: sizes and times ------------------------------------------------------------------------


def body_for(path: str, size: int) -> tuple[bytes, str]:
    """Return a well-formed body of exactly that size, and its type."""
    if path in FORMS:
        return b"a=".ljust(size, b"x"), FORM
    return b'{"a":"'.ljust(size - 2, b"x") + b'"}', JSON


@pytest.mark.parametrize("path", [*FORMS, *BODIES, ONE_SESSION])
async def test_DS_1_a_body_over_the_limit_is_413_at_every_address(api, path):
    """16 KiB for forms, 64 KiB for JSON: announced, and in chunks of unknown length."""
    limit = 16384 if path in FORMS else 65536
    method = "DELETE" if path == ONE_SESSION else "POST"
    for size, too_large in ((limit, False), (limit + 1, True), (4 * limit, True)):
        content, kind = body_for(path, size)

        async def in_chunks(content: bytes = content):
            for start in range(0, len(content), 4096):
                yield content[start : start + 4096]

        for sent in (content, in_chunks()):
            answer = await api.callers[0].request(
                method,
                path,
                content=sent,
                headers={"content-type": kind, "x-keyturn-client": "app"},
            )
            assert (answer.status_code == 413) == too_large, (size, answer.text)
            if too_large:
                status, code, detail = await api.refusal(answer)
                assert (status, code) == (413, "request_too_large")
                assert detail in {
                    "body: announced larger than allowed",
                    "body: larger than allowed",
                }


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_DS_1_long_urls_and_headers_are_refused_at_every_address(api, path):
    url = f"{path}?x={'x' * 8192}"
    head = f"GET {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    assert status_of(await ask(api, head)) == 414
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 16384}\r\n\r\n".encode()
    assert status_of(await ask(api, head)) == 431
    many = "".join(f"X-{number}: x\r\n" for number in range(200))
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{many}\r\n".encode()
    assert status_of(await ask(api, head)) == 431
    await is_alive(api)


def announced(path: str, length: int, body: bytes = b"") -> bytes:
    kind = FORM if path in FORMS else JSON
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    head += "X-Keyturn-Client: app\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode() + body


async def test_DS_1_a_body_that_is_shorter_than_announced_is_408_in_time(hasty):
    async def lie(path: str) -> None:
        began = time.monotonic()
        answer = await ask(hasty, announced(path, 500, b"x=y"))
        assert status_of(answer) == 408, path
        assert b'"request_timeout"' in answer
        assert 0.4 < time.monotonic() - began < 8

    await asyncio.gather(*(lie(path) for path in [*FORMS, *BODIES]))


async def test_DS_1_a_body_that_trickles_in_does_not_buy_time(hasty):
    async with await say(hasty, announced("/oauth2/token", 500)) as conversation:
        began = time.monotonic()

        async def trickle() -> None:
            while time.monotonic() - began < PATIENCE:
                await conversation.send(b"x")
                await asyncio.sleep(0.1)

        trickling = asyncio.create_task(trickle())
        answer = await conversation.answer(PATIENCE)
        trickling.cancel()
    assert status_of(answer) == 408
    assert time.monotonic() - began < 8


async def test_DS_1_slowloris_connections_are_hung_up_on_and_keep_nobody_out(hasty):
    """200 callers with half a head; meanwhile people sign in and refresh."""
    person = await hasty.person()
    half = b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nX-A: "
    began = time.monotonic()
    slow = [await say(hasty, half) for _ in range(200)]
    device = await hasty.sign_in(person)
    assert (await hasty.refresh(device)).status_code == 200
    answers = await asyncio.gather(*(one.rest(PATIENCE) for one in slow))
    assert {status_of(answer) for answer in answers} == {408}
    assert time.monotonic() - began < 9
    for one in slow:
        one.writer.close()
    await is_alive(hasty)


async def test_DS_1_a_silent_connection_is_closed(hasty):
    assert await ask(hasty, b"") == b""
    kept = await ask(hasty, b"GET /auth/me HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status_of(kept) == 401
    assert kept.count(b"HTTP/1.1") == 1


# -- DS-2: number of fields -----------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMS)
async def test_DS_2_a_form_of_very_many_fields_is_refused_whole(api, path):
    for pairs in (65, 4000):
        content = "&".join(f"f{number}=" for number in range(pairs))[:16000]
        answer = await api.callers[0].post(path, content=content, headers={"content-type": FORM})
        refusal = (400, "invalid_request", "form: too many fields")
        assert await api.refusal(answer) == refusal


# -- DS-3: patterns -------------------------------------------------------------------------------

NASTY = {
    "scope": ("a " * 4000, "a" * 8000, "!" * 4000, ("a" * 30 + "!") * 250),
    "resource": ("https://" + "a." * 4000, "https://" + "a" * 8000 + "!", "%41" * 2500, "/" * 4000),
    "refresh_token": ("krt1_" + "A" * 8000, "krt1_" * 1600, "A" * 92 + "-" * 7000, "." * 8000),
}
NASTY_EMAILS = ("a" * 900 + "@", "@" * 1000, "a@" + "b." * 490, '"' * 1000, "a@" + "-" * 900)


@pytest.mark.timing
@pytest.mark.parametrize("name", NASTY)
async def test_DS_3_no_pattern_is_slow_on_adversarial_text(api, name):
    """The best of fifteen, as a ratio to plain text of the same length in the same place."""
    secret = api.secrets["backend"]

    async def seconds(value: str) -> float:
        taken = []
        for _ in range(15):
            form = {"grant_type": "refresh_token", "refresh_token": "x", name: value}
            if name != "refresh_token":
                form["grant_type"] = "client_credentials"
            began = time.perf_counter()
            answer = await api.callers[0].post("/oauth2/token", data=form, auth=("backend", secret))
            taken.append(time.perf_counter() - began)
            assert answer.status_code in {400, 413}
        return min(taken)

    neutral = await seconds("x" * 8000)
    for value in NASTY[name]:
        # Eight thousand characters squared are seconds.
        assert await seconds(value) < 5 * neutral + 0.02, value[:40]


@pytest.mark.parametrize("path", ["scope", "email"])
async def test_DS_3_adversarial_text_is_refused_like_any_other(api, path):
    if path == "email":
        for email in NASTY_EMAILS:
            answer = await api.post("/auth/login", {"email": email, "password": PASSWORD})
            refusal = await api.refusal(answer)
            assert refusal == (401, "invalid_credentials", "account: unknown"), email[:20]
        return
    for scope in NASTY["scope"]:
        answer = await api.token("machine", grant_type="client_credentials", scope=scope)
        assert (await api.refusal(answer))[:2] == (400, "invalid_scope"), scope[:20]


# -- DS-4: two readings of one request -------------------------------------------------------------

SMUGGLED = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\n"
AMBIGUOUS = {
    "CL and TE": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE and CL": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": HEAD + b"Content-Length: 0, 5\r\n\r\n",
    "a signed length": HEAD + b"Content-Length: +0\r\n\r\n",
    "a space before the colon": HEAD + b"Content-Length : 0\r\n\r\n",
    "a folded line": HEAD + b"Content-Length:\r\n 0\r\n\r\n",
    "an odd coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nA\r\n0\r\n\r\n",
    "a bad end of a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nAX0\r\n\r\n",
    "a line end inside a name": HEAD + b"Content\rLength: 0\r\n\r\n",
    "a NUL in a value": HEAD + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "two hosts": HEAD + b"Host: evil.example.net\r\nContent-Length: 0\r\n\r\n",
    "no host": b"POST /oauth2/token HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_DS_4_an_ambiguous_request_is_400_and_what_is_behind_it_is_never_read(api, name):
    answer = await ask(api, AMBIGUOUS[name] + SMUGGLED)
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"keys"' not in answer
    assert b"connection: close" in answer.lower()


# -- DS-5, DS-6: hostile values in every parameter -------------------------------------------------

LINE_ENDS = ("a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\rX-Injected: 1", "a\u2028X-Injected: 1")


def is_unmarked(answer: httpx2.Response) -> bool:
    raw = b"".join(name + value for name, value in answer.headers.raw)
    return b"njected" not in raw and b"X-Injected" not in answer.content


@pytest.mark.parametrize("path", FORMS)
async def test_DS_5_line_ends_in_a_form_never_reach_a_header(api, path):
    for name in FORMS[path]:
        for value in LINE_ENDS:
            answer = await api.callers[0].post(path, data={name: value})
            assert is_unmarked(answer), (name, value)
            if value[1] in "\r\n":
                assert await api.refusal(answer) == (
                    400,
                    "invalid_request",
                    "form: a control character",
                )
            else:
                assert answer.status_code in {400, 401}


@pytest.mark.parametrize("path", BODIES)
async def test_DS_5_nor_do_those_in_json(api, path):
    person = await api.person()
    whole = {"email": person.email, "password": "wrong horse", "refreshToken": "x"}
    whole["newPassword"] = PASSWORD
    for name in BODIES[path]:
        for value in LINE_ENDS:
            members = {key: whole[key] for key in BODIES[path] if key in whole} | {name: value}
            answer = await api.post(path, members)
            assert is_unmarked(answer), (name, value)
            assert answer.status_code in {204, 400, 401, 429}, answer.text


async def test_DS_5_nor_do_those_of_urls_and_header_values(api):
    for path in EVERYWHERE:
        target = f"{path}%0d%0aX-Injected:%201?state=%0d%0aX-Injected:%201"
        answer = await api.get(target)
        assert (answer.status_code, is_unmarked(answer)) == (404, True), path
    for header in ("origin", "x-keyturn-client", "x-request-id", "traceparent", "if-none-match"):
        answer = await api.get("/auth/me", headers={header: "a%0d%0aX-Injected: 1"})
        assert (answer.status_code, is_unmarked(answer)) == (401, True), header


HOSTILE: dict[str, tuple[bytes, bool]] = {
    "NUL": (b"a\x00b", True),
    "NUL alone": (b"\x00", True),
    "escape": (b"\x1b[31m", True),
    "a lone surrogate": (b"\xed\xa0\x80", True),
    "broken UTF-8": (b"\xff\xfe\xc3", True),
    "overlong UTF-8": (b"\xc0\xaf", True),
    "SQL": (b"' ; drop table users; --", False),
    "more SQL": (b"') or 1=1 /*", False),
    "a huge number": (b"1e400", False),
    "a template": (b"{{7*7}}${7*7}%s%n", False),
    "a path": (b"../../../../etc/passwd", False),
    "markup": (b"<script>alert(1)</script>", False),
    "far away": ("\U0010ffff\u202e".encode(), False),
    "long": (b"A" * 4000, False),
}
"""Bytes of a form's value, and whether they are no text."""


@pytest.mark.parametrize("path", FORMS)
async def test_DS_6_no_value_of_any_form_field_is_a_failure(api, path):
    good = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x", "client_id": "app"}
    for name in (*FORMS[path], "unknown"):
        for kind, (value, no_text) in HOSTILE.items():
            form = {key: quote(text) for key, text in good.items() if key in FORMS[path]}
            form[name] = quote_from_bytes(value)
            content = "&".join(f"{key}={text}" for key, text in form.items())
            answer = await api.callers[0].post(
                path, content=content, headers={"content-type": FORM}
            )
            status, code, detail = (
                (200, "", "") if answer.status_code == 200 else await api.refusal(answer)
            )
            if no_text:
                assert (status, code) == (400, "invalid_request"), (name, kind)
                assert detail in {"form: a control character", "form: not UTF-8"}, (name, kind)
            else:
                assert status in {200, 400, 401}, (name, kind, answer.text)


STRANGE_JSON: tuple[str, ...] = (
    r'"a\u0000b"',
    r'"\ud800"',
    r'"\udc00\ud800"',
    "1e400",
    "-1e400",
    "1" * 400,
    "NaN",
    "Infinity",
    "null",
    "true",
    "[]",
    "{}",
    '{"a":{"a":{}}}',
    "[" * 500 + "]" * 500,
    '"' + "A" * 4000 + '"',
    '"\' ; drop table users; --"',
    '"{{7*7}}"',
    '"\U0010ffff\u202e"',
)


@pytest.mark.parametrize("path", BODIES)
async def test_DS_6_no_value_of_any_json_member_is_a_failure(api, path):
    person = await api.person()
    whole = {"email": person.email, "password": "wrong horse", "refreshToken": "x"}
    whole["newPassword"] = PASSWORD
    for name in (*BODIES[path], "unknown"):
        for value in STRANGE_JSON:
            members = {key: json.dumps(whole[key]) for key in BODIES[path] if key in whole} | {
                name: value
            }
            content = "{" + ",".join(f'"{key}":{text}' for key, text in members.items()) + "}"
            answer = await api.callers[0].post(
                path,
                content=content.encode(),
                headers={"content-type": JSON, "x-keyturn-client": "app"},
            )
            if answer.status_code == 204:
                continue
            status, code, _ = await api.refusal(answer)
            assert status in {400, 401, 429}, (name, value[:20], answer.text)
            if name == "unknown" or value in {"NaN", "Infinity"} or "u0000" in value:
                assert (status, code) == (400, "invalid_request"), (name, value[:20])


@pytest.mark.parametrize("value", [value for value, _ in HOSTILE.values()], ids=list(HOSTILE))
async def test_DS_6_nor_is_any_path_query_or_header(api, value):
    text = quote_from_bytes(value)
    for target in (
        f"/auth/sessions/{text}",
        f"/auth/{text}",
        f"/{text}",
        f"/auth/me?cursor={text}",
    ):
        for method in ("GET", "DELETE"):
            answer = await api.callers[0].request(method, target)
            assert answer.status_code in {401, 403, 404, 405, 400}, (method, target, answer.text)
    plain = bytes(byte for byte in value if byte >= 0x20) or b"-"
    for name in ("authorization", "x-keyturn-client", "origin", "cookie", "x-forwarded-for"):
        prefix = {"authorization": b"Bearer ", "cookie": f"{api.cookie_name('app')}=".encode()}
        answer = await api.callers[0].get(
            "/auth/sessions", headers={name: prefix.get(name, b"") + plain}
        )
        assert answer.status_code in {400, 401, 403}, (name, answer.text)
    answer = await api.callers[0].post(
        "/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers={"authorization": b"Basic " + plain},
    )
    assert answer.status_code in {400, 401}


# -- DS-7: at random ------------------------------------------------------------------------------

PIECES: tuple[bytes, ...] = (
    b"\x00", b"\r\n", b"%00", b"%ff", b"%ed%a0%80", b"'", b'"', b"\\", b"{", b"}", b"[", b"&", b"=",
    b"+", b";", b"..", b"/", b"%2f", b"\xf0\x9f\x92\xa9", b"\xff", b"1e400", b"null", b"\\ud800",
    b"-1", b"A" * 300,
)  # fmt: skip


@dataclass
class Fuzzer:
    """Mutates good requests; the same seed gives the same requests."""

    chance: random.Random
    good: list[tuple[str, str, dict[str, str], bytes]]

    def mutated(self, data: bytes) -> bytes:
        for _ in range(self.chance.randint(0, 4)):
            at = self.chance.randint(0, len(data))
            end = min(len(data), at + self.chance.choice((0, 0, 1, 3, 20)))
            data = data[:at] + self.chance.choice(PIECES) + data[end:]
        return data

    def request(self) -> bytes:
        """Return one request as bytes: line, headers and body each a little wrong, or not."""
        method, path, headers, body = self.chance.choice(self.good)
        chance = self.chance.random
        if chance() < 0.1:
            method = self.chance.choice(("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "FOO"))
        target = path.encode()
        if chance() < 0.3:
            target = self.mutated(target + b"?a=b").replace(b"\r\n", b"").replace(b" ", b"") or b"/"
        lines = [
            (name.encode(), self.mutated(value.encode()) if chance() < 0.2 else value.encode())
            for name, value in headers.items()
        ]
        body = self.mutated(body) if chance() < 0.7 else body
        head = b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" % (
            method.encode(),
            target,
        )
        head += b"".join(b"%s: %s\r\n" % pair for pair in lines)
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def good_requests(api: Api) -> list[tuple[str, str, dict[str, str], bytes]]:
    person = await api.person()
    device = await api.sign_in(person)
    app = {"X-Keyturn-Client": "app", "Origin": "https://app.example.com"}
    good: list[tuple[str, str, dict[str, str], bytes]] = []

    def form(path: str, **fields: str) -> None:
        text = "&".join(f"{name}={quote(value)}" for name, value in fields.items())
        good.append(("POST", path, {"Content-Type": FORM}, text.encode()))

    def body(path: str, members: dict[str, Any], method: str = "POST") -> None:
        content = json.dumps(members).encode()
        good.append((method, path, {"Content-Type": JSON, **app}, content))

    secret, tv = api.secrets["poster"] or "", await api.client(TELEVISION)
    form("/oauth2/token", grant_type="refresh_token", refresh_token=device.refresh_token, client_id="app")  # fmt: skip
    form("/oauth2/token", grant_type="client_credentials", scope="orders.read", client_id="poster", client_secret=secret)  # fmt: skip
    form("/oauth2/device_authorization", client_id=tv, scope="orders.read")
    form("/oauth2/token", grant_type=DEVICE_CODE, device_code="x" * 43, client_id=tv)
    gateway = await api.client(GATEWAY, auth_method="client_secret_post")
    form("/oauth2/token", grant_type=GATEWAY["grant_types"][0], client_id=gateway,
         client_secret=api.secrets[gateway] or "", subject_token=device.access_token,
         subject_token_type="urn:ietf:params:oauth:token-type:access_token")  # fmt: skip
    form("/oauth2/revoke", token=device.refresh_token[:-4], client_id="app")
    form("/oauth2/introspect", token=device.access_token, client_id="poster", client_secret=secret)
    for path in ("/auth/refresh", "/auth/reauthenticate", "/auth/logout-all", "/auth/password"):
        body(path, {**device.credential, "password": PASSWORD, "newPassword": PASSWORD})
    body("/auth/refresh", device.credential)
    body("/auth/logout", {"refreshToken": device.refresh_token[:-4]})
    body(ONE_SESSION, device.credential, "DELETE")
    shown = {"Authorization": f"Bearer {device.access_token}", **app}
    good += [("GET", path, shown, b"") for path in READ]
    # Once in a while, for each of these costs a hash.
    body("/auth/login", {"email": person.email, "password": PASSWORD, "rememberMe": True})
    return good


STATUSES = {200, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 429, 431}


async def fuzz(api: Api, requests: int, seed: int) -> None:
    """Send that many; every answer is one of ours, and the log tells of no failure."""
    fuzzer = Fuzzer(random.Random(seed), await good_requests(api))

    async def some(number: int) -> None:
        for _ in range(number):
            raw = fuzzer.request()
            answer = await ask(api, raw)
            assert status_of(answer) in STATUSES, (raw, answer)
            assert b"Traceback" not in answer
            assert b'File "' not in answer
            assert b"asyncpg" not in answer

    await asyncio.gather(*(some(requests // 8) for _ in range(8)))
    await is_alive(api)
    log = api.replicas[0].log.read_text()
    assert "request_failed" not in log
    for line in log.splitlines():
        assert not ('"event":"request"' in line and '"level":"error"' in line), line


async def test_DS_7_a_thousand_mutated_requests_fail_nothing(hasty):
    await fuzz(hasty, 1000, seed=7)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
async def test_DS_7_nor_do_a_hundred_thousand(hasty, seed):
    await fuzz(hasty, 10_000, seed)
