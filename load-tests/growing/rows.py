"""Rows like real ones, made in bulk by the statements of `rows.sql` and `around.sql`."""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg

from growing.ground import PATIENCE, Ground
from keyturn.db.queries import Query, load_queries
from keyturn.web.device import condensed

SQL = load_queries("growing", "rows.sql")
SEED = "7"
BATCH = 50_000
WRITERS = 6
SESSIONS_OF_A_USER = 3
KEPT = 0.828
"""Of the sessions that began within the time that `rows.sql` tells; the others have been purged."""

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
BROWSERS = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/131.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Chrome/131.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {SAFARI}",
    f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
)
"""What they send; a row has what the server keeps of it."""


def users_of(sessions: int) -> int:
    """Return how many people have so many sessions."""
    return max(1, sessions // SESSIONS_OF_A_USER)


async def fill(ground: Ground, sessions: int) -> None:
    """Make so many sessions with their users and logins, unless they are there."""
    users, begun = users_of(sessions), round(sessions / KEPT)
    devices = [condensed(one) for one in BROWSERS]
    await ground.sql.execute("alter table sessions set (autovacuum_enabled = false)")
    for table, count, *more in (
        ("users", users),
        ("logins", users // 2),
        ("sessions", begun, begun, users, devices),
    ):
        if not await ground.sql.fetchval(f"select exists (select from {table})"):
            await _make(ground.pair.postgres_url, SQL[str(table)], int(count), more)
            await ground.sql.execute(f"vacuum analyze {table}")


async def _make(url: str, query: Query, count: int, more: Sequence[Any]) -> None:
    """Let several connections take one batch after the other."""
    left = batches(count)

    async def write() -> None:
        # A crash while rows are made loses nothing that cannot be made again.
        settings = {"synchronous_commit": "off"}
        sql = await asyncpg.connect(url, server_settings=settings, command_timeout=PATIENCE)
        try:
            for first, last in left:
                await sql.execute(query.sql, SEED, first, last, *more)
                say(f"{query.name}: {last / count:.0%} of {count:,}")
        finally:
            await sql.close()

    async with asyncio.TaskGroup() as writers:
        for _ in range(WRITERS):
            writers.create_task(write())


def batches(count: int) -> Iterator[tuple[int, int]]:
    """Divide the numbers from 1 on into ranges of one statement."""
    for first in range(1, count + 1, BATCH):
        yield first, min(first + BATCH - 1, count)


def say(progress: str) -> None:
    """Tell whoever waits how far it is."""
    print(f"{time.strftime('%X')} {progress}", file=sys.stderr)
