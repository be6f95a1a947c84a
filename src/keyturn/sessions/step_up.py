"""A step-up: the person proves themselves again, and a new session takes an older one's place.

An application that asks for a fresh proof gets a new session of the same browser login. The older
one must not live on beside it, and must not end before the application holds the new one: it may
be refreshing this very moment, and the answer that carries the new tokens may be lost. So it ends
in the transaction of the new session's first refresh; a job ends it one grace after the start for
those that never refresh.

A new sign-in without a new proof (a second tab, by single sign-on) is no step-up: both live.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from keyturn.clients.model import Client
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries
from keyturn.sessions.end import Ended, Ending, end_sessions

SQL = load_queries(__package__, "sessions.sql")

REASON = "step_up"


@dataclass(frozen=True, slots=True)
class StepUps:
    """Ends the sessions whose place another one has taken. Every method raises `Unavailable`."""

    database: Database
    ending: Ending
    default_grace: timedelta

    async def note(self, tx: Statements, session_id: UUID, client: Client) -> None:
        """In the transaction that began it: note that a session will take older ones' place.

        Does nothing when there are none: same user, client and login, and an earlier proof.
        """
        grace = self.default_grace if client.grace is None else client.grace
        await tx.execute(SQL["note_step_up"], session_id, grace)

    async def settle(self, tx: Statements, session_id: UUID) -> list[Ended]:
        """End what the session replaces, once; after the commit, `tell`.

        A session that has itself ended replaces nothing.
        """
        await tx.fetch(SQL["lock_for_step_up"], session_id)
        new = await tx.fetch_row(SQL["settle_step_up"], session_id)
        await tx.execute(SQL["forget_step_up"], session_id)
        if new is None:
            return []
        replaced = (new["id"], new["user_id"], new["client_id"], new["login_id"])
        return await end_sessions(
            tx, SQL["end_replaced_by_step_up"], *replaced, new["auth_time"], new["offline"]
        )

    async def settle_due(self, limit: int) -> int:
        """Settle at most `limit` step-ups whose grace is over; return how many."""
        due = await self.database.fetch(SQL["due_step_ups"], limit)
        for row in due:
            async with self.database.transaction() as tx:
                ended = await self.settle(tx, row["session_id"])
            await self.tell(ended)
        return len(due)

    async def tell(self, ended: Sequence[Ended]) -> None:
        """After the commit: count, audit and announce what ended."""
        await self.ending.tell(ended, REASON)
