"""POST /auth/logout: this device signs out, whatever generation of token it holds."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keyturn.errors import SessionGone
from keyturn.session_api.messages import CredentialBody
from keyturn.session_api.transport import Transport
from keyturn.sessions.end import Ending
from keyturn.web.json_body import JsonBodies
from keyturn.web.responses import empty_answer


@dataclass(frozen=True, slots=True)
class Logout:
    """Ends the calling session and clears its cookie."""

    bodies: JsonBodies
    transport: Transport
    ending: Ending

    async def post(self, request: Request) -> Response:
        """Answer 204, also when the session was gone already; 503 when that cannot be known.

        A session bound to a key needs its proof here, too, else 400.
        """
        body = await self.bodies.read(request, CredentialBody)
        response = empty_answer()
        try:
            credential = await self.transport.credential(request, body.refresh_token)
        except SessionGone:
            return response
        client, token = credential.client, credential.token
        await self.ending.by_credential(client, token, credential.dpop_jkt)
        if credential.by_cookie:
            self.transport.cookies.clear(response, credential.client.id)
        return response
