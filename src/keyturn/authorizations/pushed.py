"""Pushed authorization requests (RFC 9126): what a client asks for before it sends a browser.

A `request_uri` holds its request sealed (`sealed`), for the one client that pushed it. A row of it
would be a row that anybody can leave, as a public client's id is no secret; and it would save no
length, because the request travels sealed from page to page anyhow. What makes it good once is a
row all the same: written when the request is answered, with the answer, by the one statement that
finishes requests (`requests.finish`). Until then it may be opened again, in any browser: people
reload, and go back.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from keyturn.authorizations import sealed
from keyturn.authorizations.model import AuthorizationRequest
from keyturn.authorizations.sealed import Sealed
from keyturn.crypto import opaque
from keyturn.crypto.secrets import PUSHED, MasterSecrets
from keyturn.db.pool import Database
from keyturn.db.queries import load_queries
from keyturn.errors import InvalidRequest, Unavailable

SQL = load_queries(__package__, "authorizations.sql")

PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
"""RFC 9126 section 2.2."""

LONGEST: Final = sealed.LONGEST - 128
"""Characters of a handle: the one a browser gets later says which pushed request it is, too."""


@dataclass(frozen=True, slots=True)
class PushedRequests:
    """The requests that clients have pushed. Every method raises `Unavailable`."""

    database: Database
    secrets: MasterSecrets
    lifetime: timedelta
    """How long a browser may take to come with it; the person then has `requests.LIFETIME`."""

    async def push(self, request: AuthorizationRequest) -> str:
        """Return the `request_uri` of a checked request, good for its client alone.

        Raises `InvalidRequest` for a request that is too long to travel.
        """
        row = await self.database.fetch_row(SQL["moment"])
        if row is None:
            raise Unavailable("moment: no row")
        until = Sealed(request, row["at"] + self.lifetime)
        handle = sealed.seal(until, request.client_id, self.secrets, PUSHED)
        if len(handle) > LONGEST:
            raise InvalidRequest("parameters: too long together")
        return PREFIX + handle

    async def find(self, request_uri: str, client_id: str) -> AuthorizationRequest | None:
        """Return the request; None when it is not ours, used up, over, or another client's."""
        handle = request_uri.removeprefix(PREFIX)
        opened = sealed.unseal(handle, client_id, self.secrets, PUSHED)
        if opened is None:
            return None
        mark = opaque.digest(handle)
        row = await self.database.fetch_row(SQL["request_progress"], mark, None)
        if row is None or row["finished_at"] is not None or row["at"] >= opened.expires_at:
            return None
        return replace(opened.request, pushed=mark.hex())


def is_pushed(request_uri: str | None) -> bool:
    """Whether this names a pushed request, and not something to fetch, which nobody ever does."""
    return request_uri is not None and request_uri.startswith(PREFIX)
