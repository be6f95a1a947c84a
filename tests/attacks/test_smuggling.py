"""Smuggling probes on raw sockets, at both ports of a real server: one answer, or none, and nothing behind it.

`spec/test_http_hardening.py` holds the parser's bounds against a small application; this asks the
whole server whether anything hidden in a request ever became one.
"""

import asyncio
import re

import pytest

from attacks.smuggling import FORM, HIDDEN, MARK, POST, PROBES, WANTED, length
from support.site import Conversation

STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
ABSOLUTE = (
    b"http://evil.example/oauth2/userinfo", b"http://localhost:8080/oauth2/userinfo", b"https://a@b/oauth2/userinfo",
    b"//evil.example/oauth2/userinfo", b"http:///oauth2/userinfo", b"*", b"localhost:80", b"/oauth2/userinfo#f", b"?",
)  # fmt: skip
PLAIN = b"GET /oauth2/userinfo HTTP/1.1\r\nHost: localhost\r\n"
LAST = PLAIN + b"Connection: close\r\n\r\n"


def port_of(url):
    return int(url.rpartition(":")[2])


@pytest.fixture(params=["url", "management_url"])
def port(request, target):
    """Of each door of the server."""
    return port_of(getattr(target.replicas[0], request.param))


async def everything(port, *pieces):
    """Send pieces and return all that comes until the server hangs up."""
    async with await Conversation.begin(port) as conversation:
        try:
            for piece in pieces:
                await conversation.send(piece)
            return await conversation.rest()
        except ConnectionError:
            return b""  # hung up on, with octets of ours unread


def statuses(answer):
    """Return every final status."""
    return [int(one) for one in STATUS.findall(answer) if not one.startswith(b"1")]


async def is_as_before(target):
    """Whether the server lives, answers, and has not failed."""
    assert target.replicas[0].process.poll() is None
    (status,) = statuses(await everything(port_of(target.replicas[0].url), LAST))
    return status == 401 and b"request_failed" not in target.replicas[0].log.read_bytes()


def read(target):
    """Return how often the hidden request was answered, as the log tells."""
    return target.replicas[0].log.read_bytes().count(WANTED)


async def probed(target, port, *pieces):
    """Send a probe and then an honest request; return the statuses, none of them of the hidden one."""
    began = read(target)
    answer = await everything(port, *pieces, LAST)
    assert await is_as_before(target)
    assert MARK not in answer, answer[:600]
    assert read(target) == began
    found = statuses(answer)
    assert len(found) <= 2
    return found


@pytest.mark.parametrize("probe", PROBES, ids=lambda one: one.name)
async def test_nothing_hidden_in_a_request_becomes_one(target, probe):
    found = await probed(target, port_of(target.replicas[0].url), probe.raw)
    assert set(found[:1]) <= probe.statuses
    assert found[1:] in ([], [401])


async def test_a_hidden_request_that_became_one_would_be_found(target):
    honest = POST + FORM + length(3) + b"\r\na=1"
    with pytest.raises(AssertionError, match="keys"):
        await probed(target, port_of(target.replicas[0].url), honest + HIDDEN)


@pytest.mark.long
@pytest.mark.parametrize("probe", PROBES, ids=lambda one: one.name)
async def test_nor_at_the_management_port(target, probe):
    here = probe.raw.replace(WANTED, b"/health/live".ljust(len(WANTED), b"?"))
    answer = await everything(port_of(target.replicas[0].management_url), here, LAST)
    assert b'"live"' not in answer
    assert set(statuses(answer)) <= probe.statuses | {404}
    assert await is_as_before(target)


@pytest.mark.long
@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("probe", PROBES, ids=lambda one: one.name)
async def test_nor_when_it_comes_in_small_pieces(target, probe, size):
    """The end of a request is not where a packet ends."""
    raw = probe.raw[:900]
    pieces = (raw[at : at + size] for at in range(0, len(raw), size))
    await probed(target, port_of(target.replicas[0].url), *pieces)


@pytest.mark.parametrize("wanted", ABSOLUTE)
async def test_a_target_in_another_form_leads_nowhere_else(target, port, wanted):
    answer = await everything(
        port, b"GET " + wanted + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    (status,) = statuses(answer)
    assert status in {400, 401, 404}
    assert b"evil" not in answer


async def test_pipelined_requests_are_answered_each_once_and_in_order(target):
    port = port_of(target.replicas[0].url)
    asked = [PLAIN + b"\r\n", b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
             POST + FORM + length(3) + b"\r\na=1", b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"]  # fmt: skip
    answer = await everything(port, b"".join(asked) * 5 + LAST)
    assert statuses(answer) == [401, 200, 401, 404] * 5 + [401]


async def test_rubbish_behind_pipelined_requests_costs_none_its_answer_and_begins_none(target):
    port = port_of(target.replicas[0].url)
    answer = await everything(port, (PLAIN + b"\r\n") * 3 + b"\x00rubbish\r\n\r\n" + LAST)
    found = statuses(answer)
    assert found in ([401] * 3, [401] * 3 + [400])
    assert await is_as_before(target)


@pytest.mark.parametrize("share", range(1, 10))
async def test_a_caller_who_leaves_early_leaves_no_mark(target, share):
    """At every tenth of a request, by closing and by resetting."""
    port = port_of(target.replicas[0].url)
    raw = POST + FORM + length(400) + b"\r\n" + b"a=" + b"b" * 398
    for reset in (False, True):
        conversation = await Conversation.begin(port, raw[: len(raw) * share // 10])
        if reset:
            conversation.writer.transport.abort()
        else:
            conversation.writer.close()
            await conversation.writer.wait_closed()
    assert await is_as_before(target)


async def test_400_callers_who_leave_at_once_leave_no_mark(target):
    port = port_of(target.replicas[0].url)

    async def leave():
        conversation = await Conversation.begin(port, LAST)
        conversation.writer.transport.abort()

    await asyncio.gather(*(leave() for _ in range(400)))
    assert await is_as_before(target)
