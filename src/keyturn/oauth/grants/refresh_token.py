"""The `refresh_token` grant (RFC 6749 section 6): narrow, rotate, sign."""

from dataclasses import dataclass
from typing import ClassVar

from keyturn.errors import InvalidRequest
from keyturn.oauth.grants.base import TokenAnswer, TokenRequest
from keyturn.sessions.rotation import RefreshRequest, Rotation
from keyturn.tokens.access_token import AccessTokens


@dataclass(frozen=True, slots=True)
class RefreshTokenGrant:
    """A refresh token in, its child (or itself) and a fresh access token out."""

    rotation: Rotation
    access_tokens: AccessTokens
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
            refreshed.session, request.client, refreshed.scopes, refreshed.audiences
        )
        return TokenAnswer(access_token, refreshed.refresh_token)
