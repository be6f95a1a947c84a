"""A TCP proxy in front of a server: it holds, delays and cuts, and reads along.

Towards PostgreSQL it knows which statements pass (`statements`, by their text, as often as they
were executed), towards Redis which commands (`commands`, by their words), so that a test can tell
what one request costs without asking the server.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

WITHOUT_TYPE = {80877102, 80877103, 80877104}
"""Codes of CancelRequest, SSLRequest and GSSENCRequest: a start-up packet may follow them."""
Way = Literal["questions", "answers"]


@dataclass(slots=True)
class Dialogue:
    """What one client of PostgreSQL says, read from the bytes of protocol 3."""

    statements: Counter[str]
    questions: Counter[bytes] = field(default_factory=Counter)
    """Messages after which it waits for the server (simple query, sync, flush): its round trips."""
    _unread: bytes = b""
    _started: bool = False
    _texts: dict[bytes, str] = field(default_factory=dict)
    _portals: dict[bytes, bytes] = field(default_factory=dict)

    def hear(self, data: bytes) -> None:
        """Read on."""
        self._unread += data
        while (message := self._next()) is not None:
            self._understand(*message)

    def _next(self) -> tuple[bytes, bytes] | None:
        head = 1 if self._started else 0
        if len(self._unread) < head + 4:
            return None
        length = int.from_bytes(self._unread[head : head + 4], "big")
        if len(self._unread) < head + length:
            return None
        kind, body = self._unread[:head], self._unread[head + 4 : head + length]
        self._unread = self._unread[head + length :]
        if not self._started:
            self._started = int.from_bytes(body[:4], "big") not in WITHOUT_TYPE
        return kind, body

    def _understand(self, kind: bytes, body: bytes) -> None:
        first, _, rest = body.partition(b"\0")
        if kind in {b"Q", b"S", b"H"}:
            self.questions[kind] += 1
        if kind == b"P":
            self._texts[first] = rest.partition(b"\0")[0].decode()
        elif kind == b"B":
            self._portals[first] = rest.partition(b"\0")[0]
        elif kind == b"E":
            self.statements[self._texts[self._portals[first]]] += 1
        elif kind == b"Q":
            self.statements[first.decode()] += 1


@dataclass(slots=True)
class Commands:
    """What one client of Redis says: arrays of words, as every driver sends them."""

    commands: Counter[tuple[bytes, ...]]
    _unread: bytes = b""

    def hear(self, data: bytes) -> None:
        """Read on."""
        self._unread += data
        while (end := self._next()) is not None:
            self._unread = self._unread[end:]

    def _next(self) -> int | None:
        """Count the first command, if all of it is there, and return where it ends."""
        count, at = self._number(0)
        words = []
        for _ in range(count):
            length, start = self._number(at)
            at = start + length + 2
            words.append(self._unread[start : start + length])
        if not words or at > len(self._unread):
            return None
        self.commands[tuple(words)] += 1
        return at

    def _number(self, at: int) -> tuple[int, int]:
        """Return the number of the line `*3` or `$5` that begins at `at`, and where that ends."""
        end = self._unread.find(b"\r\n", at)
        return (0, len(self._unread) + 1) if end < 0 else (int(self._unread[at + 1 : end]), end + 2)


@dataclass(eq=False)
class Proxy:
    """Passes bytes between clients on a loopback port and `target`: a Unix socket, or `host:port`."""

    target: str
    postgres: bool = False
    redis: bool = False
    port: int = 0
    delay: float = 0.0
    """Seconds each piece of an answer arrives later."""
    connections: int = 0
    statements: Counter[str] = field(default_factory=Counter)
    questions: Counter[bytes] = field(default_factory=Counter)
    commands: Counter[tuple[bytes, ...]] = field(default_factory=Counter)
    held: Counter[Way] = field(default_factory=Counter)
    """Connections on which something is being held back now."""
    _gates: dict[Way, asyncio.Event] = field(
        default_factory=lambda: {"questions": asyncio.Event(), "answers": asyncio.Event()}
    )
    _passing: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @classmethod
    @asynccontextmanager
    async def to(
        cls, target: str, *, postgres: bool = False, redis: bool = False
    ) -> AsyncIterator["Proxy"]:
        """Listen, and pass everything on to `target`."""
        proxy = cls(target, postgres, redis)
        await proxy.mend()
        try:
            yield proxy
        finally:
            await proxy.refuse()

    def hold(self, way: Way) -> None:
        """Let nothing pass that way, until `release`; who waits does not notice."""
        self._gates[way].clear()

    def release(self) -> None:
        """Let everything pass, what was held back first."""
        for gate in self._gates.values():
            gate.set()

    async def cut(self) -> None:
        """Drop every connection, and what was held back on it; new ones are welcome."""
        passing = list(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def refuse(self) -> None:
        """Drop every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def mend(self) -> None:
        """Listen (again), everything passing at once."""
        self.release()
        self.delay = 0.0
        if self._server is None or not self._server.is_serving():
            self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        self.connections += 1
        writers = [writer]
        try:
            behind, forth = await self._reach()
            writers.append(forth)
            await asyncio.gather(
                self._pass_on(reader, forth, "questions", self._ear()),
                self._pass_on(behind, writer, "answers", None),
            )
        except (OSError, asyncio.CancelledError):
            pass  # a server that is away, a client that left, a cut: both ends are closed below
        finally:
            for one in writers:
                one.transport.abort()
            self._passing.discard(task)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.target.startswith("/"):
            return await asyncio.open_unix_connection(self.target)
        host, _, port = self.target.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    def _ear(self) -> Dialogue | Commands | None:
        if self.postgres:
            return Dialogue(self.statements, self.questions)
        return Commands(self.commands) if self.redis else None

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: Way,
        ear: Dialogue | Commands | None,
    ) -> None:
        while data := await reader.read(65536):
            if ear is not None:
                ear.hear(data)
            if way == "answers" and self.delay:
                await asyncio.sleep(self.delay)
            await self._pass_gate(way)
            if writer.is_closing():
                return
            writer.write(data)
            await writer.drain()
        with suppress(OSError, RuntimeError):
            writer.write_eof()

    async def _pass_gate(self, way: Way) -> None:
        gate = self._gates[way]
        if gate.is_set():
            return
        self.held[way] += 1
        try:
            await gate.wait()
        finally:
            self.held[way] -= 1
