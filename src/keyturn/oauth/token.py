"""POST /oauth2/token (RFC 6749 section 3.2): the phases every grant shares.

Parse, authenticate the client, pick the grant, check the proof of possession (RFC 9449), let the
grant answer, respond. A grant adds what is its own and cannot leave out a common check.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from keyturn.clients.model import Client
from keyturn.errors import (
    InvalidRequest,
    Refusal,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from keyturn.oauth.client_authentication import ClientAuthentication
from keyturn.oauth.grants.base import Grant, TokenAnswer, TokenRequest
from keyturn.registrations.first_use import FirstUse
from keyturn.telemetry.metrics import Metrics
from keyturn.web.dpop import Dpop
from keyturn.web.forms import Forms
from keyturn.web.responses import json_bytes


@dataclass(frozen=True, slots=True)
class Token:
    """The token endpoint; `grants` by their `grant_type`."""

    forms: Forms
    authentication: ClientAuthentication
    dpop: Dpop
    grants: Mapping[str, Grant]
    metrics: Metrics
    first_use: FirstUse

    async def post(self, request: Request) -> Response:
        """Answer 200 with tokens (RFC 6749 section 5.1).

        Every request that is answered is counted, by grant and by what was answered.
        """
        name = ""
        try:
            form = await self.forms.read(request)
            name = form.get("grant_type") or ""
            client = await self.authentication.authenticate(request, form)
            grant = self._grant(name, client)
            jkt = await self.dpop.demanded(request, client)
            answer = await grant.answer(TokenRequest(client, form, jkt))
            response = _respond(answer)
        except ClientDisconnect:
            raise  # nobody is there to be answered
        except Exception as failure:
            refusal = failure if isinstance(failure, Refusal) else Refusal
            self.metrics.token_requests(name, refusal.code)
            raise
        self.metrics.token_requests(name, "ok")
        self._count(name, answer)
        await self.first_use.note(client)
        return response

    def _count(self, grant: str, answer: TokenAnswer) -> None:
        self.metrics.tokens_issued("access", grant)
        if answer.refresh_token is not None:
            self.metrics.tokens_issued("refresh", grant)
        if answer.id_token is not None:
            self.metrics.tokens_issued("id", grant)

    def _grant(self, name: str, client: Client) -> Grant:
        if not name:
            raise InvalidRequest("grant_type: missing")
        grant = self.grants.get(name)
        if grant is None:
            raise UnsupportedGrantType("grant_type: none of ours")
        if name not in client.grant_types:
            raise UnauthorizedClient("grant_type: not one of this client's")
        return grant


def _respond(answer: TokenAnswer) -> Response:
    body: dict[str, object] = {
        "access_token": answer.access_token.value,
        "token_type": answer.access_token.token_type,
        "expires_in": answer.access_token.expires_in,
        **answer.access_token.scope,
    }
    if answer.refresh_token is not None:
        body["refresh_token"] = answer.refresh_token
    if answer.id_token is not None:
        body["id_token"] = answer.id_token
    if answer.issued_token_type is not None:
        body["issued_token_type"] = answer.issued_token_type
    return json_bytes(body)
