"""A TCP proxy in front of a Unix socket, to hold back or cut what passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


def _open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@dataclass
class Wire:
    """Two gates: `questions` pass to the server, `answers` to the client, while they are set."""

    target: str
    questions: asyncio.Event = field(default_factory=_open_gate)
    answers: asyncio.Event = field(default_factory=_open_gate)
    port: int = 0
    connections: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _server: asyncio.Server | None = None

    @classmethod
    @asynccontextmanager
    async def to(cls, target: str) -> AsyncIterator["Wire"]:
        """Listen on a port of the loopback and pass everything on to the socket `target`."""
        wire = cls(target)
        await wire.mend()
        try:
            yield wire
        finally:
            await wire.cut()

    async def cut(self) -> None:
        """Close every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def mend(self) -> None:
        """Listen (again)."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        server_reader, server_writer = await asyncio.open_unix_connection(self.target)
        self._writers += [writer, server_writer]
        await asyncio.gather(
            _pass_on(reader, server_writer, self.questions),
            _pass_on(server_reader, writer, self.answers),
        )


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event
) -> None:
    """Pass on until one side hangs up; what was read while the gate was shut goes when it opens."""
    with suppress(ConnectionError, OSError):
        while data := await reader.read(65536):
            await gate.wait()
            writer.write(data)
            await writer.drain()
    writer.close()
