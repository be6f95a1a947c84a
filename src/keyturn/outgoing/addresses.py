"""Which addresses belong to the public internet, in whatever form they are written.

Everything else is somebody's inside: this machine, this network, the cloud's metadata service. An
IPv6 address that carries an IPv4 address is judged by that one, because a translator on the way
would deliver it there.
"""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_CARRIERS: Final = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated (RFC 2765)
    (IPv6Network("::/96"), 0),  # IPv4-compatible, long deprecated
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4: the 32 bits after the prefix
)
_NOT_PUBLIC: Final = (
    IPv4Network("168.63.129.16/32"),  # a cloud's metadata service on a public address
    IPv4Network("192.0.0.0/24"),  # protocol assignments; Python knew half of it until 3.13
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv6Network("2001::/23"),  # protocol assignments, with Teredo
    IPv6Network("2001:db8::/32"),
    IPv6Network("3fff::/20"),  # documentation, newer than some tables of Python's
)
_IPV4_BITS: Final = 0xFFFFFFFF


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public internet, for unicast."""
    if isinstance(address, IPv6Address):
        for carrier, shift in _CARRIERS:
            if address in carrier:
                return is_public(IPv4Address(int(address) >> shift & _IPV4_BITS))
        if address not in _GLOBAL_UNICAST:
            return False
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not any(address in one for one in _NOT_PUBLIC)


def literal(host: str) -> Address | None:
    """Return the address a host is written as, in any form that resolvers take; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))  # 127.1, 0x7f000001, 2130706433, 0177.0.0.1
    except OSError:
        return None
