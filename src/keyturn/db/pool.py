"""Held connections, each with the named queries prepared, and a deadline on everything.

A borrowed connection costs no round trip: no reset query, no statement look-up on the server.
Connections whose fate is unknown (a deadline passed, the server went away, it became a
standby) are thrown away, never returned.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from keyturn.db.connection import Opener
from keyturn.db.queries import Query
from keyturn.db.trouble import HARMLESS, TROUBLE, is_ours
from keyturn.db.turns import Turns
from keyturn.errors import Unavailable
from keyturn.settings_postgres import PostgresSettings
from keyturn.telemetry.metrics import Metrics

Row: TypeAlias = asyncpg.Record
"""A row by column name; every room turns it into a model at once."""

CLIENT_MARGIN = 0.25
"""Seconds we wait beyond the server's own statement deadline before giving the line up."""

ABANDONED = (TimeoutError, asyncio.CancelledError)
"""After these the driver asks the server to cancel, by a connection of its own."""


class Statements(Protocol):
    """What rules are handed: a database or one open transaction of it."""

    async def fetch_row(self, query: Query, *args: Any) -> Row | None:
        """Return the first row, or None."""
        ...

    async def fetch(self, query: Query, *args: Any) -> list[Row]:
        """Return all rows."""
        ...

    async def execute(self, query: Query, *args: Any) -> int:
        """Return the number of rows the statement touched."""
        ...


@dataclass(slots=True, eq=False)
class Line:
    """One held connection and the statements prepared on it."""

    connection: asyncpg.Connection
    deadline: float
    metrics: Metrics
    prepared: dict[Query, PreparedStatement] = field(default_factory=dict)
    broken: bool = False
    adrift: bool = False
    """Given up in the middle of a statement, which the server may still be running."""

    async def _statement(self, query: Query) -> PreparedStatement:
        statement = self.prepared.get(query)
        if statement is None:
            statement = await self.connection.prepare(query.sql, timeout=self.deadline)
            self.prepared[query] = statement
        return statement

    async def fetch_row(self, query: Query, *args: Any) -> Row | None:
        """Return the first row, or None: one round trip."""
        began = _now()
        try:
            statement = await self._statement(query)
            return await statement.fetchrow(*args, timeout=self.deadline)
        except BaseException as error:
            raise self._judge(error, query) from error
        finally:
            self.metrics.database_operations[query.operation].observe(_now() - began)

    async def fetch(self, query: Query, *args: Any) -> list[Row]:
        """Return all rows."""
        began = _now()
        try:
            statement = await self._statement(query)
            return await statement.fetch(*args, timeout=self.deadline)
        except BaseException as error:
            raise self._judge(error, query) from error
        finally:
            self.metrics.database_operations[query.operation].observe(_now() - began)

    async def execute(self, query: Query, *args: Any) -> int:
        """Return the number of rows the statement touched."""
        began = _now()
        try:
            statement = await self._statement(query)
            await statement.fetch(*args, timeout=self.deadline)
        except BaseException as error:
            raise self._judge(error, query) from error
        finally:
            self.metrics.database_operations[query.operation].observe(_now() - began)
        return int((statement.get_statusmsg() or "0").rpartition(" ")[2])

    def _judge(self, error: BaseException, query: Query) -> BaseException:
        if is_ours(error):
            return error
        # Cancelled, timed out or cut: whether the statement took effect is unknown.
        self.broken = not isinstance(error, HARMLESS)
        self.adrift = isinstance(error, ABANDONED)
        if not isinstance(error, (*TROUBLE, *HARMLESS)):
            return error
        self.metrics.database_errors("statement")
        return Unavailable(f"{query.name}: {type(error).__name__}")


@dataclass(slots=True, eq=False)
class Database:
    """A bounded set of lines to one PostgreSQL primary."""

    settings: PostgresSettings
    metrics: Metrics
    session_settings: dict[str, str] = field(default_factory=dict)
    _free: deque[Line] = field(default_factory=deque)
    _turns: Turns[Line | None] = field(default_factory=Turns)
    """Lines from hand to hand; None is the place of a broken one, free to open another."""
    _opened: int = 0
    _closed: bool = False
    _leaving: set[asyncio.Task[None]] = field(default_factory=set)
    _opener: Opener = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is connected before the first statement."""
        self._opener = Opener(self.settings, self.session_settings)

    async def fetch_row(self, query: Query, *args: Any) -> Row | None:
        """Run `query` on its own; commit is included. Raises `Unavailable`."""
        line = await self.acquire()
        try:
            return await line.fetch_row(query, *args)
        finally:
            self.release(line)

    async def fetch(self, query: Query, *args: Any) -> list[Row]:
        """Run `query` on its own and return all rows. Raises `Unavailable`."""
        line = await self.acquire()
        try:
            return await line.fetch(query, *args)
        finally:
            self.release(line)

    async def execute(self, query: Query, *args: Any) -> int:
        """Run `query` on its own and return the number of rows. Raises `Unavailable`."""
        line = await self.acquire()
        try:
            return await line.execute(query, *args)
        finally:
            self.release(line)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Statements]:
        """Open one transaction; it commits at the end of the block or not at all."""
        line = await self.acquire()
        try:
            await _run(line, "begin")
            try:
                yield line
            except BaseException:
                if not line.broken:
                    await _run(line, "rollback")
                raise
            await _run(line, "commit")
        finally:
            self.release(line)

    async def acquire(self) -> Line:
        """Borrow a line: a free one, else a new one, else wait `pool_wait` seconds."""
        line = self._take_free()
        if line is not None:
            self.metrics.database_wait.observe(0.0)
            return line
        began = _now()
        try:
            return await self._open_or_wait()
        finally:
            self.metrics.database_wait.observe(_now() - began)

    def _take_free(self) -> Line | None:
        while self._free:
            line = self._free.pop()
            if not line.connection.is_closed():
                return line
            self._opened -= 1
        return None

    async def _open_or_wait(self) -> Line:
        if self._opened < self.settings.pool_max:
            return await self._open()
        return await self._wait()

    def release(self, line: Line) -> None:
        """Give a line back, to who waits longest; a broken one is closed and frees its place."""
        if line.adrift and not line.connection.is_closed():
            # Cut at once, the server would not hear of it: a commit that waits for a standby is
            # under no deadline of its own, and would keep its connection for as long as that takes.
            task = asyncio.create_task(self._see_off(line))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        elif line.broken or self._closed or line.connection.is_closed():
            line.connection.terminate()
            self._vacate()
        elif not self._turns.hand_on(line):
            self._free.append(line)

    async def _see_off(self, line: Line) -> None:
        await self._close(line)
        self._vacate()

    def _vacate(self) -> None:
        self._opened -= 1
        self._turns.hand_on(None)

    async def _wait(self) -> Line:
        try:
            line = await self._turns.wait(self.settings.pool_wait, self._hand_back)
        except TimeoutError as error:
            self.metrics.database_errors("pool")
            raise Unavailable("pool: no connection became free in time") from error
        return line or self._take_free() or await self._open_or_wait()

    def _hand_back(self, line: Line | None) -> None:
        if line is None:
            self._turns.hand_on(None)
        else:
            self.release(line)

    async def _open(self) -> Line:
        self._opened += 1
        try:
            connection = await self._opener.open()
        except BaseException as error:
            self._vacate()
            if isinstance(error, TROUBLE):
                self.metrics.database_errors("connect")
                raise Unavailable(f"connect: {type(error).__name__}") from error
            raise
        return Line(connection, self.settings.statement_timeout + CLIENT_MARGIN, self.metrics)

    def in_use(self) -> int:
        """Return how many lines are lent out."""
        return self._opened - len(self._free)

    def idle(self) -> int:
        """Return how many lines are open and free."""
        return len(self._free)

    async def close(self) -> None:
        """Close every line, all at once; those lent out close when they come back."""
        self._closed = True
        free, self._free = self._free, deque()
        self._opened -= len(free)
        await asyncio.gather(*(self._close(line) for line in free), *self._leaving)

    async def _close(self, line: Line) -> None:
        """Say good-bye in time, after the end of what was cancelled; else hang up."""
        try:
            await line.connection.close(timeout=self.settings.connect_timeout)
        except TROUBLE:
            line.connection.terminate()


async def _run(line: Line, command: str) -> None:
    began = _now()
    try:
        await line.connection.execute(command, timeout=line.deadline)
    except BaseException as error:
        line.broken, line.adrift = True, isinstance(error, ABANDONED)
        if isinstance(error, TROUBLE):
            raise Unavailable(f"{command}: {type(error).__name__}") from error
        raise
    finally:
        line.metrics.database_operations[command].observe(_now() - began)


def _now() -> float:
    return asyncio.get_running_loop().time()
