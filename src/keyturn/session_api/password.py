"""POST /auth/password: a new password, after a recent proof of the old one."""

from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from keyturn.errors import InsufficientUserAuthentication
from keyturn.session_api.messages import PasswordBody
from keyturn.session_api.transport import Transport
from keyturn.users.accounts import Accounts
from keyturn.web.json_body import JsonBodies
from keyturn.web.responses import empty_answer

RECENT = timedelta(minutes=5)
"""How old a proof may be for a new password: a borrowed, unlocked device is not enough."""


@dataclass(frozen=True, slots=True)
class Password:
    """Changes the caller's password; the other sessions end, this one stays."""

    bodies: JsonBodies
    transport: Transport
    accounts: Accounts

    async def post(self, request: Request) -> Response:
        """Answer 204, 400 `invalid_password`, or 401 `insufficient_user_authentication`."""
        body = await self.bodies.read(request, PasswordBody)
        credential = await self.transport.credential(request, body.refresh_token)
        session = await self.transport.session(credential)
        if session.decided_at - session.auth_time > RECENT:
            raise InsufficientUserAuthentication(
                "password: the proof is too old", max_age=int(RECENT.total_seconds())
            )
        await self.accounts.change_password(session.user_id, body.new_password, keep=session.id)
        return empty_answer()
