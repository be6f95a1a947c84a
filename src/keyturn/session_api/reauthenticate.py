"""POST /auth/reauthenticate: prove yourself again, for what asks for a recent sign-in."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keyturn.errors import InvalidGrant, SessionGone
from keyturn.session_api.messages import AccessAnswer, ReauthenticateBody
from keyturn.session_api.transport import Transport
from keyturn.sessions.active import ActiveSessions
from keyturn.tokens.access_token import AccessTokens
from keyturn.users.authenticate import Authenticator
from keyturn.web.client_ip import ClientAddress
from keyturn.web.json_body import JsonBodies
from keyturn.web.responses import json_answer


@dataclass(frozen=True, slots=True)
class Reauthenticate:
    """Checks the password once more and moves the session's `auth_time` (RFC 9470)."""

    bodies: JsonBodies
    transport: Transport
    authenticator: Authenticator
    active: ActiveSessions
    access_tokens: AccessTokens
    address: ClientAddress

    async def post(self, request: Request) -> Response:
        """Answer 200 with a fresh access token, or 401, 429, 503."""
        body = await self.bodies.read(request, ReauthenticateBody)
        credential = await self.transport.credential(request, body.refresh_token)
        session = await self.transport.session(credential)
        person = await self.authenticator.reauthenticate(
            session.user_id, body.password, self.address.of(request)
        )
        try:
            session = await self.active.reauthenticated(session, person.proof_time, ("pwd",))
        except InvalidGrant as refusal:
            raise SessionGone(refusal.detail) from None
        client = credential.client
        scopes, audiences = self.transport.rotation.still_granted(client, session)
        access = self.access_tokens.for_session(
            session, client, scopes, audiences, credential.dpop_jkt
        )
        self.transport.count("access")
        return json_answer(
            AccessAnswer(
                access_token=access.value,
                token_type=access.token_type,
                expires_in=access.expires_in,
                session_id=session.id,
            )
        )
