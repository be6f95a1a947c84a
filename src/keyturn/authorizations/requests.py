"""Authorization requests in progress: kept while a person signs in or decides.

A handle is random, kept as a hash, and good in one browser only: the one whose cookie came along
when it was made. Whoever is sent somebody else's link cannot go on with it, nor can a sign-in
begun in one browser be finished in another.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from keyturn.authorizations.model import AuthorizationRequest, Pending
from keyturn.crypto import opaque
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries

SQL = load_queries(__package__, "authorizations.sql")

LIFETIME = timedelta(minutes=30)
"""Time to find a password; the page itself may be left open for longer, and says so then."""

LONGEST_HANDLE = 64
"""Characters of a handle that is worth looking for; ours have 43."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests that wait for a person. Every method raises `Unavailable`."""

    database: Database

    async def keep(self, request: AuthorizationRequest, browser: str) -> str:
        """Keep a checked request for the browser that brought it; return its handle."""
        handle = opaque.token_urlsafe()
        await self.database.execute(
            SQL["keep_request"], _hash(handle), _hash(browser), request.as_json(), LIFETIME
        )
        return handle

    async def find(self, handle: str, browser: str) -> Pending | None:
        """Return the request; None when it is unknown, finished, over, or another browser's."""
        if len(handle) > LONGEST_HANDLE:
            return None
        row = await self.database.fetch_row(SQL["find_request"], _hash(handle), _hash(browser))
        if row is None:
            return None
        request = AuthorizationRequest.from_json(row["request"])
        return Pending(handle, request, row["created_at"], row["proven_login_id"], row["answer"])

    async def prove(self, handle: str, login_id: UUID) -> None:
        """Note that this login was proven for this very request, however old the login is."""
        await self.database.execute(SQL["prove_request"], _hash(handle), login_id)

    async def answer(self, handle: str, answer: Literal["agreed", "denied"]) -> None:
        """Note what the person said to this very request, whatever they have said before."""
        await self.database.execute(SQL["answer_request"], _hash(handle), answer)

    async def finish(self, handle: str) -> bool:
        """Finish a request; True once, to whoever may answer it."""
        return await self.database.execute(SQL["finish_request"], _hash(handle)) == 1


async def purge_expired(database: Statements, limit: int) -> int:
    """Delete at most `limit` requests that are over; return how many. Raises `Unavailable`."""
    return await database.execute(SQL["purge_requests"], limit)


def _hash(value: str) -> bytes:
    return opaque.sha256(value.encode())
