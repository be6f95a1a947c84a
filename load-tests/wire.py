"""An HTTP/1.1 load generator in one process: keep-alive connections, one request at a time each.

It understands just what the server under test sends (a status, `content-length`, a body), because
every microsecond spent here is taken from PostgreSQL, which runs on the same core.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, cast

import orjson

OK = 200


class Source(Protocol):
    """Where one connection gets its requests from, and where its answers go."""

    def request(self) -> bytes | None:
        """Return the whole next request; None when this connection has none left."""
        ...

    def answered(self, body: bytes) -> None:
        """Take the body of a 200."""
        ...


@dataclass(slots=True, eq=False)
class Repeated:
    """The same request, over and over."""

    message: bytes

    def request(self) -> bytes:
        """Return it."""
        return self.message

    def answered(self, body: bytes) -> None:
        """There is nothing to remember."""


@dataclass(slots=True, eq=False)
class EachOnce:
    """Requests that differ in their last value, each good for one; connections may share them."""

    prefix: bytes
    values: deque[bytes]

    def request(self) -> bytes | None:
        """Return the next one."""
        return self.prefix + self.values.popleft() if self.values else None

    def answered(self, body: bytes) -> None:
        """There is nothing to remember."""


@dataclass(slots=True, eq=False)
class InTurn:
    """The same few requests, one after the other."""

    messages: deque[bytes]

    def request(self) -> bytes:
        """Return the one that was sent longest ago."""
        self.messages.rotate(-1)
        return self.messages[0]

    def answered(self, body: bytes) -> None:
        """There is nothing to remember."""


@dataclass(slots=True, eq=False)
class RotatingTokens:
    """Refresh requests for some sessions in turn; each answer's token is what it sends next.

    A token whose refresh fails is not sent again: that would be reuse, and end the session.
    """

    prefix: bytes
    tokens: deque[bytes]
    access_token: str = ""

    def request(self) -> bytes | None:
        """Return the refresh of the session that has waited longest."""
        return self.prefix + self.tokens.popleft() if self.tokens else None

    def answered(self, body: bytes) -> None:
        """Keep the child for this session's next turn."""
        answer = orjson.loads(body)
        self.access_token = answer["access_token"]
        self.tokens.append(answer["refresh_token"].encode())


@dataclass(slots=True, eq=False)
class Run:
    """What the connections of one run share: how much is left to ask, and what came back."""

    requests: int
    until: float = float("inf")
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def take(self) -> bool:
        """Claim one more request, if one is left and there is time; for the first, there is."""
        if self.requests <= 0 or (self.latencies and time.perf_counter() >= self.until):
            return False
        self.requests -= 1
        return True


class Connection(asyncio.Protocol):
    """One connection: asks, waits for the whole answer, asks again; `done` when there is no more.

    Anything but a 200, and a connection that the server closes, is an error of the run.
    """

    def __init__(self, run: Run, source: Source) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._run = run
        self._source = source
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first question."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Collect one answer; count it, and ask again."""
        self._received = received = self._received + data if self._received else data
        head_end = received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head, body = received[:head_end].lower(), received[head_end + 4 :]
        if len(body) < _content_length(head):
            return
        self._run.latencies.append(time.perf_counter() - self._sent_at)
        self._received = b""
        status = int(head[9:12])
        if status == OK:
            self._source.answered(body)
        else:
            self._run.errors[f"{status} {body[:200].decode(errors='replace')}"] += 1
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that ended before its work did."""
        if not self.done.done():
            self._run.errors[f"connection lost: {exc or 'closed by the server'}"] += 1
            self.done.set_result(None)

    def close(self) -> None:
        """Be done."""
        if self._transport is not None and not self.done.done():
            self.done.set_result(None)
            self._transport.close()

    def _ask(self) -> None:
        if not (self._run.take() and self._write(time.perf_counter())):
            self.close()

    def _write(self, sent_at: float) -> bool:
        """Send the next request, if there is one and somebody to send it to."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        request = self._source.request()
        if request is not None:
            self._sent_at = sent_at
            transport.write(request)
        return request is not None


def _content_length(head: bytes) -> int:
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if not found:
        raise ValueError(f"an answer without content-length: {head!r}")
    return int(rest.split(b"\r\n", 1)[0])


async def drive(port: int, run: Run, sources: Sequence[Source]) -> float:
    """Work `run` off, one connection a source; return the seconds it took."""
    began = time.perf_counter()
    connections = [Connection(run, source) for source in sources]
    await connect(port, connections)
    await asyncio.gather(*(connection.done for connection in connections))
    return time.perf_counter() - began


async def connect(port: int, connections: Sequence[Connection]) -> None:
    """Open them all; each asks as soon as it is open."""
    loop = asyncio.get_running_loop()
    for connection in connections:
        await loop.create_connection(partial(_same, connection), "127.0.0.1", port)


def _same(connection: Connection) -> Connection:
    return connection


def message(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Return a whole request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
