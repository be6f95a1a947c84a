"""The queue: written in the transaction that ends sessions, claimed for one attempt at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from keyturn.db.pool import Statements
from keyturn.db.queries import load_queries
from keyturn.logouts.model import Delivery

SQL = load_queries(__package__, "logouts.sql")

FIRST_DELAY: Final = timedelta(seconds=10)
"""Twice what one attempt may take, and a quarter less at worst: no two are ever under way."""

LONGEST_DELAY: Final = timedelta(hours=1)

MOST_COUNTED: Final = 10_000
"""Rows that are worth counting; more is simply much."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, up to `MOST_COUNTED`, and for how many seconds the oldest of it has."""

    length: int
    oldest: float


def delays(first: timedelta = FIRST_DELAY, longest: timedelta = LONGEST_DELAY) -> list[timedelta]:
    """Return how long to wait after each attempt: doubling; the last one stands for all others.

    The database varies each by a quarter, so that clients are not called by all at once.
    """
    steps = [first]
    while steps[-1] < longest:
        steps.append(min(steps[-1] * 2, longest))
    return steps


DELAYS: Final = delays()


async def write(tx: Statements, session_ids: Sequence[str]) -> None:
    """Queue the ends of these sessions, in the transaction that ends them; again is no harm.

    Only of those whose client wants to hear of it. Raises `Unavailable`.
    """
    if session_ids:
        await tx.execute(SQL["write"], list(session_ids))


async def claim(
    database: Statements, lifetime: timedelta, most: int, without: Sequence[str]
) -> list[Delivery]:
    """Take at most `most` deliveries for one attempt each, one of each client but `without`.

    Raises `Unavailable`; what it took all the same is due again after the first delay.
    """
    rows = await database.fetch(SQL["claim"], list(without), most, DELAYS, lifetime)
    return [Delivery.from_row(row) for row in rows]


async def finish(database: Statements, session_id: UUID) -> bool:
    """Forget a delivery; False when somebody else did. Raises `Unavailable`."""
    return await database.execute(SQL["finish"], session_id) == 1


async def measure(database: Statements) -> Backlog:
    """Look how much waits. Raises `Unavailable`."""
    [row] = await database.fetch(SQL["measure"], MOST_COUNTED)
    return Backlog(row["waiting"], row["oldest"])
