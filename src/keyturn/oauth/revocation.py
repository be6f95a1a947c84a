"""POST /oauth2/revoke (RFC 7009): a client gives up a token of its own.

A refresh token of any generation ends its session, and with it every token of it. An access
token ends alone. Whatever else is sent, 200 says only that there is nothing left to revoke.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from keyturn.clients.model import Client
from keyturn.errors import InvalidRequest, InvalidToken, UnsupportedTokenType
from keyturn.oauth.client_authentication import ClientAuthentication
from keyturn.revocation.revocations import Revocations
from keyturn.sessions.end import Ending
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.tokens.verify import AccessTokenVerifier, VerifiedToken
from keyturn.web.forms import Forms
from keyturn.web.responses import empty_answer

NOT_REVOCABLE = frozenset({"authorization_code", "id_token", "logout_token"})
"""Kinds of token we know and cannot revoke."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """The revocation endpoint."""

    forms: Forms
    authentication: ClientAuthentication
    ending: Ending
    verifier: AccessTokenVerifier
    revocations: Revocations
    audit: Audit

    async def post(self, request: Request) -> Response:
        """Answer 200, empty, once the revocation is durable; 503 when it could not be made so."""
        form = await self.forms.read(request)
        client = await self.authentication.authenticate(request, form)
        token = form.get("token")
        if token is None:
            raise InvalidRequest("token: missing")
        if not await self._revoke(client, token):
            _refuse_not_revocable(form)
        return empty_answer(200)

    async def _revoke(self, client: Client, token: str) -> bool:
        """Look for the token among every kind; a hint could only mislead (section 2.1)."""
        if await self.ending.by_refresh_token(client, token) is not None:
            return True
        try:
            verified = self.verifier.read_for_revocation(token)
        except InvalidToken:
            return False
        if verified.client_id != client.id:
            return False
        await self.revocations.revoke_token(verified.jti)
        self.audit.record(_event(verified))
        return True


def _event(token: VerifiedToken) -> AuditEvent:
    """Say whose token it was: a machine's belongs to nobody but its client."""
    sid = None if token.sid is None else UUID(token.sid)
    return AuditEvent(
        "token_revoked",
        user_id=None if sid is None else UUID(token.sub),
        client_id=token.client_id,
        session_id=sid,
        detail={"jti": token.jti},
    )


def _refuse_not_revocable(form: Mapping[str, str]) -> None:
    # An unknown hint is ignored (section 2.2). One that names a kind we cannot revoke is not: 200
    # would make the client believe that its ID token is worthless now (section 2.2.1).
    if form.get("token_type_hint") in NOT_REVOCABLE:
        raise UnsupportedTokenType("token_type_hint: a kind that cannot be revoked")
