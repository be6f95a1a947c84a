"""The `refresh_token` grant (RFC 6749 section 6): narrow, rotate, sign."""

from dataclasses import dataclass
from typing import ClassVar

from keyturn.errors import InvalidRequest
from keyturn.oauth.grants.base import TokenAnswer, TokenRequest
from keyturn.sessions.rotation import RefreshRequest, Rotation
from keyturn.tokens.access_token import AccessTokens
from keyturn.tokens.claims import OPENID
from keyturn.tokens.id_token import IdTokens


@dataclass(frozen=True, slots=True)
class RefreshTokenGrant:
    """A refresh token in, its child (or itself) and fresh tokens out."""

    rotation: Rotation
    access_tokens: AccessTokens
    id_tokens: IdTokens
    name: ClassVar[str] = "refresh_token"

    async def answer(self, request: TokenRequest) -> TokenAnswer:
        """Refresh. Raises what `Rotation.refresh` raises; the scope narrows this answer only."""
        token = request.form.get("refresh_token")
        if token is None:
            raise InvalidRequest("refresh_token: missing")
        self.access_tokens.require_key()
        refreshed = await self.rotation.refresh(
            RefreshRequest(
                client=request.client,
                token=token,
                scopes=request.scopes,
                audiences=request.audiences,
                dpop_jkt=request.dpop_jkt,
            )
        )
        access_token = self.access_tokens.for_session(
            refreshed.session,
            request.client,
            refreshed.scopes,
            refreshed.audiences,
            request.dpop_jkt,
        )
        id_token = None
        if OPENID in refreshed.scopes:
            # No nonce: that one belonged to the browser's request, long answered (section 12.2).
            id_token = self.id_tokens.for_session(
                refreshed.session, request.client, access_token=access_token.value
            )
        return TokenAnswer(access_token, refreshed.refresh_token, id_token)
