"""An access token shown to us: `Authorization: Bearer` (RFC 6750), or `DPoP` (RFC 9449 section 7).

A token that is bound to a key is good by the scheme `DPoP` with a proof by that key alone: shown
as a bearer token it is what a thief has. One that is bound to none is a bearer token.
"""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from keyturn.clients.model import Client
from keyturn.clients.registry import Registry
from keyturn.dpop_errors import NotPossessed
from keyturn.errors import InvalidToken
from keyturn.tokens.verify import AccessTokenVerifier, VerifiedToken
from keyturn.web.dpop import Dpop
from keyturn.web.request_notes import note_client


@dataclass(frozen=True, slots=True)
class Presented:
    """A good access token, and the active client it was issued to."""

    token: VerifiedToken
    client: Client


@dataclass(frozen=True, slots=True)
class PresentedTokens:
    """Reads and checks the access token of a request."""

    verifier: AccessTokenVerifier
    registry: Registry
    dpop: Dpop

    async def check(self, request: Request, *audiences: str) -> Presented:
        """Return what the token of this request says, being for one of `audiences`.

        Raises `InvalidToken` (`NotPossessed`, where `DPoP` is the scheme to use), what
        `Dpop.possession` raises, `Unavailable`.
        """
        scheme, value = shown(request)
        if scheme not in {"bearer", "dpop"} or not value:
            raise InvalidToken("token: none, or more than one")
        if scheme == "bearer":
            presented = await self._borne(value, audiences)
        else:
            presented = await self._possessed(request, value, audiences)
        note_client(request.scope, presented.client)
        return presented

    async def _borne(self, value: str, audiences: tuple[str, ...]) -> Presented:
        presented = await self._verified(value, audiences)
        if "cnf" in presented.token.claims:
            raise NotPossessed("token: bound to a key, shown as Bearer")
        return presented

    async def _possessed(
        self, request: Request, value: str, audiences: tuple[str, ...]
    ) -> Presented:
        try:
            presented = await self._verified(value, audiences)
        except InvalidToken as refusal:
            raise NotPossessed(refusal.detail) from None
        jkt = _key_of(presented.token.claims.get("cnf"))
        if jkt is None:
            raise NotPossessed("token: bound to no key, shown as DPoP")
        await self.dpop.possession(request, presented.client, value, jkt)
        return presented

    async def _verified(self, value: str, audiences: tuple[str, ...]) -> Presented:
        token = await self.verifier.verify(value, *audiences)
        client = await self.registry.get(token.client_id)
        if client is None:
            raise InvalidToken("token: of a client that is disabled")
        return Presented(token, client)


def shown(request: Request) -> tuple[str, str]:
    """Return scheme, in lower case, and token of a request; empty texts for none or several.

    Only the header counts: a token in a form or a URL ends up in logs and browser histories.
    """
    values = request.headers.getlist("authorization")
    scheme, _, value = (values[0] if len(values) == 1 else "").partition(" ")
    return scheme.lower(), value


def _key_of(confirmation: Any) -> str | None:
    return confirmation.get("jkt") if isinstance(confirmation, dict) else None
