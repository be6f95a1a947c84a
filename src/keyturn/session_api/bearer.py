"""An access token presented to the session API itself (RFC 6750 section 2.1, RFC 9449 7.1)."""

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request

from keyturn.errors import InvalidToken
from keyturn.telemetry.callers import Actor, acts
from keyturn.web import origin
from keyturn.web.presented_token import PresentedTokens


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The person and session an access token speaks for."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Bearer:
    """Checks access tokens: ours, for us, of a session, of a session API client, not revoked."""

    presented: PresentedTokens
    issuer: str

    async def check(self, request: Request) -> SignedIn:
        """Return who is signed in. Raises as `PresentedTokens.check`, and `OriginRefused`."""
        presented = await self.presented.check(request, self.issuer)
        token, client = presented.token, presented.client
        if not client.session_api:
            raise InvalidToken("bearer: of a client that has no session API")
        if token.sid is None:
            raise InvalidToken("bearer: of no session")
        origin.check(request.headers, client)
        signed_in = SignedIn(UUID(token.sub), UUID(token.sid))
        acts(Actor.user(signed_in.user_id))
        return signed_in
