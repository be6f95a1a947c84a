"""POST /oauth2/introspect (RFC 7662): an API asks whether an access token is good now.

Only a confidential client that lists an audience of the token under `introspects` learns
anything. Everybody else, and every token that is not a live access token, gets the same answer:
a refresh token is never for an API to see, so it is not described to anyone.
"""

from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from keyturn.clients.model import Client
from keyturn.clients.registry import Registry
from keyturn.errors import InvalidClient, InvalidRequest, InvalidToken, Unavailable
from keyturn.oauth.client_authentication import ClientAuthentication
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.metrics import Metrics
from keyturn.tokens.verify import NOT_FOR_CALLER, AccessTokenVerifier, VerifiedToken
from keyturn.web.forms import Forms
from keyturn.web.responses import json_bytes

INACTIVE: Final = {"active": False}

DESCRIBED = (
    "iss",
    "sub",
    "aud",
    "client_id",
    "exp",
    "iat",
    "jti",
    "sid",
    "scope",
    "auth_time",
    "acr",
    "amr",
    "cnf",
    "act",
    "may_act",
)
"""Claims an API is told; what else a client's tokens carry, it reads in the token itself."""


@dataclass(frozen=True, slots=True)
class Introspection:
    """The introspection endpoint."""

    forms: Forms
    authentication: ClientAuthentication
    registry: Registry
    verifier: AccessTokenVerifier
    metrics: Metrics
    audit: Audit

    async def post(self, request: Request) -> Response:
        """Answer the token's claims, or exactly `{"active": false}`; 503 when nobody can know."""
        form = await self.forms.read(request)
        caller = await self.authentication.authenticate(request, form)
        if caller.is_public:
            self._tell(caller, "public client")
            raise InvalidClient("introspection: public client")
        token = form.get("token")
        if token is None:
            raise InvalidRequest("token: missing")
        try:
            answer, source = await self._describe(caller, token)
        except Unavailable:
            self.metrics.introspections("error", "none")
            raise
        self.metrics.introspections("active" if answer["active"] else "inactive", source)
        return json_bytes(answer)

    def _tell(self, caller: Client, reason: str) -> None:
        """Have it known that a client asks about what is none of its business."""
        detail = {"reason": reason}
        event = AuditEvent(
            "introspection_refused", client_id=caller.id, result="failed", detail=detail
        )
        self.audit.record_seldom(event, caller.id, reason)

    async def _describe(self, caller: Client, token: str) -> tuple[dict[str, Any], str]:
        """Return the answer, and what was asked whether the token was revoked."""
        try:
            verified = self.verifier.read(token, *caller.introspects)
        except InvalidToken as refusal:
            if refusal.detail == NOT_FOR_CALLER:
                self._tell(caller, "token")
            return INACTIVE, "none"
        finding = await self.verifier.look_up(verified)
        client = await self.registry.find(verified.client_id)
        live = not finding.revoked and client is not None and client.is_active
        return _active(verified) if live else INACTIVE, finding.source


def _active(token: VerifiedToken) -> dict[str, Any]:
    claims = {name: token.claims[name] for name in DESCRIBED if name in token.claims}
    token_type = "DPoP" if "cnf" in claims else "Bearer"
    return {"active": True, "token_type": token_type, **claims}
