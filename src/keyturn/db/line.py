"""One held connection: what is prepared on it, its deadline, and whether it may be lent again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from keyturn.clock import Clock
from keyturn.db.queries import Query
from keyturn.db.trouble import HARMLESS, LOST, TROUBLE, is_ours, unavailable
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.tracing import step

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
    clock: Clock
    prepared: dict[Query, PreparedStatement] = field(default_factory=dict)
    shared: bool = False
    """A pooler lends it: what is prepared in one transaction is not there in the next.

    So a statement has no name. The driver is told once what goes in and comes out, and parses it
    anew in the packet that executes it: never a round trip more than the first time.
    """
    era: int = 0
    lost: bool = False
    """The server has ended it."""
    broken: bool = False
    adrift: bool = False
    """Given up in the middle of a statement, which the server may still be running."""

    async def _statement(self, query: Query) -> PreparedStatement:
        statement = self.prepared.get(query)
        if statement is None:
            name = "" if self.shared else None
            statement = await self.connection.prepare(query.sql, name=name, timeout=self.deadline)
            self.prepared[query] = statement
        return statement

    async def fetch_row(self, query: Query, *args: Any) -> Row | None:
        """Return the first row, or None: one round trip."""
        began = self.clock.monotonic()
        try:
            with step("sql", query.operation):
                statement = await self._statement(query)
                return await statement.fetchrow(*args, timeout=self.deadline)
        except BaseException as error:
            raise self._judge(error, query) from error
        finally:
            self.metrics.database_operations[query.operation].observe(
                self.clock.monotonic() - began
            )

    async def fetch(self, query: Query, *args: Any) -> list[Row]:
        """Return all rows."""
        rows, _ = await self._fetched(query, args)
        return rows

    async def execute(self, query: Query, *args: Any) -> int:
        """Return the number of rows the statement touched."""
        _, statement = await self._fetched(query, args)
        return int((statement.get_statusmsg() or "0").rpartition(" ")[2])

    async def say(self, command: str, words: str = "") -> None:
        """Begin or end a transaction; `words` are what is sent for the command, if they differ."""
        began = self.clock.monotonic()
        try:
            with step("sql", command):
                await self.connection.execute(words or command, timeout=self.deadline)
        except BaseException as error:
            self.broken = True
            self.note(error)
            if isinstance(error, TROUBLE):
                raise unavailable(command, error) from error
            raise
        finally:
            self._time(command, began)

    async def _fetched(
        self, query: Query, args: Sequence[Any]
    ) -> tuple[list[Row], PreparedStatement]:
        began = self.clock.monotonic()
        try:
            with step("sql", query.operation):
                statement = await self._statement(query)
                return await statement.fetch(*args, timeout=self.deadline), statement
        except BaseException as error:
            raise self._judge(error, query) from error
        finally:
            self.metrics.database_operations[query.operation].observe(
                self.clock.monotonic() - began
            )

    def _time(self, operation: str, began: float) -> None:
        self.metrics.database_operations[operation].observe(self.clock.monotonic() - began)

    def _judge(self, error: BaseException, query: Query) -> BaseException:
        if is_ours(error):
            return error
        # Cancelled, timed out or cut: whether the statement took effect is unknown.
        self.broken = not isinstance(error, HARMLESS)
        self.note(error)
        if not isinstance(error, (*TROUBLE, *HARMLESS)):
            return error
        self.metrics.database_errors("statement")
        return unavailable(query.name, error)

    def note(self, error: BaseException) -> None:
        """Remember what is to be done about the server when this line is given back."""
        self.adrift, self.lost = isinstance(error, ABANDONED), isinstance(error, LOST)
