"""One exchange, with servers that frame their answers in every way, or not at all."""

import asyncio
import ssl

import pytest

from keyturn.doctor import wire
from keyturn.doctor.wire import NoAnswer, Question, Target
from keyturn.outgoing.resolver import SystemResolver

HEAD = b"HTTP/1.1 200 OK\r\nX-One: a\r\nx-one: b\r\n"


async def ask(said: bytes):
    """Return the answer of a server that says this, and what it was asked."""
    asked = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        target = Target(url, "https://id.example", ssl.create_default_context(), SystemResolver())
        return await target.ask(Question("/p")), asked


@pytest.mark.parametrize(
    "framed",
    [
        b"Content-Length: 4\r\n\r\nbody",
        b"\r\nbody",
        b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
    ],
)
async def test_a_body_is_read_however_it_is_framed(framed):
    answer, asked = await ask(HEAD + framed)
    assert (answer.status, answer.body, answer.tls) == (200, b"body", None)
    assert answer.all("x-one") == ["a", "b"]
    assert b"\r\nHost: id.example\r\n" in asked
    assert b"\r\nAccept-Encoding: identity\r\n" in asked


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "language"),
        (b"HTTP/1.1 many\r\n\r\n", "language"),
        (b"HTTP/1.1\r\n\r\n", "language"),
        (b"", "connection"),
        (HEAD + b"Content-Length: 9\r\n\r\nbody", "connection"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", "language"),
        (HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n", "language"),
    ],
)
async def test_what_is_no_answer_says_why(said, kind):
    with pytest.raises(NoAnswer) as caught:
        await ask(said)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("url", "kind"),
    [("http://127.0.0.1:1", "connection"), ("http://nobody.invalid", "connection")],
)
async def test_where_nobody_is_there_is_no_answer(url, kind):
    target = Target(url, url, ssl.create_default_context(), SystemResolver())
    with pytest.raises(NoAnswer) as caught:
        await target.ask(Question("/"))
    assert caught.value.kind == kind


async def test_silence_ends_at_the_deadline(monkeypatch):
    monkeypatch.setattr(wire, "DEADLINE", 0.05)

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        target = Target(url, url, ssl.create_default_context(), SystemResolver())
        with pytest.raises(NoAnswer) as caught:
            await target.ask(Question("/"))
    assert caught.value.kind == "silence"
