"""Clients' servers that are told of logouts: real TLS under an authority of their own.

What a path answers is set by `answers`: a status, or what to do with the connection. Everything
else is answered 200. What was received is kept as it came.
"""

import asyncio
import json
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import KeySet

from support import replicas
from support.api import Api, api_of
from support.browserless import SITE
from support.servers import Databases

HOST = "localhost"
PATIENCE = 30.0
Deed: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def black_hole(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await reader.read()


async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer 200 with a body that does not end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x" * 65536)
        await writer.drain()
        await asyncio.sleep(0)  # a caller who has gone is noticed by the loop alone


async def endless_head(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin an answer whose header block does not end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: and more\r\n" * 1000)
        await writer.drain()


async def dripping(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a header block byte by byte, without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"z")
        await writer.drain()
        await asyncio.sleep(0.05)


def saying(document: object, kind: str = "application/json", status: int = 200) -> Deed:
    """Answer with a document: JSON, unless it is bytes already."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    async def deed(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return deed


def redirect(location: str) -> Deed:
    """Send the caller elsewhere."""

    async def deed(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (
            f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        )
        writer.write(head.encode())
        await writer.drain()

    return deed


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> str:
        """The logout token, and nothing else, in a form."""
        [(name, value)] = parse_qsl(self.body.decode(), strict_parsing=True)
        assert name == "logout_token"
        return value


@dataclass
class Receiver:
    """One listening server; its connections are counted when TLS is agreed on."""

    port: int
    ca_file: Path
    answers: dict[str, int | Deed] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    connections: Counter[str] = field(default_factory=Counter)
    """By the server name that was asked for."""

    def uri(self, path: str = "/logout", host: str = HOST) -> str:
        """Return an address here."""
        return f"https://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        """Return what came to a path."""
        return [one for one in self.received if one.path == path]

    async def told(self, path: str = "/logout", count: int = 1) -> list[Received]:
        """Wait until so much has come to a path, and return it."""
        async with asyncio.timeout(PATIENCE):
            while len(self.at(path)) < count:
                await asyncio.sleep(0.01)
        return self.at(path)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            start, *lines = head.strip().split("\r\n")
            method, path, _ = start.split(" ")
            pairs = (line.split(": ", 1) for line in lines)
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.received.append(Received(method, path, headers, body))
            await self._answer(path, reader, writer)
        writer.close()

    async def _answer(
        self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answer = self.answers.get(path, 200)
        if callable(answer):
            await answer(reader, writer)
            return
        writer.write(f"HTTP/1.1 {answer} Whatever\r\nContent-Length: 2\r\n\r\nOK".encode())
        await writer.drain()


def _certificate(
    names: list[x509.GeneralName] | None,
    issuer: "tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None" = None,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Make a certificate for these names; without an issuer, an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver" if names else "CA")])
    above, above_key = issuer or (None, key)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if above is None else above.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(above_key.public_key()),
            critical=False,
        )
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    else:
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        signs = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage)
        builder = builder.add_extension(signs, critical=True)
    return builder.sign(above_key, SHA256()), key


def _tls(folder: Path) -> ssl.SSLContext:
    """Write an authority to `ca.pem` and return a context whose certificate it has signed."""
    authority = _certificate(None)
    names: list[x509.GeneralName] = [
        x509.DNSName(HOST),
        x509.DNSName("app.example"),
        x509.IPAddress(ip_address("127.0.0.1")),
    ]
    certificate, key = _certificate(names, authority)
    (folder / "ca.pem").write_bytes(authority[0].public_bytes(Encoding.PEM))
    (folder / "own.pem").write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem")
    return context


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Listen on 127.0.0.1 with TLS until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="keyturn-receiver-") as folder:
        context = _tls(Path(folder))
        listening = Receiver(0, Path(folder) / "ca.pem")
        context.sni_callback = lambda _tls, name, _context: listening.connections.update(
            [name or ""]
        )
        tasks: set[asyncio.Task[Any]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            with suppress(asyncio.CancelledError):  # the end of the block
                await listening.serve(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        listening.port = server.sockets[0].getsockname()[1]
        try:
            yield listening
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class Hearing:
    """Replicas of an https issuer that may call a receiver, and that receiver."""

    api: Api
    receiver: Receiver

    async def client(self, path: str = "/logout", raw: Any = SITE, **changes: Any) -> str:
        """Register a client that is told of logouts at a path."""
        return await self.api.client(raw, backchannel_logout_uri=self.receiver.uri(path), **changes)

    async def claims(self, token: str) -> dict[str, Any]:
        """Return what a logout token says, as a client reads it: verified against the JWKS."""
        answer = await self.api.get("/.well-known/jwks.json")
        read = jwt.decode(token, KeySet.import_key_set(answer.json()), algorithms=["RS256"])
        assert read.header["typ"] == "logout+jwt"
        return dict(read.claims)

    async def waiting(self, client_id: str) -> list[Any]:
        """Return the deliveries that wait for a client."""
        return await self.api.sql.fetch(
            "select * from logout_deliveries where client_id = $1", client_id
        )

    async def hurry(self, client_id: str) -> None:
        """Let what waits for a client be due now."""
        await self.api.sql.execute(
            "update logout_deliveries set due_at = now() where client_id = $1", client_id
        )

    async def forgotten(self, client_id: str) -> None:
        """Wait until nothing waits for a client any more."""
        async with asyncio.timeout(PATIENCE):
            while await self.waiting(client_id):
                await asyncio.sleep(0.02)

    async def counted(self, result: str, least: float) -> None:
        """Wait until so many deliveries have had this result."""
        async with asyncio.timeout(PATIENCE):
            while self.api.metric("keyturn_logout_deliveries_total", result=result) < least:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def hearing(
    databases: Databases, redis_url: str, count: int = 1, **settings: str
) -> AsyncIterator[Hearing]:
    """Run servers that may call a receiver of their own."""
    async with receiver() as listening, databases.fresh(keyed=True) as url:
        environ = replicas.settings(
            url,
            redis_url,
            **{
                "issuer": "https://localhost:8443",
                **replicas.GENEROUS,
                "outgoing__private_hosts": f"{HOST}:{listening.port}",
                "outgoing__ca_file": str(listening.ca_file),
                "jobs__logout_interval": "0.05",
                **settings,
            },
        )
        with replicas.replicas(environ, count) as started:
            async with api_of(environ, started) as api:
                yield Hearing(api, listening)
