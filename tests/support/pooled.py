"""A PgBouncer in transaction mode before a server of ours, with fewer connections than it has users.

`KEYTURN_TEST_POOLER` (any value) makes every server that a test starts go through one: the
session's fixture runs it, `settings` says so to the servers.
"""

import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from keyturn.dev.data_dir import DataDir
from keyturn.dev.privileges import make_folder
from keyturn.dev.process import ChildProcess

VARIABLE = "KEYTURN_TEST_POOLER"
WANTED = VARIABLE in os.environ
POOL_SIZE = 4
"""Server connections of a database: two replicas alone would hold more, so they are shared."""

PORT = 6432
START_PATIENCE = 30.0

_running: dict[str, "PgBouncer"] = {}
"""By the folder of the sockets of the server behind it."""


class PgBouncer(ChildProcess):
    """PgBouncer before the server whose sockets are in the folder `behind`; on a socket itself."""

    def __init__(self, data: DataDir, program: Path, behind: str, more: Mapping[str, str]) -> None:
        super().__init__("PgBouncer", data.path / "bouncer.log", data.account, signal.SIGINT)
        self._data, self._program, self._behind = data, program, behind
        self._more = more

    def url(self, database_url: str) -> str:
        """Return the URL of a database behind it."""
        host = quote(str(self._data.sockets), safe="")
        return urlsplit(database_url)._replace(query=f"host={host}&port={PORT}").geturl()

    async def start(self) -> None:
        """Start, and return once it listens."""
        folder = self._data.path / "bouncer"
        make_folder(folder, 0o755)
        settings = folder / "pgbouncer.ini"
        settings.write_text(self._ini())
        settings.chmod(0o644)
        self.spawn((self._program, settings))
        socket = self._data.sockets / f".s.PGSQL.{PORT}"
        await self.started(socket.exists, START_PATIENCE)

    def _ini(self) -> str:
        user = "" if "auth_file" in self._more else " user=keyturn"
        settings = {
            "unix_socket_dir": str(self._data.sockets),
            "unix_socket_mode": "0777",
            "listen_port": str(PORT),
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": str(POOL_SIZE),
            "max_client_conn": "2000",
            "server_idle_timeout": "10",
            "query_wait_timeout": "5",
            "log_connections": "0",
            "log_disconnections": "0",
            **self._more,
        }
        lines = (f"{name} = {value}" for name, value in settings.items())
        database = f"* = host={self._behind} port=5432{user}"
        return "\n".join(("[databases]", database, "[pgbouncer]", *lines, ""))


@asynccontextmanager
async def bouncer(
    program: Path, database_url: str, more: Mapping[str, str] | None = None
) -> AsyncIterator[PgBouncer]:
    """Run one before the server of `database_url`; `more` as in pgbouncer.ini."""
    data = DataDir.temporary(os.environ)
    make_folder(data.path, 0o711)
    one = PgBouncer(data, program, sockets_of(database_url), more or {})
    with data.hold(one.url(database_url)):
        try:
            await one.start()
            yield one
        finally:
            await one.stop()


@asynccontextmanager
async def everywhere(server_url: str) -> AsyncIterator[None]:
    """Send every server of a test on the PostgreSQL of `server_url` through a PgBouncer."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RuntimeError(f"{VARIABLE} needs pgbouncer: install it")
    async with bouncer(Path(program), server_url) as one:
        _running[sockets_of(server_url)] = one
        try:
            yield
        finally:
            del _running[sockets_of(server_url)]


def settings(database_url: str) -> dict[str, str]:
    """Return the settings of a server on this database, through the pooler where there is one."""
    one = _running.get(sockets_of(database_url))
    if one is None:
        return {"postgres__url": database_url}
    return through(one, database_url)


def through(one: PgBouncer, database_url: str) -> dict[str, str]:
    """Return the settings of a server on this database behind this pooler."""
    return {
        "postgres__url": one.url(database_url),
        "postgres__pooler": "transaction",
        "postgres__direct_url": database_url,
    }


def sockets_of(database_url: str) -> str:
    """Return the folder of sockets a URL names; empty for one that names a host."""
    return parse_qs(urlsplit(database_url).query).get("host", [""])[0]
