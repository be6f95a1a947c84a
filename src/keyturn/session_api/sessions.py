"""GET /auth/sessions and DELETE /auth/sessions/{id}: where am I signed in, and end that."""

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from keyturn.clients.registry import Registry
from keyturn.errors import NotFound
from keyturn.session_api.bearer import Bearer, SignedIn
from keyturn.session_api.messages import CredentialBody, SessionAnswer, SessionsAnswer
from keyturn.session_api.transport import Transport
from keyturn.sessions.active import ActiveSession, ActiveSessions
from keyturn.sessions.end import Ending
from keyturn.web.json_body import JsonBodies
from keyturn.web.responses import empty_answer, json_answer


@dataclass(frozen=True, slots=True)
class Sessions:
    """Lists the caller's sessions and ends one of them."""

    bodies: JsonBodies
    transport: Transport
    bearer: Bearer
    active: ActiveSessions
    ending: Ending
    registry: Registry

    async def get(self, request: Request) -> Response:
        """Answer 200 with the live sessions, the latest first, or 401."""
        caller = await self._caller(request)
        found = await self.active.of_user(caller.user_id)
        lines = [await self._line(one, caller.session_id) for one in found]
        return json_answer(SessionsAnswer(sessions=lines))

    async def delete(self, request: Request) -> Response:
        """Answer 204, or 404 for a session that is nobody's or somebody else's."""
        body = await self.bodies.read(request, CredentialBody)
        credential = await self.transport.credential(request, body.refresh_token)
        session = await self.transport.session(credential)
        try:
            wanted = UUID(request.path_params["session_id"])
        except ValueError:
            raise NotFound("session: not an id") from None
        if not await self.ending.one_of_user(wanted, session.user_id):
            raise NotFound("session: none of this user")
        return empty_answer()

    async def _caller(self, request: Request) -> SignedIn:
        if "authorization" in request.headers:
            return await self.bearer.check(request)
        credential = await self.transport.credential(request, None)
        session = await self.transport.session(credential)
        return SignedIn(session.user_id, session.id)

    async def _line(self, one: ActiveSession, current: UUID) -> SessionAnswer:
        client = await self.registry.get(one.client_id)
        return SessionAnswer(
            id=one.id,
            client_name=one.client_id if client is None else client.name,
            device=one.device,
            ip=one.ip,
            created_at=one.created_at,
            last_used_at=one.last_used_at,
            current=one.id == current,
        )
