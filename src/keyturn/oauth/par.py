"""POST /oauth2/par (RFC 9126): a client says what it wants before it sends a browser.

The client proves itself as at the token endpoint, and is refused here, in JSON, whatever the
authorization endpoint would refuse by redirect or by page: the same checks, in the same order.
Nobody is asked anything yet; what comes back is good for this client, for a short time, once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorization_errors import UnsafeRedirect
from keyturn.authorizations.model import AuthorizationRequest
from keyturn.authorizations.pushed import PushedRequests
from keyturn.clients.client_keys import algorithms_of
from keyturn.clients.model import Client
from keyturn.errors import InvalidDpopProof, InvalidRequest, Refusal
from keyturn.oauth.authorize.addressed import Addressed, Asked, place
from keyturn.oauth.authorize.checks import check
from keyturn.oauth.authorize.request_object import RequestObjects
from keyturn.oauth.client_authentication import ClientAuthentication
from keyturn.telemetry.metrics import Metrics
from keyturn.web.dpop import Dpop
from keyturn.web.forms import Form, Forms
from keyturn.web.responses import json_bytes

PROOFS: Final = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
"""Who asks, not what is asked for."""


@dataclass(frozen=True, slots=True)
class PushedAuthorization:
    """The pushed authorization request endpoint."""

    forms: Forms
    authentication: ClientAuthentication
    objects: RequestObjects
    dpop: Dpop
    pushed: PushedRequests
    subject_of: Callable[[str], str]
    """Reads an `id_token_hint`; raises `InvalidRequest` for one that is not ours."""
    issuer: str
    metrics: Metrics

    async def post(self, request: Request) -> Response:
        """Answer 201 with a `request_uri` (RFC 9126 section 2.2); every answer is counted."""
        try:
            response = await self._push(request)
        except ClientDisconnect:
            raise  # nobody is there to be answered
        except Exception as failure:
            refusal = failure if isinstance(failure, Refusal) else Refusal
            self.metrics.pushes(refusal.code)
            raise
        self.metrics.pushes("ok")
        return response

    async def _push(self, request: Request) -> Response:
        form = await self.forms.read(request)
        client = await self.authentication.authenticate(request, form)
        asked = await self._bound(request, client, await self._checked(client, form))
        return json_bytes(
            {
                "request_uri": await self.pushed.push(asked),
                "expires_in": int(self.pushed.lifetime.total_seconds()),
            },
            status=201,
        )

    async def _bound(
        self, request: Request, client: Client, asked: AuthorizationRequest
    ) -> AuthorizationRequest:
        """Bind the code to the key of a proof that comes along (RFC 9449 section 10.1)."""
        jkt = await self.dpop.proof(request, paths.PAR, algorithms_of(client))
        if jkt is None:
            return asked
        if asked.dpop_jkt not in {None, jkt}:
            raise InvalidDpopProof("dpop_jkt: of another key than the proof's")
        return replace(asked, dpop_jkt=jkt)

    async def _checked(self, client: Client, form: Form) -> AuthorizationRequest:
        if "request_uri" in form:
            raise InvalidRequest("request_uri: sent to where one is made")
        parameters = await self._parameters(client, form)
        # Whoever has authenticated is the client, whether or not the form names it again.
        asked = Asked({**parameters, "client_id": client.id}, repeated=frozenset())
        return check(_placed(client, asked), self.issuer, self.subject_of)

    async def _parameters(self, client: Client, form: Form) -> Mapping[str, str]:
        signed = form.get("request")
        if signed is not None:
            # Whatever stands beside it was not signed, and means nothing (RFC 9101 section 6.3).
            return await self.objects.read(client, signed)
        if client.require_signed_request_object:
            raise InvalidRequest("request: missing, and this client signs its requests")
        return {name: value for name, value in form.items() if name not in PROOFS}


def _placed(client: Client, asked: Asked) -> Addressed:
    try:
        return place(client, asked)
    except UnsafeRedirect as refusal:
        # No browser is here that a page could keep from going astray.
        raise InvalidRequest(refusal.detail) from None
