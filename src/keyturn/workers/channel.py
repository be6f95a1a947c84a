"""The line between a parent and a worker: a pair of sockets, JSON messages behind their length.

    frame     4 bytes, big-endian: how many bytes of JSON follow, at most `LONGEST`
    parent    {"ask": "metrics", "number": 7}    {"ask": "stop"}    {"ask": "now"}
    worker    {"state": {...}}                   {"metrics": [...], "number": 7}

The end of either process closes the line, and the other one reads that: so a worker learns that
its parent was killed, and a parent that a worker was. Plain data only: whatever a worker that was
broken into may send, reading it runs nothing.
"""

import asyncio
import socket
from dataclasses import dataclass
from typing import Any, Final

import orjson

LONGEST = 32 * 2**20
"""Bytes of one message; a process has some hundred kilobytes of metrics."""

_LENGTH = 4
_ORDER: Final = "big"


class Garbled(Exception):
    """What came is no message: the process at the other end is not one of ours any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One end of the line."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """Speak over one of a pair of sockets, which is closed with this."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    async def read(self) -> dict[str, Any] | None:
        """Return the next message; None when the other end is gone. Raises `Garbled`."""
        try:
            length = int.from_bytes(await self.reader.readexactly(_LENGTH), _ORDER)
            if length > LONGEST:
                raise Garbled(f"a message of {length} bytes")
            body = await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return _object(body)

    def send(self, **message: Any) -> None:
        """Send a message, without waiting; to an end that is gone it is not sent."""
        if self.writer.is_closing():
            return
        body = orjson.dumps(message)
        self.writer.write(len(body).to_bytes(_LENGTH, _ORDER) + body)

    async def sent(self) -> None:
        """Wait until the other end has room for more."""
        try:
            await self.writer.drain()
        except ConnectionError:
            return  # the next `read` says so

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


def _object(body: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Garbled("no JSON") from error
    if not isinstance(message, dict):
        raise Garbled("no object")
    return message
