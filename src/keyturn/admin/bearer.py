"""Who may administer: a machine that proved itself, by a token made for this API and no other."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from keyturn.authorization_errors import InsufficientScope
from keyturn.clients.model import Client
from keyturn.clients.registry import Registry
from keyturn.clients.rules import ADMIN_PATH
from keyturn.errors import InvalidToken
from keyturn.tokens import scope
from keyturn.tokens.verify import AccessTokenVerifier, VerifiedToken
from keyturn.web.presented_token import shown
from keyturn.web.request_notes import note_client

READ: Final = "keyturn.admin.read"
WRITE: Final = "keyturn.admin.write"
"""Includes `READ`: who may change everything has to see what it changes."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The client that calls, and what its token lets it do here."""

    client: Client
    scopes: frozenset[str]

    def require(self, wanted: str) -> None:
        """Raise `InsufficientScope` unless the token is good for this."""
        if not self.scopes & {wanted, WRITE}:
            raise InsufficientScope("bearer: without the scope", scope=wanted)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Checks bearer tokens: ours, for this API, of a client itself, not revoked (RFC 9068 4)."""

    verifier: AccessTokenVerifier
    registry: Registry
    issuer: str

    async def check(self, request: Request) -> Caller:
        """Return who calls. Raises `InvalidToken`, `Unavailable`."""
        scheme, value = shown(request)
        if scheme != "bearer" or not value:
            raise InvalidToken("bearer: none, or more than one")
        token = await self.verifier.verify(value, self.issuer + ADMIN_PATH)
        _require_machine(token)
        client = await self.registry.get(token.client_id)
        if client is None or "client_credentials" not in client.grant_types:
            raise InvalidToken("bearer: of a client that is disabled, or no machine any more")
        note_client(request.scope, client)
        # A scope the client has lost since is gone at once, not when the token expires.
        return Caller(client, _scopes(token) & client.scopes)


def _require_machine(token: VerifiedToken) -> None:
    if token.sid is not None or token.sub != token.client_id:
        raise InvalidToken("bearer: not a machine's own")
    if "cnf" in token.claims or "act" in token.claims:
        raise InvalidToken("bearer: bound to a key, or of somebody who acts for another")


def _scopes(token: VerifiedToken) -> frozenset[str]:
    said = token.claims.get("scope")
    return (scope.parse(said) if isinstance(said, str) else None) or frozenset()
