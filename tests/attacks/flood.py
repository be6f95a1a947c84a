"""A flood of sign-ins, in a process of its own: `python flood.py PORT RATE FIRST`, until SIGTERM.

Open: it sends `RATE` attempts a second whether or not the ones before are answered, each for an
account that does not exist, from an address of its own. It prints what came back as JSON. A rate
of 0 sends as fast as answers come, sixteen at a time: that measures what the server can do.
"""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

CLOSED = 16
"""Connections of a flood that waits for answers."""

OPEN = 400
"""Most connections of one that does not."""


@dataclass
class Flood:
    """One flood; what it was told is counted by status, and by whether it was told when to return."""

    port: int
    numbers: count
    over: asyncio.Event = field(default_factory=asyncio.Event)
    statuses: Counter = field(default_factory=Counter)
    without_retry: int = 0
    late: int = 0
    """Attempts that found no connection free: the flood was smaller by them."""

    def attempt(self) -> bytes:
        """Return one request nobody sent before."""
        number = next(self.numbers)
        body = json.dumps({"email": f"flood-{number}@example.com", "password": "wrong horse"})
        where = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        return (
            f"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nX-Keyturn-Client: app\r\n"
            f"X-Forwarded-For: {where}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Make one attempt and count the answer."""
        writer.write(self.attempt())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        status = int(head[9:12])
        self.statuses[status] += 1
        if status in {429, 503}:
            self.without_retry += b"\r\nretry-after: " not in head

    async def closed(self) -> None:
        """Ask again whenever there is an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while not self.over.is_set():
            await self.ask(reader, writer)
        writer.close()

    async def open(self, rate: float) -> None:
        """Keep the rate, whatever comes back."""
        free = [await asyncio.open_connection("127.0.0.1", self.port) for _ in range(CLOSED)]
        going: set[asyncio.Task[None]] = set()
        began = time.monotonic()
        for number in count():
            await asyncio.sleep(max(0, began + number / rate - time.monotonic()))
            if self.over.is_set():
                break
            if len(going) >= OPEN:
                self.late += 1
                continue
            going.add(task := asyncio.create_task(self._once(free)))
            task.add_done_callback(going.discard)
        await asyncio.gather(*going)

    async def _once(self, free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
        line = free.pop() if free else await asyncio.open_connection("127.0.0.1", self.port)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self.ask(*line)
            free.append(line)
            return
        # It was kept for too long, and the server had hung up: once more, on a new one.
        await self.ask(*await asyncio.open_connection("127.0.0.1", self.port))


async def main(port: int, rate: float, first: int) -> None:
    """Run one flood until it is told to stop, and print what came of it."""
    flood = Flood(port, count(first))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, flood.over.set)
    print("flooding", flush=True)
    began = time.monotonic()
    if rate:
        await flood.open(rate)
    else:
        await asyncio.gather(*(flood.closed() for _ in range(CLOSED)))
    told = {"statuses": dict(flood.statuses), "late": flood.late}
    told |= {"without_retry": flood.without_retry, "seconds": time.monotonic() - began}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
