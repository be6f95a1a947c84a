"""An access token presented to the session API itself (RFC 6750 section 2.1)."""

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request

from keyturn.clients.registry import Registry
from keyturn.errors import InvalidToken
from keyturn.telemetry.callers import Actor, acts
from keyturn.tokens.verify import AccessTokenVerifier
from keyturn.web import origin
from keyturn.web.request_notes import note_client


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The person and session an access token speaks for."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Bearer:
    """Checks bearer tokens: ours, for us, of a session, of a session API client, not revoked."""

    verifier: AccessTokenVerifier
    registry: Registry
    issuer: str

    async def check(self, request: Request) -> SignedIn:
        """Return who is signed in. Raises `InvalidToken`, `OriginRefused`, `Unavailable`."""
        values = request.headers.getlist("authorization")
        scheme, _, value = (values[0] if len(values) == 1 else "").partition(" ")
        if scheme.lower() != "bearer" or not value:
            raise InvalidToken("bearer: none, or more than one")
        token = await self.verifier.verify(value, self.issuer)
        client = await self.registry.get(token.client_id)
        if client is None or not client.session_api:
            raise InvalidToken("bearer: of a client that has no session API")
        if token.sid is None:
            raise InvalidToken("bearer: of no session")
        note_client(request.scope, client)
        origin.check(request.headers, client)
        signed_in = SignedIn(UUID(token.sub), UUID(token.sid))
        acts(Actor.user(signed_in.user_id))
        return signed_in
