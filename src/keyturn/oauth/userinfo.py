"""GET, POST /oauth2/userinfo (OpenID Connect Core section 5.3): who a client is acting for.

The access token must be ours, for us (its `aud` names the issuer, as it does whenever `openid`
was granted), live, and of a session; its scopes say which members of the account are shown.
"""

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from keyturn.authorization_errors import InsufficientScope
from keyturn.clients.registry import Registry
from keyturn.errors import InvalidToken
from keyturn.tokens.claims import OPENID, shown
from keyturn.tokens.verify import AccessTokenVerifier, VerifiedToken
from keyturn.users.accounts import Accounts
from keyturn.web.request_notes import note_client
from keyturn.web.responses import json_bytes


@dataclass(frozen=True, slots=True)
class Userinfo:
    """The userinfo endpoint."""

    verifier: AccessTokenVerifier
    registry: Registry
    accounts: Accounts
    issuer: str

    async def get(self, request: Request) -> Response:
        """Answer the claims, or 401 `invalid_token`, 403 `insufficient_scope`, 503."""
        token = await self._bearer(request)
        scopes = frozenset(str(token.claims.get("scope", "")).split())
        if token.sid is None or OPENID not in scopes:
            raise InsufficientScope("scope: no openid", scope=OPENID)
        user = await self.accounts.active(UUID(token.sub))
        return json_bytes({"sub": token.sub, **user.claims(shown(scopes))})

    async def _bearer(self, request: Request) -> VerifiedToken:
        values = request.headers.getlist("authorization")
        scheme, _, value = (values[0] if len(values) == 1 else "").partition(" ")
        # Only the header: a token in a form or a URL ends up in logs and in browser histories.
        if scheme.lower() != "bearer" or not value:
            raise InvalidToken("bearer: none, or more than one")
        token = await self.verifier.verify(value, self.issuer)
        client = await self.registry.get(token.client_id)
        if client is None:
            raise InvalidToken("bearer: of a client that is disabled")
        note_client(request.scope, client)
        return token
