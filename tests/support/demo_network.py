"""The network between one browser and the demo: an HTTP proxy that reads along and breaks things.

What the page does not know of happens here, as it does on a train: a refresh reaches the server
and its answer is lost with the cookie in it, something in between answers instead, requests meet or
wait. It counts what went over it, so that nobody has to believe the page.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from urllib.parse import urlsplit

from support.tls_front import PATIENCE, Message, read_message

CORS = (
    "Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n"
    "Access-Control-Expose-Headers: Retry-After\r\n"
)
SIGNATURE = 6
"""Letters at the end of an access token that are replaced to have its signature refused."""


@dataclass(frozen=True, slots=True)
class Instead:
    """An answer that the server never gave; without `cors` it is one of something in between."""

    status: int
    retry_after: int | None = None
    cors: bool = True

    def raw(self, origin: str) -> bytes:
        """Return its bytes, for a page of this origin."""
        wait = "" if self.retry_after is None else f"Retry-After: {self.retry_after}\r\n"
        cors = CORS.format(origin=origin) if self.cors else ""
        line = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
        return f"{line}{cors}{wait}Connection: close\r\nContent-Length: 0\r\n\r\n".encode()


LOST = "lost"
"""The server answers, and the connection breaks before anything of it arrives."""
Fate = Instead | str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, and the status that the browser got: 0 for none."""

    method: str
    url: str
    is_refresh: bool
    status: int = 0

    @property
    def path(self) -> str:
        """What was asked for."""
        return urlsplit(self.url).path


@dataclass(eq=False)
class Gate:
    """Holds requests to one path; before the server has them, or what it answered."""

    path: str
    answers: bool
    waiting: int = 0
    _opened: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        """Let everything go on."""
        self._opened.set()

    async def passed(self, path: str, *, answers: bool) -> None:
        """Wait here if it is about this path and this way."""
        if path != self.path or answers is not self.answers:
            return
        self.waiting += 1
        async with asyncio.timeout(PATIENCE):
            await self._opened.wait()
        self.waiting -= 1


@dataclass(eq=False)
class DemoNetwork:
    """Carries everything between a browser and loopback."""

    api: str
    """The API's origin: tokens that are `expired` are spoiled on the way there."""
    port: int = 0
    log: list[Exchange] = field(default_factory=list)
    cookies: bool = True
    """Whether cookies pass; without them it is as in a browser that blocks a third party's."""
    fates: list[Fate] = field(default_factory=list)
    """What becomes of the next refreshes, one each."""
    gates: list[Gate] = field(default_factory=list)
    _shown: set[bytes] = field(default_factory=set)
    _expired: set[bytes] = field(default_factory=set)
    _meeting: asyncio.Barrier | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    def expire(self) -> None:
        """Have the API refuse every access token that it was shown until now."""
        self._expired |= self._shown

    def meet(self, count: int) -> None:
        """Let refreshes wait until `count` of them are here, then all go on together, once."""
        self._meeting = asyncio.Barrier(count)

    def hold(self, path: str, *, answers: bool = False) -> Gate:
        """Hold requests to a path, or the server's answers to them, until the gate is opened."""
        gate = Gate(path, answers)
        self.gates.append(gate)
        return gate

    def refreshes(self) -> list[int]:
        """Return the statuses that refreshes got, in order; 0 is none."""
        return [one.status for one in self.log if one.is_refresh]

    def orders(self) -> list[int]:
        """Return the statuses that the API's order list was answered with."""
        asked = [one for one in self.log if one.url.startswith(self.api) and one.method == "GET"]
        return [one.status for one in asked if one.path == "/orders"]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request: on a kept connection the browser itself would ask again unseen."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            question = await read_message(reader)
            answer = None if question is None else await self._answer(question)
            if answer is not None:
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass  # the browser left, or the test is over: the connection is closed below
        finally:
            writer.transport.abort()
            self._open.discard(task)

    async def end(self) -> None:
        """Close what is open."""
        for gate in self.gates:
            gate.open()
        open_now = list(self._open)
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)

    async def _answer(self, question: Message) -> bytes | None:
        """Return what the browser gets: nothing at all for a lost answer."""
        method, url = (part.decode() for part in question.first[:2])
        asked = Exchange(method, url, _is_refresh(question))
        fate = await self._fate(asked)
        if isinstance(fate, Instead):
            self.log.append(replace(asked, status=fate.status))
            return fate.raw(_field(question, b"origin").decode())
        answer = await self._passed_on(question, asked)
        status = 0 if fate == LOST else int(answer.first[1])
        self.log.append(replace(asked, status=status))
        return None if fate == LOST else answer.raw

    async def _fate(self, asked: Exchange) -> Fate | None:
        if not asked.is_refresh:
            return None
        if self._meeting is not None:
            async with asyncio.timeout(PATIENCE):
                await self._meeting.wait()
            self._meeting = None
        return self.fates.pop(0) if self.fates else None

    async def _passed_on(self, question: Message, asked: Exchange) -> Message:
        for gate in self.gates:
            await gate.passed(asked.path, answers=False)
        parts = urlsplit(asked.url)
        reader, writer = await asyncio.open_connection("127.0.0.1", parts.port or 80)
        try:
            writer.write(self._as_sent(question, asked))
            answer = await read_message(reader, bodiless=asked.method == "HEAD")
        finally:
            writer.transport.abort()
        assert answer is not None, f"no answer to {asked}"
        for gate in self.gates:
            await gate.passed(asked.path, answers=True)
        kept = _without(answer, b"connection", *([] if self.cookies else [b"set-cookie"]))
        return replace(kept, head=kept.head[:-2] + b"Connection: close\r\n\r\n")

    def _as_sent(self, question: Message, asked: Exchange) -> bytes:
        """Return the request in the form for a server, its token spoiled if it is expired."""
        told = urlsplit(asked.url)._replace(scheme="", netloc="").geturl() or "/"
        sent = _without(question, b"proxy-connection", *([] if self.cookies else [b"cookie"]))
        head = sent.head.replace(question.first[1], told.encode(), 1)
        token = _field(question, b"authorization").removeprefix(b"Bearer ")
        if token and asked.url.startswith(self.api):
            self._shown.add(token)
            if token in self._expired:
                head = head.replace(token, token[:-SIGNATURE] + b"A" * SIGNATURE)
        return head + sent.body


def _is_refresh(question: Message) -> bool:
    method, url, _ = question.first
    path = urlsplit(url.decode()).path
    by_code = path == "/oauth2/token" and b"grant_type=refresh_token" in question.body
    return method == b"POST" and (by_code or path == "/auth/refresh")


def _lines(message: Message) -> Iterable[tuple[bytes, bytes]]:
    """Yield each line of a head with the name of its field in small letters."""
    for line in message.head.split(b"\r\n")[:-2]:
        yield line.partition(b":")[0].lower(), line


def _field(message: Message, name: bytes) -> bytes:
    found = (line.partition(b":")[2].strip() for one, line in _lines(message) if one == name)
    return next(found, b"")


def _without(message: Message, *names: bytes) -> Message:
    kept = [line for name, line in _lines(message) if name not in names]
    return replace(message, head=b"\r\n".join([*kept, b"", b""]))


@asynccontextmanager
async def demo_network(api: str) -> AsyncIterator[DemoNetwork]:
    """Carry requests until the end of the block."""
    network = DemoNetwork(api)
    server = await asyncio.start_server(network.serve, "127.0.0.1", 0)
    network.port = server.sockets[0].getsockname()[1]
    try:
        yield network
    finally:
        server.close()
        await network.end()
