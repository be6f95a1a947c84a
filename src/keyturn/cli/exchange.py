"""One request to a server, and its answer.

The standard library does it: a command may wait, sends few requests, and what it needs is here
without a dependency. `http.client` knows no redirects, no proxies and no cookies: a token goes to
the address that was named and nowhere else. `keyturn.outgoing` would be wrong here, for it refuses
the private addresses at which management ports are.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from keyturn.cli.server_trouble import ServerAway

CONNECT: Final = 10.0
"""Seconds until somebody is there."""

PATIENCE: Final = 600.0
"""Seconds for the answer: the end of everybody's sessions takes its time."""

MOST: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    twice: bool = False
    """Whether it may be sent again when the answer was lost: nothing would be done twice."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: bytes = field(repr=False)


async def exchange(message: Message) -> Reply:
    """Send a request; once more if its answer was lost and it may be. Raises `ServerAway`."""
    try:
        return await asyncio.to_thread(_once, message)
    except (OSError, HTTPException) as lost:
        again = message.twice and not isinstance(lost, ConnectionRefusedError | ssl.SSLError)
        if not again:
            raise ServerAway(_told(message, lost)) from None
    try:
        return await asyncio.to_thread(_once, message)
    except (OSError, HTTPException) as lost:
        raise ServerAway(_told(message, lost)) from None


def _once(message: Message) -> Reply:
    where = urlsplit(message.url)
    kind = HTTPSConnection if where.scheme == "https" else HTTPConnection
    connection = kind(where.hostname or "", where.port, timeout=CONNECT)
    try:
        connection.connect()
        connection.sock.settimeout(PATIENCE)
        target = f"{where.path or '/'}?{where.query}" if where.query else where.path or "/"
        connection.request(message.method, target, message.body, dict(message.headers))
        answer = connection.getresponse()
        return Reply(answer.status, answer.read(MOST))
    finally:
        connection.close()


def _told(message: Message, trouble: Exception) -> str:
    where = urlsplit(message.url)
    reason = getattr(trouble, "verify_message", "") or getattr(trouble, "strerror", "")
    return f"{where.scheme}://{where.netloc}: {reason or type(trouble).__name__}"
