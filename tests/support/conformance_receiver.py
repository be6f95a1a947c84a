"""An application's back channel: one https address that says 200 to whatever is posted there."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "localhost"
PATH = "/backchannel_logout"
ACKNOWLEDGED = b"HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 0\r\n\r\n"
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: str
    tls: str | None

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The form's parameters."""
        return parse_qsl(self.body, keep_blank_values=True, strict_parsing=True)


@dataclass
class Receiver:
    """What listens; `authority` is the certificate that vouches for it."""

    authority: Path
    port: int = 0
    received: list[Received] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def host(self) -> str:
        """Host and port, as in the address."""
        return f"{HOST}:{self.port}"

    @property
    def uri(self) -> str:
        """Where logout tokens go."""
        return f"https://{self.host}{PATH}"

    async def first(self) -> Received:
        """Return what came first; wait for it with patience."""
        async with asyncio.timeout(PATIENCE):
            await self.came.wait()
        return self.received[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request and acknowledge it."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *lines = head.split("\r\n")
            pairs = (one.split(":", 1) for one in lines if one)
            headers = {name.lower(): value.strip() for name, value in pairs}
            body = await reader.readexactly(int(headers["content-length"]))
            tls = writer.get_extra_info("ssl_object").version()
            writer.write(ACKNOWLEDGED)
            await writer.drain()
            self.received.append(Received(line, headers, body.decode("ascii"), tls))
            self.came.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # nothing came: a probe, or the caller left; the test waits for what does come
        finally:
            writer.transport.abort()


@asynccontextmanager
async def receiver(folder: Path) -> AsyncIterator[Receiver]:
    """Listen on a port of its own, with a certificate made for it in `folder`."""
    certificate = _certify(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, folder / "key.pem")
    listening = Receiver(certificate)
    server = await asyncio.start_server(listening.serve, "127.0.0.1", ssl=context)
    listening.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listening


def _certify(folder: Path) -> Path:
    """Write a key and a certificate of its own for HOST; return where the certificate is."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's authority")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return path
