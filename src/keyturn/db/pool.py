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
from typing import Any

from keyturn.clock import Clock, SystemClock
from keyturn.db.connection import Opener
from keyturn.db.line import CLIENT_MARGIN, Line, Row, Statements
from keyturn.db.queries import Query
from keyturn.db.trouble import TROUBLE
from keyturn.db.turns import Turns
from keyturn.errors import Unavailable
from keyturn.settings_postgres import PostgresSettings
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.tracing import step

__all__ = ["Database", "Line", "Row", "Statements"]


@dataclass(slots=True, eq=False)
class Database:
    """A bounded set of lines to one PostgreSQL primary."""

    settings: PostgresSettings
    metrics: Metrics
    session_settings: dict[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    """Not the loop's: that one goes by milliseconds, in which a statement is over."""
    _free: deque[Line] = field(default_factory=deque)
    _turns: Turns[Line | None] = field(default_factory=Turns)
    """Lines from hand to hand; None is the place of a broken one, free to open another."""
    _opened: int = 0
    _era: int = 0
    """One lost line ends it, and with it the lines of its time."""
    _closed: bool = False
    _leaving: set[asyncio.Task[None]] = field(default_factory=set)
    _opener: Opener = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is connected before the first statement."""
        self._opener = Opener(self.settings, self.session_settings)

    async def fetch_row(self, query: Query, *args: Any) -> Row | None:
        """Run `query` on its own; commit is included. Raises `Unavailable`."""
        if self.settings.is_pooled:
            async with self.transaction() as tx:
                return await tx.fetch_row(query, *args)
        line = await self.acquire()
        try:
            return await line.fetch_row(query, *args)
        finally:
            self.release(line)

    async def fetch(self, query: Query, *args: Any) -> list[Row]:
        """Run `query` on its own and return all rows. Raises `Unavailable`."""
        if self.settings.is_pooled:
            async with self.transaction() as tx:
                return await tx.fetch(query, *args)
        line = await self.acquire()
        try:
            return await line.fetch(query, *args)
        finally:
            self.release(line)

    async def execute(self, query: Query, *args: Any) -> int:
        """Run `query` on its own and return the number of rows. Raises `Unavailable`."""
        if self.settings.is_pooled:
            async with self.transaction() as tx:
                return await tx.execute(query, *args)
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
            await line.say("begin", self._opener.session.begin)
            try:
                yield line
            except BaseException:
                if not line.broken:
                    await line.say("rollback")
                raise
            await line.say("commit")
        finally:
            self.release(line)

    async def acquire(self) -> Line:
        """Borrow a line: a free one, else a new one, else wait `pool_wait` seconds."""
        line = self._take_free()
        if line is not None:
            self.metrics.database_wait.observe(0.0)
            return line
        began = self.clock.monotonic()
        try:
            with step("internal", "wait for a connection"):
                return await self._open_or_wait()
        finally:
            self.metrics.database_wait.observe(self.clock.monotonic() - began)

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
        if line.lost and line.era == self._era:
            self._renew()
        if line.adrift and not line.connection.is_closed():
            # Cut at once, the server would not hear of it: a commit that waits for a standby is
            # under no deadline of its own, and would keep its connection for as long as that takes.
            task = asyncio.create_task(self._see_off(line))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        elif line.broken or self._closed or line.era < self._era or line.connection.is_closed():
            self._hang_up(line)
        elif not self._turns.hand_on(line):
            self._free.append(line)

    def _renew(self) -> None:
        """Have every line replaced: what ended one has ended more, and they do not know it yet.

        So who asks again is not handed the next dead one.
        """
        self._era += 1
        free, self._free = self._free, deque()
        for line in free:
            self._hang_up(line)

    def _hang_up(self, line: Line) -> None:
        line.connection.terminate()
        self._vacate()

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
        era = self._era
        try:
            connection = await self._opener.open()
        except BaseException as error:
            self._vacate()
            if isinstance(error, TROUBLE):
                self.metrics.database_errors("connect")
                raise Unavailable(f"connect: {type(error).__name__}") from error
            raise
        deadline = self.settings.statement_timeout + CLIENT_MARGIN
        return Line(
            connection, deadline, self.metrics, self.clock, shared=self.settings.is_pooled, era=era
        )

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
