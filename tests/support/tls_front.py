"""TLS in front of one server, as an operator's proxy does it, with answers that get lost on the way.

It ends TLS with a certificate for `localhost` and 127.0.0.1, which `authority` vouches for, hands
each request to the server on a connection of its own, and reads along at the token endpoint. A
test may let refreshes meet, so that they arrive at the same moment, and may lose an answer after
the server has given it: what it promised is committed then, and nobody heard of it.
"""

import asyncio
import ipaddress
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import parse_qs

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PATIENCE = 30.0
WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
Loss = Literal["cut", "silence"]
"""How an answer is lost: the connection breaks in the middle of it, or nothing more is heard."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer, as it came."""

    head: bytes
    body: bytes

    @property
    def first(self) -> list[bytes]:
        return self.head.partition(b"\r\n")[0].split(b" ", 2)

    @property
    def raw(self) -> bytes:
        return self.head + self.body


@dataclass(frozen=True, slots=True)
class Refresh:
    """One use of a refresh token: what was sent, and what the server answered."""

    sent: str
    status: int
    given: str | None
    lost: bool


@dataclass(eq=False)
class Refreshes:
    """The refreshes of one client: those that were, and what is to happen to the next."""

    seen: list[Refresh] = field(default_factory=list)
    _meeting: asyncio.Barrier | None = None
    _losses: list[Loss] = field(default_factory=list)

    def meet(self, count: int) -> None:
        """Let them wait until `count` of them are here, then all go on together, once."""
        self._meeting = asyncio.Barrier(count)

    def lose(self, loss: Loss) -> None:
        """Lose the answer to the next one."""
        self._losses.append(loss)

    async def arrive(self) -> None:
        """Wait for the others, if there is a meeting."""
        if self._meeting is not None:
            async with asyncio.timeout(PATIENCE):
                await self._meeting.wait()
            self._meeting = None

    def answered(self, sent: str, answer: Message) -> Loss | None:
        """Take note of an answer; return how it is lost, or None."""
        loss = self._losses.pop(0) if self._losses else None
        given = orjson.loads(answer.body).get("refresh_token")
        self.seen.append(Refresh(sent, int(answer.first[1]), given, loss is not None))
        return loss


@dataclass(eq=False)
class TlsFront:
    """Passes requests on to the server on `target`, a loopback port."""

    port: int
    authority: Path
    target: int = 0
    refreshes: dict[str, Refreshes] = field(default_factory=lambda: defaultdict(Refreshes))
    """By client id, as public clients name themselves in the form."""
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until somebody ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while (question := await read_message(reader)) is not None:
                if not await self._pass_on(question, reader, writer):
                    break
        except (OSError, asyncio.CancelledError):
            pass  # the browser left, or the test is over: the connection is closed below
        finally:
            writer.transport.abort()
            self._open.discard(task)

    async def end(self) -> None:
        """Close what is open."""
        open_now = list(self._open)
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)

    async def _pass_on(
        self, question: Message, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Bring the server's answer; return whether the connection is still good."""
        sent, refreshes = self._refresh(question)
        if sent is not None:
            await refreshes.arrive()
        answer = await self._ask(question)
        loss = None if sent is None else refreshes.answered(sent, answer)
        if loss == "cut":
            writer.write(answer.raw[: len(answer.head) // 2])
            await writer.drain()
            return False
        if loss == "silence":
            await reader.read()  # until the client has had enough
            return False
        writer.write(answer.raw)
        await writer.drain()
        return True

    def _refresh(self, question: Message) -> tuple[str | None, Refreshes]:
        """Return the refresh token a request uses, if it uses one, and whose it is."""
        method, target, _ = question.first
        if method != b"POST" or target != b"/oauth2/token":
            return None, Refreshes()
        form = parse_qs(question.body.decode())
        client = form.get("client_id", [""])[0]
        return form.get("refresh_token", [None])[0], self.refreshes[client]

    def _port_for(self, _question: Message) -> int:
        """Return where a request goes."""
        return self.target

    async def _ask(self, question: Message) -> Message:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port_for(question))
        try:
            writer.write(question.raw)
            bodiless = question.first[0] == b"HEAD"
            answer = await read_message(reader, bodiless=bodiless)
        finally:
            writer.transport.abort()
        assert answer is not None, "the server hung up"
        return answer


Front = TypeVar("Front", bound=TlsFront)


@asynccontextmanager
async def tls_front(folder: Path) -> AsyncIterator[TlsFront]:
    """Listen until the end of the block; `target` is told later, when the server runs."""
    async with listening(folder, TlsFront) as front:
        yield front


@asynccontextmanager
async def listening(folder: Path, kind: type[Front]) -> AsyncIterator[Front]:
    """Listen as a front of that kind."""
    authority, context = certified(folder)
    front = kind(0, authority)
    server = await asyncio.start_server(front.serve, "127.0.0.1", 0, ssl=context)
    front.port = server.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        server.close()
        await front.end()


def certified(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make an authority and a server's certificate by it; return the former's file."""
    ours, theirs = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of one test")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    root = (
        _certificate(issuer, ours.public_key())
        .issuer_name(issuer)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ours, hashes.SHA256())
    )
    leaf = (
        _certificate(subject, theirs.public_key())
        .issuer_name(issuer)
        .add_extension(names, critical=False)
        .sign(ours, hashes.SHA256())
    )
    authority, chain = folder / "authority.pem", folder / "localhost.pem"
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    secret = theirs.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain.write_bytes(secret + leaf.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return authority, context


def _certificate(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=60))
    )


async def read_message(reader: asyncio.StreamReader, *, bodiless: bool = False) -> Message | None:
    """Read one request or answer; None when nothing more comes."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first = head.split(b" ", 2)
    is_answer = head.startswith(b"HTTP/")
    if bodiless or (is_answer and int(first[1]) in WITHOUT_BODY):
        return Message(head, b"")
    fields = dict(_field(line) for line in head.split(b"\r\n")[1:-2])
    assert b"transfer-encoding" not in fields, head
    return Message(head, await reader.readexactly(int(fields.get(b"content-length", b"0"))))


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip()
