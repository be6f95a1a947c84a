"""Replicas with servers of their own behind proxies: to stop, freeze, kill and cut at will."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from keyturn.db.migrate import migrate
from keyturn.dev.postgres import PostgresServer
from keyturn.dev.valkey import ValkeyServer
from support import replicas
from support.api import Api, api_of
from support.proxy import Proxy
from support.replicas import Replica
from support.servers import private_postgres, private_valkey


@dataclass(frozen=True)
class Statements:
    """SQL behind the server's back, each statement on a connection of its own: none stays."""

    url: str

    async def execute(self, query: str, *args: Any) -> str:
        """Run a statement."""
        async with connected(self.url) as sql:
            return await sql.execute(query, *args)

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """Return all rows."""
        async with connected(self.url) as sql:
            return await sql.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """Return the first row."""
        async with connected(self.url) as sql:
            return await sql.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Return the first column of the first row."""
        async with connected(self.url) as sql:
            return await sql.fetchval(query, *args)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection for the block; the server may be gone at its end."""
    sql = await asyncpg.connect(url)
    try:
        yield sql
    finally:
        if not sql.is_closed():
            await sql.close(timeout=5)


@dataclass(frozen=True)
class Disturbed:
    """The replicas, what stands behind them, and the wires between: one for each replica."""

    api: Api
    postgres: PostgresServer
    valkey: ValkeyServer
    postgres_wires: list[Proxy]
    redis_wires: list[Proxy]

    @property
    def replica(self) -> Replica:
        """The first replica."""
        return self.api.replicas[0]

    @property
    def wire(self) -> Proxy:
        """Between the first replica and PostgreSQL."""
        return self.postgres_wires[0]


@asynccontextmanager
async def disturbed(
    count: int = 1,
    postgres: Mapping[str, str] | None = None,
    valkey: Mapping[str, str] | None = None,
    **settings: str,
) -> AsyncIterator[Disturbed]:
    """Run `count` replicas; `postgres` and `valkey` are settings of the servers behind them."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(private_postgres(postgres))
        cache = await stack.enter_async_context(private_valkey(valkey))
        await migrate(database.url)
        behind = []
        for target, is_postgres in ((socket_of(database.url), True), (socket_of(cache.url), False)):
            for _ in range(count):
                wire = Proxy.to(target, postgres=is_postgres, redis=not is_postgres)
                behind.append(await stack.enter_async_context(wire))
        wires, redis_wires = behind[:count], behind[count:]
        environs = [through(*pair, **settings) for pair in zip(wires, redis_wires, strict=True)]
        started = await stack.enter_async_context(running(environs))
        direct = replicas.settings(database.url, cache.url, **replicas.GENEROUS, **settings)
        api = await stack.enter_async_context(api_of(direct, started))
        api = replace(api, sql=Statements(database.url))
        yield Disturbed(api, database, cache, wires, redis_wires)


@asynccontextmanager
async def running(environs: Sequence[Mapping[str, str]]) -> AsyncIterator[list[Replica]]:
    """Run a replica on each of these environments; whatever is in the list at the end is ended.

    They are waited for in threads: the proxies they go through live in this one.
    """
    started = [replicas.start(environ) for environ in environs]
    try:
        await all_ready(*started)
        yield started
    finally:
        for one in started:
            if one.process.poll() is None:
                one.kill()
            one.log.unlink(missing_ok=True)


async def all_ready(*started: Replica) -> None:
    """Wait until each says that it is ready."""
    await asyncio.gather(*(asyncio.to_thread(one.wait_until_ready) for one in started))


def through(wire: Proxy, redis_wire: Proxy, **settings: str) -> dict[str, str]:
    """Return the environment of a replica that reaches its servers through proxies."""
    return replicas.settings(
        f"postgresql://keyturn@127.0.0.1:{wire.port}/keyturn?sslmode=disable",
        f"redis://127.0.0.1:{redis_wire.port}",
        **replicas.GENEROUS,
        **settings,
    )


def socket_of(url: str) -> str:
    """Return the Unix socket of an embedded server's URL."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return unquote(parts.path)
    query = parse_qs(parts.query)
    return f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
