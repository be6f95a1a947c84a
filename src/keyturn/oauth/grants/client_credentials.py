"""The `client_credentials` grant (RFC 6749 section 4.4): a machine acts for itself."""

from dataclasses import dataclass
from typing import ClassVar

from keyturn.clock import Clock
from keyturn.errors import UnauthorizedClient
from keyturn.oauth.grants.base import TokenAnswer, TokenRequest, audiences_for
from keyturn.tokens import scope
from keyturn.tokens.access_token import AccessTokens


@dataclass(frozen=True, slots=True)
class ClientCredentialsGrant:
    """An access token whose `sub` is the client; no refresh token, no session, no SQL."""

    access_tokens: AccessTokens
    clock: Clock
    name: ClassVar[str] = "client_credentials"

    async def answer(self, request: TokenRequest) -> TokenAnswer:
        """Sign a token for the client itself.

        Raises `UnauthorizedClient` for a public client (RFC 6749 section 4.4), `InvalidScope`,
        `InvalidTarget`, `Unavailable` without a signing key.
        """
        client = request.client
        if client.is_public:
            raise UnauthorizedClient("client_credentials: public client")
        scopes = scope.granted(request.scopes, client.scopes)
        audiences = audiences_for(request.audiences, client)
        now = self.clock.now()
        return TokenAnswer(
            self.access_tokens.for_client(client, scopes, audiences, now, request.dpop_jkt)
        )
