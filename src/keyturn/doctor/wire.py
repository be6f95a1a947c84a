"""One HTTP request, as a client of the deployment sends it, and everything that came back.

Neither `keyturn.outgoing` nor a library does this: the former refuses the private addresses that a
deployment has from beside it, and both hide what is wanted here, such as the certificate, the
compression, or a header that stands there twice. No redirect is followed, no proxy of the
environment is used. Each exchange has a connection of its own, so that a balancer may choose
another replica each time, and ends at its deadline, whatever hangs.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

from keyturn.outgoing.resolver import SystemResolver

DEADLINE: Final = 4.0
"""Seconds for one exchange, from the name to the last byte."""

MOST: Final = 2**20
"""Bytes of a body; what we send is a few thousand."""

HTTPS_PORT: Final = 443
HTTP_PORT: Final = 80

WITHOUT_BODY: Final = frozenset({204, 304})


class NoAnswer(Exception):
    """There is none; `kind` is one word, the text says more, neither holds anything secret."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Tls:
    """What was agreed on, and until when the certificate is good."""

    version: str
    good_until: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, every header in its order with its name in lower case, and the body as it came."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    tls: Tls | None = None

    def all(self, name: str) -> list[str]:
        """Return the values of a header, as often as it stands there."""
        return [value for one, value in self.headers if one == name]

    def one(self, name: str) -> str:
        """Return a header's value; of several, all of them with commas; without any, nothing."""
        return ", ".join(self.all(name))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Whom to ask: an address to connect to, and the server we expect there."""

    connect: str
    """The URL whose host and port the connection goes to."""
    expected: str
    """The origin that is asked for by `Host`, and whose certificate is wanted."""
    trust: ssl.SSLContext
    resolver: SystemResolver

    async def ask(self, question: Question) -> Answer:
        """Return the answer. Raises `NoAnswer`."""
        try:
            async with asyncio.timeout(DEADLINE):
                return await self._ask(question)
        except TimeoutError:
            raise NoAnswer("silence", f"no answer within {DEADLINE:.0f} s") from None
        except ssl.SSLCertVerificationError as error:
            raise NoAnswer("certificate", error.verify_message) from None
        except ssl.SSLError as error:
            raise NoAnswer("tls", (error.reason or "no TLS").lower().replace("_", " ")) from None
        except (OSError, EOFError) as error:
            raise NoAnswer("connection", _told(error)) from None
        except (ValueError, asyncio.LimitOverrunError):
            raise NoAnswer("language", "what came back is no HTTP/1.1") from None

    async def _ask(self, question: Question) -> Answer:
        reader, writer = await self._open()
        try:
            writer.write(_written(question, urlsplit(self.expected).netloc))
            await writer.drain()
            status, headers = await _head(reader)
            body = await _body(reader, status, dict(headers))
            return Answer(status, headers, body, _tls(writer.get_extra_info("ssl_object")))
        finally:
            writer.transport.abort()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        where = urlsplit(self.connect)
        secure = where.scheme == "https"
        name = urlsplit(self.expected).hostname if secure else None
        addresses = dict.fromkeys(await self.resolver.addresses(where.hostname or ""))
        *others, last = addresses
        for address in others:
            try:
                return await self._connect(address, where, name)
            except ConnectionError:
                continue  # a host may have an address of a family that nobody listens to
        return await self._connect(last, where, name)

    async def _connect(
        self, address: str, where: SplitResult, name: str | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port = where.port or (HTTPS_PORT if name else HTTP_PORT)
        trust = self.trust if name else None
        return await asyncio.open_connection(address, port, ssl=trust, server_hostname=name)


def _written(question: Question, host: str) -> bytes:
    headers = {
        "Host": host,
        "Accept-Encoding": "identity",
        "User-Agent": "keyturn doctor",
        "Connection": "close",
        **({"Content-Length": str(len(question.body))} if question.method == "POST" else {}),
        **question.headers,
    }
    lines = [
        f"{question.method} {question.path} HTTP/1.1",
        *(f"{n}: {v}" for n, v in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + question.body


async def _head(reader: asyncio.StreamReader) -> tuple[int, tuple[tuple[str, str], ...]]:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = text.split("\r\n")[:-2]
    if not first.startswith("HTTP/1."):
        raise ValueError(first)
    fields = (line.partition(":") for line in lines)
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in fields)
    return int(first.partition(" ")[2][:3]), headers


async def _body(reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]) -> bytes:
    if status in WITHOUT_BODY:
        return b""
    if "chunked" in headers.get("transfer-encoding", ""):
        return await _chunks(reader)
    if "content-length" in headers:
        return await reader.readexactly(min(int(headers["content-length"]), MOST))
    body = b""
    while len(body) < MOST and (piece := await reader.read(MOST)):
        body += piece
    return body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        if len(body) + size > MOST:
            raise ValueError("more than anybody sends")
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return body


def _tls(agreed: ssl.SSLObject | None) -> Tls | None:
    if agreed is None:
        return None
    certificate = agreed.getpeercert() or {}
    seconds = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return Tls(agreed.version() or "", datetime.fromtimestamp(seconds, UTC))


def _told(error: OSError | EOFError) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
