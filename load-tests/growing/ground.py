"""The servers that growth is measured on: durable, with caches as small production servers have."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from benchmark import environ_of
from cpu import Cores
from keyturn.db.migrate import migrate
from keyturn.dev.data_dir import DataDir
from keyturn.dev.supervisor import EmbeddedPair, PairOptions, embedded_pair
from worker import Worker, serving

POSTGRES = {
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "maintenance_work_mem": "256MB",
    "max_parallel_maintenance_workers": "0",
}
PATIENCE = 3600.0


@dataclass(frozen=True, slots=True)
class Ground:
    """A PostgreSQL and a Valkey, the settings of servers on them, and a connection."""

    pair: EmbeddedPair
    environ: Mapping[str, str]
    sql: asyncpg.Connection

    @property
    def postgres_pid(self) -> int:
        """The process whose family does the database's work."""
        return self.pair.pids["postgres"]

    @contextmanager
    def serve(self, **settings: str) -> Iterator[Worker]:
        """Run one `keyturn serve`, with these settings beside the usual ones."""
        environ = {**self.environ, **settings}
        cores = Cores.divide(pin=False)
        with (
            tempfile.TemporaryDirectory(prefix="keyturn-growth-") as scratch,
            serving(environ, Path(scratch) / "server.log", cores) as worker,
        ):
            yield worker


@asynccontextmanager
async def ground(data: Path | None = None) -> AsyncIterator[Ground]:
    """Start both servers on a folder that stays, or on one that is thrown away; migrate; stop."""
    options = PairOptions(
        durable=True,
        postgres_settings=POSTGRES,
        search_path=os.environ.get("PATH", os.defpath),
    )
    folder = DataDir.at(data, os.environ) if data else DataDir.temporary(os.environ)
    async with embedded_pair(folder, options) as pair:
        await migrate(pair.postgres_url)
        sql = await asyncpg.connect(pair.postgres_url, command_timeout=PATIENCE)
        try:
            # Those of an earlier run on this folder are sealed by a secret that is gone.
            await sql.execute("delete from signing_keys")
            yield Ground(pair, environ_of(pair), sql)
        finally:
            await sql.close()
