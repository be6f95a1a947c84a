"""POST /oauth2/device_authorization (RFC 8628 section 3.1): a device without a keyboard begins.

It gets a code for itself, and one that its person types on another machine. Both are a row of the
database: what is short enough to be typed cannot carry its request, as the handle of a browser's
request does, and the two halves meet nowhere else. A public client is anybody, so what it can pile
up is bounded: so many codes in a window for one client and address (that slows down nobody else),
each row of a known size, gone some minutes after its expiry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorizations.device_codes import DeviceCodes
from keyturn.authorizations.device_model import DeviceRequest, IssuedCodes
from keyturn.clients.model import Client
from keyturn.errors import UnauthorizedClient
from keyturn.oauth.client_authentication import ClientAuthentication
from keyturn.oauth.grants.base import TokenRequest, audiences_for
from keyturn.oauth.grants.device_code import DeviceCodeGrant
from keyturn.tokens import scope
from keyturn.tokens.claims import OPENID, STANDARD_SCOPES
from keyturn.web.client_ip import ClientAddress
from keyturn.web.device import device_of
from keyturn.web.forms import Forms
from keyturn.web.responses import json_bytes


class CodesThrottle(Protocol):
    """The limiter of codes that a stranger may ask for."""

    async def client_asked(self, client_id: str, address: str) -> None:
        """Count one. Raises `Throttled` when there were too many."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceAuthorization:
    """The device authorization endpoint."""

    forms: Forms
    authentication: ClientAuthentication
    device_codes: DeviceCodes
    throttle: CodesThrottle
    address: ClientAddress

    async def post(self, request: Request) -> Response:
        """Answer 200 with both codes (section 3.2).

        Raises what client authentication raises, `UnauthorizedClient`, `InvalidScope`,
        `InvalidTarget`, `Throttled` for a public client, `Unavailable`.
        """
        form = await self.forms.read(request)
        client = await self.authentication.authenticate(request, form)
        asked = _checked(client, form, self.device_codes.issuer)
        address = self.address.of(request)
        if client.is_public:
            await self.throttle.client_asked(client.id, address)
        issued = await self.device_codes.issue(
            DeviceRequest(client, *asked, device=device_of(request), ip=address)
        )
        return json_bytes(_told(issued, self.device_codes.issuer))


def _checked(
    client: Client, form: Mapping[str, str], issuer: str
) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return scopes and audiences, by the rules of a request for authorization."""
    if DeviceCodeGrant.name not in client.grant_types:
        raise UnauthorizedClient("client: has no device grant")
    asked = TokenRequest(client, form)
    # What is about the person is given when it is named, never by default.
    by_default = client.scopes - STANDARD_SCOPES
    scopes = by_default if asked.scopes is None else scope.granted(asked.scopes, client.scopes)
    audiences = audiences_for(asked.audiences, client)
    if OPENID in scopes and issuer not in audiences:
        audiences += (issuer,)
    return scopes, audiences


def _told(issued: IssuedCodes, issuer: str) -> Mapping[str, str | int]:
    page = issuer + paths.DEVICE_PAGE
    return {
        "device_code": issued.device_code,
        "user_code": issued.user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?{urlencode({'user_code': issued.user_code})}",
        "expires_in": issued.expires_in,
        "interval": issued.interval,
    }
