"""POST /auth/logout-all: every device signs out."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keyturn.session_api.messages import EndedAnswer, LogoutAllBody
from keyturn.session_api.transport import Transport
from keyturn.users.accounts import Accounts
from keyturn.web.json_body import JsonBodies
from keyturn.web.responses import json_answer


@dataclass(frozen=True, slots=True)
class LogoutAll:
    """Ends every session of the caller, or every other one."""

    bodies: JsonBodies
    transport: Transport
    accounts: Accounts

    async def post(self, request: Request) -> Response:
        """Answer 200 `{ended: n}`, or 401."""
        body = await self.bodies.read(request, LogoutAllBody)
        credential = await self.transport.credential(request, body.refresh_token)
        session = await self.transport.session(credential)
        keep = session.id if body.except_current else None
        ended = await self.accounts.logout_everywhere(session.user_id, keep=keep)
        response = json_answer(EndedAnswer(ended=ended))
        if credential.by_cookie and not body.except_current:
            self.transport.cookies.clear(response, credential.client.id)
        return response
