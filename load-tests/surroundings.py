"""What a load test needs around the server: a PostgreSQL that syncs to disk, a Valkey, settings.

All of it is the test's own and is thrown away at the end.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import seed
from cpu import Cores
from keyturn.configuration import load_settings
from keyturn.crypto import opaque
from keyturn.db.migrate import migrate
from keyturn.dev.data_dir import DataDir
from keyturn.dev.supervisor import EmbeddedPair, PairOptions, embedded_pair
from worker import Worker, serving

ISSUER = "http://localhost:8080"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Both databases, migrated, and the settings of servers that use them."""

    pair: EmbeddedPair
    cores: Cores
    environ: Mapping[str, str]
    scratch: Path

    @property
    def url(self) -> str:
        """The database."""
        return self.pair.postgres_url

    def on(self, cores: Cores) -> "Surroundings":
        """Return the same with everybody on other cores."""
        cores.keep_off(os.getpid(), *self.pair.pids.values())
        return replace(self, cores=cores)

    async def seed(self, sessions: int) -> seed.Seeded:
        """Make so many signed-in people."""
        return await seed.seed(load_settings(self.environ), sessions)

    def serving(
        self, workers: int = 1, source: Path | None = None
    ) -> AbstractContextManager[Worker]:
        """Run a server; `source` is a folder that holds another `keyturn` to run instead."""
        environ = dict(self.environ) | ({"PYTHONPATH": str(source)} if source else {})
        log = self.scratch / f"server-{opaque.token_urlsafe(6)}.log"
        return serving(environ, log, self.cores, workers)


@asynccontextmanager
async def surroundings(cores: Cores) -> AsyncIterator[Surroundings]:
    """Start both databases off the server's core, and stop them."""
    options = PairOptions(durable=True, search_path=os.environ.get("PATH", os.defpath))
    async with embedded_pair(DataDir.temporary(os.environ), options) as pair:
        cores.keep_off(os.getpid(), *pair.pids.values())
        await migrate(pair.postgres_url)
        with tempfile.TemporaryDirectory(prefix="keyturn-load-") as scratch:
            yield Surroundings(pair, cores, environ_of(pair), Path(scratch))


def environ_of(pair: EmbeddedPair) -> Mapping[str, str]:
    """Return the settings of the server: the defaults, on loopback, with free ports.

    But that idle connections stay open: at a low rate of arrivals each would be closed meanwhile.
    """
    if pair.redis_url is None:
        raise RuntimeError("load tests run with Redis: install the dev extra")
    return {
        "KEYTURN_ISSUER": ISSUER,
        "KEYTURN_SECRETS": f"1: {opaque.token_urlsafe(32)}",
        "KEYTURN_POSTGRES__URL": pair.postgres_url,
        "KEYTURN_REDIS__URL": pair.redis_url,
        "KEYTURN_SERVER__HOST": "127.0.0.1",
        "KEYTURN_SERVER__PORT": "0",
        "KEYTURN_SERVER__MANAGEMENT_HOST": "127.0.0.1",
        "KEYTURN_SERVER__MANAGEMENT_PORT": "0",
        "KEYTURN_SERVER__DRAIN_SECONDS": "0",
        "KEYTURN_SERVER__IDLE_TIMEOUT": "60",
    }
