"""POST /auth/refresh: a refresh token in, its child (or itself) and an access token out."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keyturn.errors import InvalidGrant, SessionGone
from keyturn.session_api.messages import CredentialBody, RefreshAnswer
from keyturn.session_api.transport import Transport
from keyturn.sessions.rotation import RefreshRequest, Rotation
from keyturn.tokens.access_token import AccessTokens
from keyturn.web.json_body import JsonBodies
from keyturn.web.responses import json_answer


@dataclass(frozen=True, slots=True)
class Refresh:
    """Keeps a person signed in; the rules are those of `/oauth2/token`."""

    bodies: JsonBodies
    transport: Transport
    rotation: Rotation
    access_tokens: AccessTokens

    async def post(self, request: Request) -> Response:
        """Answer 200 with tokens, 401 `invalid_grant`, or 503; a failure clears no cookie.

        A session bound to a key is answered 400 without a proof by that key.
        """
        body = await self.bodies.read(request, CredentialBody)
        credential = await self.transport.credential(request, body.refresh_token)
        client = credential.client
        self.access_tokens.require_key()
        try:
            refreshed = await self.rotation.refresh(
                RefreshRequest(client, credential.token, dpop_jkt=credential.dpop_jkt)
            )
        except InvalidGrant as refusal:
            raise SessionGone(refusal.detail) from None
        session = refreshed.session
        access = self.access_tokens.for_session(
            session, client, refreshed.scopes, refreshed.audiences, credential.dpop_jkt
        )
        self.transport.count("access", "refresh")
        response = json_answer(
            RefreshAnswer(
                access_token=access.value,
                token_type=access.token_type,
                expires_in=access.expires_in,
                session_id=session.id,
                refresh_token=None if credential.by_cookie else refreshed.refresh_token,
                refresh_expires_in=session.seconds_left,
            )
        )
        # A late answer whose token is not new must not move the jar back to an older one.
        if credential.by_cookie and not refreshed.unchanged:
            self.transport.set_cookie(response, session, refreshed.refresh_token)
        return response
