"""Which process does a job that one should do: the holder of an advisory lock.

The lock goes with the connection it was taken on: at once when the process dies, after `SILENCE`
when the process is frozen or its machine has vanished, so that another takes over.
"""

import asyncio
from dataclasses import dataclass, field

from keyturn.db.pool import Database, Line
from keyturn.db.queries import Query, load_queries
from keyturn.settings_postgres import PostgresSettings
from keyturn.telemetry.metrics import Metrics

SQL = load_queries(__package__, "leadership.sql")

SILENCE = 10
"""Seconds after which the server hangs up on a leader it hears nothing of."""

_HANG_UP = {
    "idle_session_timeout": f"{SILENCE}s",
    "tcp_keepalives_idle": f"{SILENCE}",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}


@dataclass(slots=True, eq=False)
class Leadership:
    """The posts of one process, all on one connection that is not the pool's."""

    settings: PostgresSettings
    metrics: Metrics
    _line: Line | None = field(default=None, init=False)
    _posts: set[str] = field(default_factory=set, init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _database: Database = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is connected before the first question."""
        alone = self.settings.model_copy(update={"pool_max": 1})
        self._database = Database(alone, self.metrics, dict(_HANG_UP))

    async def leads(self, post: str) -> bool:
        """Return whether this process leads `post` now, applying for it if it is free.

        Raises `Unavailable`; every post is lost then.
        """
        async with self._turn:
            line = await self._connected()
            if post in self._posts:
                await self._ask(line, SQL["confirm"])
            elif await self._ask(line, SQL["apply"], post):
                self._posts.add(post)
        return post in self._posts

    async def leave(self, post: str) -> None:
        """Give up one post, for another process to take; the others stay.

        Raises `Unavailable`; every post is lost then.
        """
        async with self._turn:
            line = await self._connected()
            if post in self._posts:
                await self._ask(line, SQL["leave"], post)
                self._posts.discard(post)

    async def resign(self) -> None:
        """Give up every post by closing the connection."""
        async with self._turn:
            self._hang_up()

    async def _ask(self, line: Line, query: Query, *args: str) -> bool:
        try:
            row = await line.fetch_row(query, *args)
        except BaseException:
            self._hang_up()
            raise
        return row is not None and bool(row["leads"])

    async def _connected(self) -> Line:
        if self._line is not None and self._line.connection.is_closed():
            self._hang_up()
        if self._line is None:
            self._line = await self._database.acquire()
        return self._line

    def _hang_up(self) -> None:
        self._posts.clear()
        if self._line is not None:
            self._line.broken = True
            self._database.release(self._line)
            self._line = None
