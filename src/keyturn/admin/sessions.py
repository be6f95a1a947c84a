"""`/admin/v1/sessions`: who is signed in where, and the end of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from keyturn import paths
from keyturn.admin.cursors import Cursors
from keyturn.admin.messages import RevokeBody, SessionAnswer, SessionsQuery
from keyturn.admin.operation import AnyOperation, Call, Done, Nothing, Operation
from keyturn.admin.shapes import EndedAnswer, Page
from keyturn.errors import NotFound
from keyturn.sessions.end import Ending
from keyturn.sessions.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Sessions:
    """Lists sessions and ends them, one or many."""

    inventory: Inventory
    ending: Ending
    cursors: Cursors

    def operations(self) -> Sequence[AnyOperation]:
        """Return the rows."""
        return (
            Operation("listSessions", "GET", paths.ADMIN_SESSIONS, "List live sessions",
                      SessionsQuery, self.list, Page[SessionAnswer]),
            Operation("revokeSessions", "POST", paths.ADMIN_REVOKE_SESSIONS,
                      "End the sessions of a user, of a client, or from before a time",
                      RevokeBody, self.revoke_many, EndedAnswer),
            Operation("getSession", "GET", paths.ADMIN_SESSION, "Show a session, live or not",
                      Nothing, self.get, SessionAnswer),
            Operation("revokeSession", "DELETE", paths.ADMIN_SESSION, "End a session",
                      Nothing, self.revoke, None, 204),
        )  # fmt: skip

    async def list(self, _: Call, query: SessionsQuery) -> Done:
        """Return a page of live sessions in the order in which they expire."""
        of = f"sessions {query.filters()}"
        last = self.cursors.read(of, query.cursor)
        after = None if last is None else UUID(last)
        if query.user_id is None:
            page = await self.inventory.of_client(query.client_id, after, query.limit)
        else:
            page = await self.inventory.of_user(query.user_id, query.client_id, after, query.limit)
        return Done(
            Page[SessionAnswer](
                items=[SessionAnswer.model_validate(one) for one in page.sessions],
                next_cursor=None if page.last is None else self.cursors.make(of, str(page.last)),
            )
        )

    async def get(self, call: Call, _: Nothing) -> Done:
        """Return a session."""
        found = await self.inventory.get(call.uuid("session_id"))
        return Done(SessionAnswer.model_validate(found))

    async def revoke(self, call: Call, _: Nothing) -> Done:
        """End a session."""
        if not await self.ending.one(call.uuid("session_id")):
            raise NotFound("session: none that is live")
        return Done()

    async def revoke_many(self, _: Call, body: RevokeBody) -> Done:
        """End many sessions; a large sweep takes its time, and what has ended stays ended."""
        if "user_id" in body.model_fields_set:
            ended = await self.ending.all_of_user(body.user_id)
        elif "client_id" in body.model_fields_set:
            ended = await self.ending.all_of_client(body.client_id)
        else:
            ended = await self.ending.all_before(body.before)
        return Done(EndedAnswer(ended=ended))
