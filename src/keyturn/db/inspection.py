"""A connection that only looks: at any server, a standby too, and never writing.

Each question is a read-only transaction of its own, so that one which is refused spoils no other,
and that the server itself lets nothing be changed. Nothing is set for the session: it may belong to
a pooler and be the next caller's.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from keyturn.db.connection import speak_jsonb
from keyturn.db.queries import Query
from keyturn.db.trouble import TROUBLE, is_ours
from keyturn.errors import Unavailable

_DEADLINE = "select set_config('statement_timeout', $1, true)"


class Missing(Unavailable):
    """A table or a column is not there: the schema is older than the question."""


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """One connection to one server; `deadline` is in seconds, for each question."""

    connection: asyncpg.Connection
    deadline: float

    async def fetch(self, query: Query, *args: Any) -> list[asyncpg.Record]:
        """Return all rows. Raises `Missing`, `Unavailable`."""
        try:
            async with asyncio.timeout(self.deadline):
                async with self.connection.transaction(readonly=True):
                    await self.connection.fetchval(_DEADLINE, str(int(self.deadline * 1000)))
                    return await self.connection.fetch(query.sql, *args)
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            raise Missing(f"{query.name}: {type(error).__name__}") from error
        except TROUBLE as error:
            if is_ours(error):
                raise
            raise Unavailable(f"{query.name}: {type(error).__name__}") from error


@asynccontextmanager
async def inspect(url: str, deadline: float) -> AsyncIterator[Inspection]:
    """Connect to the one server of `url` within `deadline` seconds. Raises `Unavailable`."""
    try:
        async with asyncio.timeout(deadline):
            connection = await _connect(url)
    except TROUBLE as error:
        raise Unavailable(type(error).__name__) from error
    try:
        yield Inspection(connection, deadline)
    finally:
        connection.terminate()


async def _connect(url: str) -> asyncpg.Connection:
    connection: asyncpg.Connection = await asyncpg.connect(
        url, statement_cache_size=0, server_settings={"application_name": "keyturn doctor"}
    )
    # In a transaction, because it asks the server: a pooler lends one for as long.
    async with connection.transaction(readonly=True):
        await speak_jsonb(connection)
    return connection
