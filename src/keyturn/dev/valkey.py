"""One Valkey (or Redis) server: in memory only, on a socket, a TCP port by explicit setting."""

import asyncio
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from keyturn.dev.data_dir import DataDir
from keyturn.dev.process import ChildProcess, until
from keyturn.errors import EmbeddedStartFailed

START_PATIENCE = 10.0
"""Seconds for a start, and for a previous server on the same socket to go away."""

PING_PATIENCE = 0.1
"""Seconds to wait for an answer of a server that accepted a connection."""

SETTINGS: Mapping[str, str] = {
    "port": "0",
    "bind": "127.0.0.1",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "databases": "256",
    "daemonize": "no",
}


class ValkeyServer(ChildProcess):
    """Valkey with its socket beside PostgreSQL's on `data`, run by the program `valkey`.

    `settings` override SETTINGS, in the words of valkey.conf: `maxmemory`, `maxmemory-policy`,
    `port`, ... It keeps nothing: after a restart it is empty.
    """

    def __init__(self, data: DataDir, valkey: Path, settings: Mapping[str, str]) -> None:
        super().__init__("Valkey", data.path / "valkey.log", data.account, signal.SIGTERM)
        self._socket = str(data.sockets / "valkey.sock")
        self._valkey = valkey
        self._settings = {
            **SETTINGS,
            "unixsocket": self._socket,
            "dir": str(data.sockets),
            **settings,
        }
        self.url = f"unix://{quote(self._socket)}"

    async def start(self) -> None:
        """Start and return once it answers PING; EmbeddedStartFailed with its log if not."""
        # A killed supervisor's server removes the socket as it goes: that must not be ours.
        try:
            async with asyncio.timeout(START_PATIENCE):
                await until(lambda: not self._answers())
        except TimeoutError:
            raise EmbeddedStartFailed(f"Another server answers on {self._socket}.") from None
        words = (word for name, value in self._settings.items() for word in (f"--{name}", value))
        self.spawn((self._valkey, *words))
        await self.started(self._answers, START_PATIENCE)

    async def restart(self) -> None:
        """Stop, if it runs, and start again, empty, on the same URL."""
        await self.stop()
        await self.start()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PING_PATIENCE)
            try:
                probe.connect(self._socket)
                probe.sendall(b"PING\r\n")
                return probe.recv(7) == b"+PONG\r\n"
            except OSError:
                return False
