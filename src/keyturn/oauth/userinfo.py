"""GET, POST /oauth2/userinfo (OpenID Connect Core section 5.3): who a client is acting for.

The access token must be ours, for us (its `aud` names the issuer, as it does whenever `openid`
was granted), live, and of a session; its scopes say which members of the account are shown.
"""

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from keyturn.authorization_errors import InsufficientScope
from keyturn.tokens.claims import OPENID, shown
from keyturn.users.accounts import Accounts
from keyturn.web.presented_token import PresentedTokens
from keyturn.web.responses import json_bytes


@dataclass(frozen=True, slots=True)
class Userinfo:
    """The userinfo endpoint."""

    presented: PresentedTokens
    accounts: Accounts
    issuer: str

    async def get(self, request: Request) -> Response:
        """Answer the claims, or 401 `invalid_token`, 403 `insufficient_scope`, 503."""
        token = (await self.presented.check(request, self.issuer)).token
        scopes = frozenset(str(token.claims.get("scope", "")).split())
        if token.sid is None or OPENID not in scopes:
            raise InsufficientScope("scope: no openid", scope=OPENID)
        user = await self.accounts.active(UUID(token.sub))
        return json_bytes({"sub": token.sub, **user.claims(shown(scopes))})
