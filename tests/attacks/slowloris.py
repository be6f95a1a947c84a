"""Callers who take their time on purpose: each holds a connection as long as the server lets it.

Plain sockets that are looked at in turns: hundreds of them cost this process next to nothing.
Whether the server has let go of one, its own end says (`/proc/net/tcp`): a caller who reads nothing
never hears of it.
"""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PAUSE = 0.2
"""Seconds between two octets of whoever drips."""

GLANCE = 20
"""Connections between two looks while they are being opened."""

HEAD = b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
GET = b"GET /auth/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"


HUNGRY = 65536
"""Octets that whoever is no slow reader takes at once."""


@dataclass(frozen=True)
class Manner:
    """What is sent at once, what drips after it, and how many octets are read at a time."""

    at_once: bytes = b""
    drip: bytes = b""
    reads: int = HUNGRY
    half_closes: bool = False


MANNERS = {
    "says nothing": Manner(),
    "drips its head": Manner(HEAD, b"X"),
    "drips header lines": Manner(HEAD, b"X: y\r\n"),
    "drips its body": Manner(HEAD + FORM + b"Content-Length: 9000\r\n\r\n", b"a"),
    "drips chunks": Manner(HEAD + FORM + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "stops in its body": Manner(HEAD + FORM + b"Content-Length: 9000\r\n\r\nabc"),
    "closes its half": Manner(HEAD + FORM + b"Content-Length: 9000\r\n\r\nabc", half_closes=True),
    "idles after an answer": Manner(GET),
    "drips blank lines after one": Manner(GET, b"\r\n"),
    "reads nothing": Manner(GET * 500, reads=0),
    "reads an octet at a time": Manner(GET * 500, reads=1),
}


def crowd(each: int) -> list[str]:
    """Name so many of each manner, but few who read slowly: they ask for hundreds of answers."""
    readers = [manner for manner, how in MANNERS.items() if how.reads < HUNGRY]
    others = [manner for manner in MANNERS if manner not in readers]
    return others * each + readers * max(3, each // 20)


@dataclass
class Slow:
    """One connection of such a caller."""

    manner: str
    line: socket.socket
    began: float = field(default_factory=time.monotonic)
    held: float | None = None
    """Seconds until the server let go of it."""

    @classmethod
    def begun(cls, manner: str, port: int) -> "Slow":
        """Connect with a small window, so that little lies in the kernel, and begin."""
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", port))
        line.setblocking(False)
        slow, how = cls(manner, line), MANNERS[manner]
        slow.send(how.at_once)
        if how.half_closes:
            line.shutdown(socket.SHUT_WR)
        return slow

    def send(self, data: bytes) -> None:
        """Send what goes out; a full line or a dead one takes nothing."""
        try:
            self.line.send(data)
        except (BlockingIOError, ConnectionError):
            return

    def turn(self) -> None:
        """Read and drip on."""
        how = MANNERS[self.manner]
        if how.reads:
            self._read(how.reads)
        if how.drip:
            self.send(how.drip)

    def look(self, kept: set[int]) -> None:
        """Find our port among the connections that the server has, or has yet to accept."""
        if self.line.getsockname()[1] not in kept:
            self.held = time.monotonic() - self.began

    def _read(self, size: int) -> None:
        try:
            self.line.recv(size)
        except (BlockingIOError, ConnectionError):
            return


def kept_by(port: int) -> set[int]:
    """Return the callers' ports of the connections that a server holds, or has yet to accept."""
    kept = set()
    for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = row.split()
        local, remote = (int(end.rpartition(":")[2], 16) for end in fields[1:3])
        if local == port and (fields[9] != "0" or fields[3] in WAITING):
            kept.add(remote)
    return kept


WAITING = {"01", "08"}
"""States of a connection that no process owns because none has accepted it (tcp_states.h)."""


def hold(
    port: int, manners: Sequence[str], patience: float, watch: Callable[[], None]
) -> Iterator[Slow]:
    """Open a connection for each of `manners` and keep all until the server has let go of them."""
    going = []
    for number, manner in enumerate(manners):
        going.append(Slow.begun(manner, port))
        if number % GLANCE == 0:
            watch()
    everybody, deadline = list(going), time.monotonic() + patience
    try:
        while going and time.monotonic() < deadline:
            kept = kept_by(port)
            for one in going:
                one.turn()
                one.look(kept)
            yield from (one for one in going if one.held is not None)
            going = [one for one in going if one.held is None]
            watch()
            time.sleep(PAUSE)
        yield from going
    finally:
        for one in everybody:
            one.line.close()
