"""One request to somebody else: to the address that was checked, without redirects, in bounds.

The name is resolved once. Every address it has must be allowed, and the connection goes to one of
those: a name that answers differently the next time (DNS rebinding) is not asked a next time. TLS
and the header `Host` still carry the name. The library knows no redirects, no cookies, no proxies
of the environment and no compression.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlencode

import httpcore2
from httpcore2 import AsyncNetworkBackend, AsyncNetworkStream

from keyturn.errors import SettingsRefused
from keyturn.outgoing.addresses import is_public
from keyturn.outgoing.destination import Destination
from keyturn.outgoing.policy import PRIVATE_REFUSED, Policy
from keyturn.outgoing.resolver import Resolver, SystemResolver
from keyturn.outgoing.trouble import OutgoingFailed
from keyturn.settings import Settings
from keyturn.telemetry.tracing import step

SECONDS: Final = 5.0
"""For all of one request, looking up the name included."""

CONNECT: Final = 1.5
"""Seconds for one address, so that a second one is tried in time."""

MOST_ADDRESSES: Final = 3
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = field(default=None, repr=False)

    @classmethod
    def form(cls, url: str, fields: Mapping[str, str]) -> Self:
        """A form, which no cache may keep."""
        headers = {"Content-Type": FORM, "Cache-Control": "no-store"}
        return cls("POST", url, headers, urlencode(fields).encode())


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the beginning of the body."""

    status: int
    body: bytes = field(repr=False)
    is_whole: bool
    """Whether that is all of the body."""
    content_type: str = ""
    """In lower case, without parameters; empty when there is none, or more than one."""


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """Makes requests, each on a connection of its own."""

    policy: Policy
    tls: ssl.SSLContext
    resolver: Resolver = field(default_factory=SystemResolver)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Build it from the settings. Raises `SettingsRefused` for a file of no certificates."""
        return cls(Policy.of(settings), trusting(settings.outgoing.ca_file))

    async def send(self, message: Message, most: int = 0) -> Answer:
        """Send one request; read at most `most` bytes of the body, by default none.

        Raises `OutgoingFailed`: blocked, or no answer within `SECONDS`.
        """
        try:
            async with asyncio.timeout(SECONDS):
                destination = self._destination(message.url)
                with step("http", message.method, destination.host):
                    addresses = await self._checked(destination)
                    return await self._exchange(message, destination, addresses, most)
        except (TimeoutError, httpcore2.TimeoutException):
            raise OutgoingFailed("timeout", f"no answer within {SECONDS} s") from None
        except httpcore2.ProtocolError as error:
            raise OutgoingFailed("protocol", type(error).__name__) from error
        except (httpcore2.NetworkError, OSError) as error:
            broken = error if isinstance(error, ssl.SSLError) else error.__cause__
            if isinstance(broken, ssl.SSLError):
                raise OutgoingFailed("tls", broken.reason or type(broken).__name__) from error
            raise OutgoingFailed("connection", str(error) or type(error).__name__) from error

    def _destination(self, url: str) -> Destination:
        try:
            destination = Destination.parse(url)
        except ValueError as error:
            raise OutgoingFailed("blocked", str(error)) from None
        objection = self.policy.objection(destination)
        if objection is not None:
            raise OutgoingFailed("blocked", objection)
        return destination

    async def _checked(self, destination: Destination) -> Sequence[str]:
        found = list(dict.fromkeys(await self.resolver.addresses(destination.host)))
        # One is enough: a name that leads inside at all is not for us to follow.
        inside = [one for one in found if not is_public(ip_address(one))]
        if inside and not self.policy.may_be_private(destination):
            raise OutgoingFailed("blocked", PRIVATE_REFUSED)
        return found[:MOST_ADDRESSES]

    async def _exchange(
        self, message: Message, destination: Destination, addresses: Sequence[str], most: int
    ) -> Answer:
        url = httpcore2.URL(
            scheme=destination.scheme.encode(),
            host=destination.host.encode(),
            port=destination.port,
            target=destination.target.encode(),
        )
        headers = [("Host", destination.authority), ("Connection", "close")]
        headers += message.headers.items()
        connection = httpcore2.AsyncHTTPConnection(
            url.origin, ssl_context=self.tls, network_backend=_Checked(addresses)
        )
        async with (
            connection,
            connection.stream(
                message.method, url, headers=headers, content=message.content
            ) as response,
        ):
            body, is_whole = await _beginning(response, most)
            return Answer(response.status, body, is_whole, _content_type(response))


class _Checked(AsyncNetworkBackend):
    """Connects to these addresses and no other, whatever host it is told."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = addresses
        self.network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the parent's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        del host, timeout, local_address, socket_options
        trouble: Exception = httpcore2.ConnectError("the name has no address")
        for address in self.addresses:
            try:
                return await self.network.connect_tcp(address, port, timeout=CONNECT)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                trouble = error
        raise trouble


async def _beginning(response: httpcore2.Response, most: int) -> tuple[bytes, bool]:
    body = b""
    if not most:
        return body, False
    async with aclosing(response.aiter_stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > most:
                return body[:most], False
    return body, True


def _content_type(response: httpcore2.Response) -> str:
    named = [value for name, value in response.headers if name.lower() == b"content-type"]
    if len(named) != 1:
        return ""
    return named[0].decode("ascii", "replace").partition(";")[0].strip().lower()


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and those of a file.

    Raises `SettingsRefused` when the file holds none.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            reason = error.strerror or "holds no certificate in PEM form"
            raise SettingsRefused(f"outgoing.ca_file: {reason}") from None
    return context
