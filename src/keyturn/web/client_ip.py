"""Who is asking: the peer's address, or what trusted proxies in front of us say it is.

`X-Forwarded-For` is a list that every hop appends to. Only what a trusted hop appended can be
believed, so it is read from the right, and the first address that is not a trusted proxy's is
the caller's: whatever stands left of it, the caller wrote. Without `server.trusted_proxies`
nobody is believed.
"""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from starlette.requests import Request
from starlette.types import Scope

MOST_HOPS = 32
LONGEST = 64
"""Characters of the longest text that can be an address; longer ones are not remembered."""

UNKNOWN = "0.0.0.0"  # noqa: S104 - an address in answers to "who", not one to listen on
"""The address of a caller who hung up before it could be asked, or of a Unix socket's."""


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """Finds the caller's address, as text that PostgreSQL's `inet` takes."""

    trusted: tuple[IPv4Network | IPv6Network, ...] = ()

    def of(self, request: Request) -> str:
        """Return the caller's address."""
        return self.of_scope(request.scope)

    def of_scope(self, scope: Scope) -> str:
        """Return the caller's address from an ASGI scope."""
        peer = scope.get("client")
        if not peer:
            return UNKNOWN
        if not self.trusted:
            return _text(peer[0])
        address = _parse(peer[0])
        if address is None:
            return UNKNOWN
        for hop in _hops(scope) if self.is_trusted(address) else ():
            named = _parse(hop)
            if named is None:
                # A trusted hop said something unreadable: it is all we know.
                break
            address = named
            if not self.is_trusted(address):
                break
        return str(address)

    def comes_through_proxy(self, scope: Scope) -> bool:
        """Whether the peer itself is one of the trusted proxies."""
        peer = scope.get("client")
        if not self.trusted or not peer:
            return False
        address = _parse(peer[0])
        return address is not None and self.is_trusted(address)

    def is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether this is the address of one of our proxies."""
        return any(address in network for network in self.trusted)


@lru_cache(maxsize=4096)
def _text(peer: str) -> str:
    """Return a socket's peer as it is logged and counted: most processes know no other."""
    address = _parse(peer)
    return UNKNOWN if address is None else str(address)


def _hops(scope: Scope) -> list[str]:
    """Return the addresses of every `X-Forwarded-For`, the nearest hop first."""
    values = [
        value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"
    ]
    hops = ",".join(values).rsplit(",", MOST_HOPS)[-MOST_HOPS:]
    return [hop.strip() for hop in reversed(hops) if hop.strip()]


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address in `1.2.3.4`, `1.2.3.4:80`, `2001::1` or `[2001::1]:80`."""
    return _read(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=4096)
def _read(text: str) -> IPv4Address | IPv6Address | None:
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # A dual-stack socket sees IPv4 callers so; limits and networks mean the plain address.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
