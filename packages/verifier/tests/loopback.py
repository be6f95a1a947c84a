"""An HTTP server of plain sockets on loopback, which can misbehave as servers do."""

import asyncio
from contextlib import asynccontextmanager

HANG, CUT, DRIP = "hang", "cut", "drip"


class Site:
    """Answers by path: a text, `(status, headers, text)`, or a way to misbehave."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.headers = []
        self.hanging = asyncio.Event()
        self.origin = ""
        self._connections = set()

    async def connected(self, reader, writer):
        self._connections.add(asyncio.current_task())
        try:
            await self._answer(reader, writer)
        except ConnectionError:
            return  # the caller had enough
        finally:
            self._connections.discard(asyncio.current_task())
            writer.close()

    async def aclose(self):
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _answer(self, reader, writer):
        line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        path = line.split()[1]
        self.asked.append(path)
        self.headers.append(
            {name.lower(): value for name, _, value in (f.partition(": ") for f in fields if f)}
        )
        answer = self.answers.get(path, (404, {}, ""))
        if answer == HANG:
            self.hanging.set()
            await asyncio.Event().wait()
        elif answer == CUT:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly")
        elif answer == DRIP:
            await self._drip(writer)
        else:
            status, headers, text = (200, {}, answer) if isinstance(answer, str) else answer
            said = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            body = text.encode()
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{said}\r\n"
            writer.write(head.encode() + body)
        await writer.drain()

    async def _drip(self, writer):
        """Send a byte now and then, so that no single read takes long."""
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)


@asynccontextmanager
async def serving():
    site = Site()
    server = await asyncio.start_server(site.connected, "127.0.0.1", 0)
    site.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield site
    finally:
        server.close()
        await site.aclose()
        await server.wait_closed()
