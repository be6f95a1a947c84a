"""`GET /oauth2/status/{number}`: which sessions have ended, for APIs that check offline.

A status list by the IETF's Token Status List, sections 8.1 and 8.2: one fetch tells of a million
sessions, so that an API refuses a revoked token within seconds and never calls us for one.
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from keyturn.errors import NotFound
from keyturn.status_lists.index import number_of
from keyturn.status_lists.published import StatusLists
from keyturn.web.public_document import public_document

MEDIA_TYPE: Final = "application/statuslist+jwt"


@dataclass(frozen=True, slots=True)
class StatusList:
    """The lists, for anybody: they hold bits, of which each API knows its own tokens' only."""

    lists: StatusLists

    async def get(self, request: Request) -> Response:
        """Return a list. Raises `NotFound` for one that has not begun, `Unavailable`."""
        number = number_of(request.path_params["number"])
        if number is None:
            raise NotFound("status list: not a number")
        found = await self.lists.get(number)
        # A cache on the way and the API itself wait together no longer than the list's `ttl`.
        return public_document(
            request,
            found.body,
            found.etag,
            self.lists.ttl // 2,
            media_type=MEDIA_TYPE,
            gzipped=found.gzipped,
        )
