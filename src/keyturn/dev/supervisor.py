"""Start PostgreSQL and Valkey together on one data folder, and stop them in the right order."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.dev.binaries import find_postgres, find_valkey
from keyturn.dev.data_dir import DataDir, in_words
from keyturn.dev.postgres import QUICK, PostgresServer, postgres_url
from keyturn.dev.privileges import SYSTEM_STATE, reachable
from keyturn.dev.valkey import ValkeyServer


@dataclass(frozen=True, slots=True)
class PairOptions:
    """How to run the pair.

    `durable` off skips fsync, for throwaway data. `search_path` is the caller's PATH. The settings
    are added to the servers' own. `system_state` is where root copies programs to.
    """

    durable: bool = True
    valkey: bool = True
    postgres_settings: Mapping[str, str] = field(default_factory=dict)
    valkey_settings: Mapping[str, str] = field(default_factory=dict)
    search_path: str = os.defpath
    system_state: Path = SYSTEM_STATE


@dataclass(frozen=True, slots=True)
class EmbeddedPair:
    """Two running servers; `valkey` is None where there is no program for it."""

    postgres: PostgresServer
    valkey: ValkeyServer | None
    data_dir: Path

    @property
    def postgres_url(self) -> str:
        """The database URL, for asyncpg and for libpq."""
        return self.postgres.url

    @property
    def redis_url(self) -> str | None:
        """The cache URL, for redis.asyncio."""
        return self.valkey.url if self.valkey else None

    @property
    def pids(self) -> dict[str, int]:
        """The process ids: `postgres`, and `valkey` if there is one."""
        found = {"postgres": self.postgres.pid}
        return found | {"valkey": self.valkey.pid} if self.valkey else found


@asynccontextmanager
async def embedded_pair(data: DataDir, options: PairOptions) -> AsyncIterator[EmbeddedPair]:
    """Run both servers on `data`. Call it from the main thread.

    Raises EmbeddedStartFailed when they cannot be started. Leave it after the HTTP server has
    drained and the pools are closed: PostgreSQL stops first, then Valkey.
    """
    postgres, valkey = prepare_postgres(data, options), prepare_valkey(data, options)
    with data.hold(postgres_url(data)):
        async with AsyncExitStack() as stack:
            if valkey:
                stack.push_async_callback(valkey.stop)
            stack.push_async_callback(postgres.stop)
            try:
                async with asyncio.TaskGroup() as starting:
                    starting.create_task(postgres.start())
                    if valkey:
                        starting.create_task(valkey.start())
            except ExceptionGroup as failures:
                with in_words():
                    raise failures.exceptions[0] from failures
            yield EmbeddedPair(postgres, valkey, data.path)


def prepare_postgres(data: DataDir, options: PairOptions) -> PostgresServer:
    """Return a PostgreSQL server for `data`, not started; start it inside `data.hold(...)`."""
    program = reachable(find_postgres(options.search_path), data.account, options.system_state)
    settings = {} if options.durable else QUICK
    return PostgresServer(data, program, {**settings, **options.postgres_settings})


def prepare_valkey(data: DataDir, options: PairOptions) -> ValkeyServer | None:
    """Return a Valkey server for `data`, not started; start it inside `data.hold(...)`.

    None when there is no program for it, or none is wanted.
    """
    found = find_valkey(options.search_path) if options.valkey else None
    if found is None:
        return None
    program = reachable(found, data.account, options.system_state)
    return ValkeyServer(data, program, options.valkey_settings)
