"""One PostgreSQL server on a data folder, reachable through its socket only."""

import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from keyturn.dev.cluster import DATABASE, SUPERUSER, ensure_cluster
from keyturn.dev.data_dir import DataDir
from keyturn.dev.process import ChildProcess

LOCK = ".s.PGSQL.5432.lock"

START_PATIENCE = 60.0
"""Seconds for a start, crash recovery included."""

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "autovacuum_max_workers": "1",
    "max_parallel_workers": "0",
    "cluster_name": "keyturn",
}

QUICK: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "dynamic_shared_memory_type": "mmap",  # below the data folder: a kill leaves nothing elsewhere
}
"""For data that may be lost with the machine. A killed server loses nothing by it."""


class PostgresServer(ChildProcess):
    """PostgreSQL on `data`, which the caller holds, run by the program `postgres`.

    `settings` override SETTINGS. Stop and start it as often as you like: data and URL stay.
    """

    def __init__(self, data: DataDir, postgres: Path, settings: Mapping[str, str]) -> None:
        super().__init__("PostgreSQL", data.path / "postgres.log", data.account, signal.SIGINT)
        self.url = postgres_url(data)
        self._data = data
        self._postgres = postgres
        sockets = {"unix_socket_directories": str(data.sockets)}
        self._settings = {**SETTINGS, **sockets, **settings}

    async def start(self) -> None:
        """Start and return once it answers; EmbeddedStartFailed with the end of its log if not."""
        folder = await ensure_cluster(self._data, self._postgres)
        # A killed server's: PostgreSQL would refuse if its number is another process's by now.
        (self._data.sockets / LOCK).unlink(missing_ok=True)
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        pid = self.spawn((self._postgres, "-D", folder, *options))
        await self.started(lambda: _is_ready(folder / "postmaster.pid", pid), START_PATIENCE)

    async def restart(self) -> None:
        """Stop, if it runs, and start on the same data and URL."""
        await self.stop()
        await self.start()


def postgres_url(data: DataDir) -> str:
    """Return the database URL of a server on `data`; the port only names the socket file."""
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(data.sockets))}&port=5432"


def _is_ready(pid_file: Path, pid: int) -> bool:
    """Read line 1, whose server it is, and line 8, its state: that costs no connection."""
    try:
        lines = pid_file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return lines[:1] == [str(pid)] and "".join(lines[7:8]).strip() == "ready"
