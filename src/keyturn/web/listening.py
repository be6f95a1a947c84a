"""Listening sockets: bound before anything else, so that a wrong address ends the start."""

import socket

from keyturn.errors import SettingsRefused

BACKLOG = 2048
ATTEMPTS = 10
"""Times a free port is looked for that is free on both loopbacks."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets; `localhost` means both loopbacks, port 0 any free one.

    Raises `SettingsRefused` when the address or port cannot be had.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _listen_once(host, port)
        except OSError as error:
            if port or attempt == ATTEMPTS:
                raise SettingsRefused(f"cannot listen on {host}:{port}: {error.strerror}") from None
    raise AssertionError("the last attempt returns or raises")


def _listen_once(host: str, port: int) -> list[socket.socket]:
    hosts = ["127.0.0.1", "::1"] if host == "localhost" else [host]
    if host == "localhost" and not _has_ipv6_loopback():
        hosts = ["127.0.0.1"]
    sockets: list[socket.socket] = []
    try:
        for one in hosts:
            sockets.append(_bind(one, port))
            port = sockets[0].getsockname()[1]
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    return bound


def _has_ipv6_loopback() -> bool:
    try:
        _bind("::1", 0).close()
    except OSError:
        return False
    return True
