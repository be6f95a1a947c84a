"""DS, OP, TK: what the HTTP layer lets in, on raw sockets against a real server."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest

from support.site import Conversation, RunningSite, running_site

HOST = b"Host: id.example\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
async def site() -> AsyncIterator[RunningSite]:
    async with running_site(header_timeout=0.4, body_timeout=0.4, idle_timeout=0.5) as site:
        yield site


def get(path: bytes = b"/path", *lines: bytes) -> bytes:
    extra = b"".join(line + b"\r\n" for line in lines)
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + extra + b"Connection: close\r\n\r\n"


def post(body: bytes, *lines: bytes, length: int | None = None) -> bytes:
    extra = b"".join(line + b"\r\n" for line in lines)
    size = len(body) if length is None else length
    announced = b"Content-Length: %d\r\n" % size
    return b"POST /form HTTP/1.1\r\n" + HOST + FORM + announced + extra + b"\r\n" + body


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    assert found, answer[:200]
    return int(found[1])


def headers(answer: bytes) -> dict[str, str]:
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }


def body(answer: bytes) -> dict[str, object]:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_DS_1_a_form_over_16_KiB_is_refused_by_its_announced_length(site):
    answer = await site.say(post(b"", length=16385))
    assert status(await answer.answer(1)) == 413


async def test_DS_1_a_form_of_exactly_16_KiB_is_read(site):
    async with await site.say(post(b"a=" + b"x" * 16382)) as conversation:
        assert status(await conversation.answer()) == 200


async def test_DS_1_a_chunked_form_over_16_KiB_is_refused_without_reading_on(site):
    head = b"POST /form HTTP/1.1\r\n" + HOST + FORM + b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%b\r\n" % (9000, b"a" * 9000)
    async with await site.say(head, chunk, chunk) as conversation:
        answer = await conversation.answer()
    assert (status(answer), body(answer)["error"]) == (413, "request_too_large")


@pytest.mark.parametrize("size", [16_500, 20_000, 60_000, 400_000])
async def test_DS_1_a_header_block_over_16_KiB_is_431(site, size):
    answer = await site.ask(get(b"/path", b"X-Long: " + b"a" * size))
    assert status(answer) == 431
    assert headers(answer)["connection"] == "close"


async def test_DS_1_a_header_without_an_end_is_431_however_it_trickles_in(site):
    async with await site.say(b"GET /path HTTP/1.1\r\n" + HOST + b"X-Long: ") as conversation:
        for _ in range(40):
            await conversation.send(b"a" * 1500)
        assert status(await conversation.rest()) == 431


async def test_DS_1_many_small_headers_are_431(site):
    assert status(await site.ask(get(b"/path", *[b"a: b"] * 200))) == 431


async def test_DS_1_a_header_block_of_15_KiB_is_read(site):
    assert status(await site.ask(get(b"/path", b"X-Long: " + b"a" * 15_000))) == 200


@pytest.mark.parametrize("size", [8_300, 16_000])
async def test_DS_1_a_url_over_8_KiB_is_414(site, size):
    assert status(await site.ask(get(b"/path?" + b"a" * size))) == 414


async def test_DS_1_a_url_of_8_KiB_is_read(site):
    assert status(await site.ask(get(b"/path?" + b"a" * 8_000))) == 200


async def test_DS_1_a_head_that_stops_is_408_and_closed(site):
    """Slowloris: a byte now and then does not buy more time."""
    async with await site.say(b"GET /path HTTP/1.1\r\n") as conversation:
        for byte in (b"H", b"o", b"s", b"t"):
            await conversation.send(byte)
        assert status(await conversation.rest(2)) == 408


async def test_DS_1_a_silent_connection_is_closed(site):
    async with await site.say() as conversation:
        assert await conversation.rest(2) == b""


async def test_DS_1_line_ends_alone_keep_no_connection_open(site):
    async with await site.say(b"\r\n", b"\r\n") as conversation:
        assert await conversation.rest(2) == b""


async def test_DS_1_500_slow_connections_do_not_keep_others_out(site):
    slow = await asyncio.gather(*(site.say(b"GET /path HTTP/1.1\r\nX: ") for _ in range(500)))
    assert status(await site.ask(get())) == 200
    ends = await asyncio.gather(*(one.rest(4) for one in slow))
    assert {status(end) for end in ends} == {408}
    for one in slow:
        one.writer.close()


async def test_DS_1_a_body_shorter_than_announced_times_out_with_408(site):
    async with await site.say(post(b"a=1", length=100)) as conversation:
        answer = await conversation.rest(2)
    assert (status(answer), body(answer)["error"]) == (408, "request_timeout")


async def test_a_caller_who_leaves_while_sending_is_logged_as_gone_and_not_as_wrong(site):
    seen = len(site.log.text)
    async with await site.say(post(b"a=1", length=100)):
        pass
    async with asyncio.timeout(30):
        while '"event":"request"' not in site.log.text[seen:]:
            await asyncio.sleep(0.001)
    told = site.log.text[seen:]
    assert '"status":499' in told
    assert "request_failed" not in told
    assert '"error"' not in told


async def test_DS_1_an_idle_connection_is_closed(site):
    async with await site.say(b"GET /path HTTP/1.1\r\n" + HOST + b"\r\n") as conversation:
        assert status(await conversation.answer()) == 200
        assert await conversation.rest(2) == b""


async def test_DS_1_an_unread_body_after_the_answer_does_not_hold_the_connection(site):
    head = b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n"
    async with await site.say(head) as conversation:
        assert status(await conversation.answer()) == 404
        await conversation.send(b"some")
        assert await conversation.rest(2) == b""


async def test_DS_2_a_form_of_65_fields_is_refused(site):
    fields = b"&".join(b"f%d=1" % number for number in range(65))
    async with await site.say(post(fields)) as conversation:
        answer = await conversation.answer()
    assert (status(answer), body(answer)["error"]) == (400, "invalid_request")


async def test_DS_2_5000_fields_are_refused_in_a_moment(site):
    async with await site.say(post(b"&".join([b"a=1"] * 4000))) as conversation:
        assert status(await conversation.answer(0.5)) == 400


UNREADABLE = {
    "both lengths": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, reversed": b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "length twice": b"Content-Length: 3\r\nContent-Length: 3\r\n\r\na=1",
    "length in a list": b"Content-Length: 3, 3\r\n\r\na=1",
    "length with a sign": b"Content-Length: +3\r\n\r\na=1",
    "negative length": b"Content-Length: -3\r\n\r\na=1",
    "space before colon": b"Content-Length : 3\r\n\r\na=1",
    "folded line": b"X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare line feed": b"X: a\nContent-Length: 0\r\n\r\n",
    "bare carriage return": b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "no name": b": a\r\nContent-Length: 0\r\n\r\n",
    "two codings": b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "a misspelt coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding after chunked": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a coding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk end": b"Transfer-Encoding: chunked\r\n\r\n3\r\na=1XX0\r\n\r\n",
    "a space in the chunk size": b"Transfer-Encoding: chunked\r\n\r\n3 \r\na=1\r\n0\r\n\r\n",
    "a negative chunk size": b"Transfer-Encoding: chunked\r\n\r\n-3\r\na=1\r\n0\r\n\r\n",
    "two hosts": b"Host: evil.example\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_DS_4_an_ambiguous_request_is_400_and_the_connection_closes(site, name):
    """One answer, and the request smuggled behind it is never read."""
    smuggled = get(b"/path?smuggled")
    raw = b"POST /form HTTP/1.1\r\n" + HOST + FORM + UNREADABLE[name] + smuggled
    answer = await site.ask(raw)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /path HTTP/1.1\r\n\r\n",
        b"POST /form HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT id.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /path\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /path HTTP/9.9\r\n" + HOST + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"quit\r\n\r\n",
    ],
)
async def test_DS_4_what_is_not_HTTP_1_is_400(site, raw):
    answer = await site.ask(raw)
    assert (status(answer), body(answer)["error"]) == (400, "invalid_request")


async def test_DS_4_rubbish_behind_a_good_request_does_not_cost_it_its_answer(site):
    answer = await site.ask(b"GET /path HTTP/1.1\r\n" + HOST + b"\r\n" + b"\x00rubbish\r\n\r\n")
    assert (status(answer), answer.count(b"HTTP/1.1 ")) == (200, 1)


async def test_DS_4_two_pipelined_requests_get_two_answers_in_order(site):
    first = b"GET /path HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = await site.ask(first + get(b"/nowhere"))
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"404"]


async def test_an_offered_upgrade_is_ignored_and_the_body_is_read(site):
    """Java's client offers h2c with every POST over plain HTTP."""
    raw = post(
        b"a=1", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"
    )
    for pieces in ([raw], [raw[:-3], raw[-3:]], [raw[:-60], raw[-60:]]):
        async with await site.say(*pieces) as conversation:
            answer = await conversation.rest()
        assert (status(answer), body(answer)) == (200, {"a": "1"})
        assert headers(answer)["connection"] == "close"


@pytest.mark.parametrize("path", [b"/path%0d%0aX-Evil:1", b"/path?a=%0d%0aX-Evil:%201"])
async def test_DS_5_line_ends_in_a_url_never_reach_a_header(site, path):
    answer = await site.ask(get(path))
    assert "x-evil" not in headers(answer)


@pytest.mark.parametrize("end", [b"%0a", b"%0A", b"%0d", b"%00", b"%7f", b"%c2%85", b"%e2%80%a8"])
async def test_DS_5_a_path_with_a_control_character_is_none_of_ours(site, end):
    """A pattern that ends in `$` also matches before a last line end."""
    for path in (b"/path", b"/auth/broken"):
        answer = await site.ask(get(path + end))
        assert (status(answer), body(answer)["error"]) == (404, "not_found")
    assert "path: not printable" in site.log.text


@pytest.mark.parametrize("value", [b"a%0d%0aX-Evil:%201", b"a%00", b"a%1f", b"%7f"])
async def test_DS_5_control_characters_in_a_form_are_refused(site, value):
    async with await site.say(post(b"state=" + value)) as conversation:
        answer = await conversation.answer()
    assert status(answer) == 400
    assert "x-evil" not in headers(answer)


async def test_DS_5_an_inbound_request_id_is_not_echoed_to_a_stranger(site):
    answer = await site.ask(get(b"/path", b"X-Request-Id: chosen-by-caller"))
    assert headers(answer)["x-request-id"] != "chosen-by-caller"


async def test_OP_5_no_answer_names_the_software(site):
    for raw in (get(), get(b"/nowhere"), b"rubbish\r\n\r\n"):
        answer = await site.ask(raw)
        assert "server" not in headers(answer)
        assert "date" in headers(answer)
        assert not re.search(rb"(?i)uvicorn|starlette|python|h11|httptools", answer)


async def test_OP_5_an_unknown_path_and_a_wrong_method_look_alike_everywhere(site):
    missing = await site.ask(get(b"/nowhere"))
    assert (status(missing), body(missing)["error"]) == (404, "not_found")
    wrong = await site.ask(get(b"/form"))
    assert (status(wrong), body(wrong)["error"]) == (405, "method_not_allowed")
    assert headers(wrong)["allow"] == "POST"
    assert headers(wrong)["content-type"] == headers(missing)["content-type"] == "application/json"


async def test_OP_5_a_failure_shows_nothing_but_server_error(site):
    answer = await site.ask(get(b"/broken"))
    assert status(answer) == 500
    assert set(body(answer)) == {"error", "error_description"}
    assert body(answer)["error"] == "server_error"
    assert b"Traceback" not in answer
    assert b"postgresql" not in answer


async def test_OP_5_a_failure_of_the_session_api_shows_the_request_id(site):
    answer = await site.ask(get(b"/auth/broken"))
    assert body(answer)["requestId"] == headers(answer)["x-request-id"]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /path HTTP/1.1\r\nHost: a/form?x=\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example/path HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        b"GET /path HTTP/1.1\r\n" + HOST + b"X-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /x\r\n"
        b"X-Original-URL: /form\r\nForwarded: host=evil\r\nConnection: close\r\n\r\n",
    ],
)
async def test_OP_8_the_path_is_the_request_line_s_whatever_headers_say(site, raw):
    answer = await site.ask(raw)
    assert (status(answer), body(answer)["path"]) == (200, "/path")
    assert b"evil" not in answer


@pytest.mark.parametrize("raw", [get(), get(b"/nowhere"), b"rubbish\r\n\r\n"])
async def test_every_answer_demands_tls_and_forbids_sniffing(site, raw):
    answer = headers(await site.ask(raw))
    assert answer["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert answer["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("raw", [get(b"/nowhere"), get(b"/form"), get(b"/broken")])
async def test_TK_4_errors_are_not_kept_by_caches(site, raw):
    answer = headers(await site.ask(raw))
    assert (answer["cache-control"], answer["pragma"]) == ("no-store", "no-cache")


async def test_the_server_counts_what_it_would_not_read(site):
    site.refused.clear()
    await site.ask(b"rubbish\r\n\r\n")
    assert site.refused == [400]


async def test_connections_to_the_management_port_are_bounded_too(site):
    async with await Conversation.begin(site.management_port, b"GET / HTTP/1.1\r\nX: ") as one:
        assert status(await one.rest(2)) == 408


async def test_OP_1_a_failure_is_logged_without_the_password_of_its_message(site):
    await site.ask(get(b"/broken"))
    assert "cannot reach postgresql://[redacted]@db" in site.log.text
    assert "pw-of-dsn@" not in site.log.text


async def test_OP_1_no_query_body_or_header_is_logged(site):
    await site.ask(get(b"/path?token=canary-1", b"X-Secret: canary-2", b"Authorization: canary-3"))
    async with await site.say(post(b"a=canary-4&a=canary-4")) as conversation:
        await conversation.answer()
    await site.ask(get(b"/canary-5"))
    assert "canary" not in site.log.text
