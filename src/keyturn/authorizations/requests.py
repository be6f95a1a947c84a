"""Authorization requests in progress: begun by anybody, finished once.

A handle holds its request sealed (`sealed`), and is good in one browser only: the one whose
cookie came along when it was made. Whoever is sent somebody else's link cannot go on with it, nor
can a sign-in begun in one browser be finished in another. A row appears when somebody who is
signed in does something with a request; strangers leave nothing behind, however many they begin.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from keyturn.authorization_errors import RequestOver
from keyturn.authorizations import sealed
from keyturn.authorizations.model import AuthorizationRequest, Pending
from keyturn.authorizations.sealed import Sealed
from keyturn.crypto import opaque
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries
from keyturn.errors import Unavailable

SQL = load_queries(__package__, "authorizations.sql")

LIFETIME = timedelta(minutes=30)
"""Time to find a password; the page itself may be left open for longer, and says so then."""

KEPT = LIFETIME + timedelta(minutes=5)
"""How long a row stays: longer than any handle that was made before it."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests that wait for a person. Every method raises `Unavailable`."""

    database: Database
    secrets: MasterSecrets
    lifetime: timedelta = LIFETIME

    async def begin(self, request: AuthorizationRequest, browser: str) -> str:
        """Return the handle of a checked request, for the browser that brought it.

        Raises `InvalidRequest` for one that is too long to travel.
        """
        row = await self.database.fetch_row(SQL["moment"])
        if row is None:
            raise Unavailable("moment: no row")
        return sealed.seal(Sealed(request, row["at"] + self.lifetime), browser, self.secrets)

    async def find(self, handle: str, browser: str) -> Pending | None:
        """Return the request; None when it is not ours, finished, over, or another browser's."""
        opened = sealed.unseal(handle, browser, self.secrets)
        if opened is None:
            return None
        marks = opaque.digest(handle), _pushed(opened.request)
        row = await self.database.fetch_row(SQL["request_progress"], *marks)
        if row is None or row["finished_at"] is not None or row["at"] >= opened.expires_at:
            return None
        return Pending(handle, opened.request, row["proven_login_id"], row["answer"])

    async def prove(self, handle: str, login_id: UUID) -> None:
        """Note that this login was proven for this very request, however old the login is."""
        await self.database.execute(SQL["prove_request"], opaque.digest(handle), login_id, KEPT)

    async def answer(self, handle: str, answer: Literal["agreed", "denied"]) -> None:
        """Note what the person said to this very request, whatever they have said before."""
        await self.database.execute(SQL["answer_request"], opaque.digest(handle), answer, KEPT)

    async def finish(self, request: AuthorizationRequest, handle: str | None = None) -> None:
        """Finish a request that gets no code. Raises `RequestOver` when somebody did before."""
        await finish(self.database, request, handle)


async def finish(
    statements: Statements, request: AuthorizationRequest, handle: str | None = None
) -> None:
    """Finish a request, by the handle a browser has of it, if any, and by what was pushed, if so.

    One statement decides who does, and may answer it. Raises `RequestOver` when somebody did before
    (a second tab or browser, a double click), `Unavailable`.
    """
    marks = [None if handle is None else opaque.digest(handle), _pushed(request)]
    hashes = [one for one in marks if one is not None]
    if hashes and await statements.execute(SQL["finish_request"], hashes, KEPT) < len(hashes):
        raise RequestOver("request: finished meanwhile")


async def purge_expired(database: Statements, limit: int) -> int:
    """Delete at most `limit` rows of requests that are over; return how many."""
    return await database.execute(SQL["purge_requests"], limit)


def _pushed(request: AuthorizationRequest) -> bytes | None:
    return None if request.pushed is None else bytes.fromhex(request.pushed)
