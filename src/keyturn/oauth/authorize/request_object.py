"""Request objects (RFC 9101): a request that its client has signed.

By value only, and where clients push their requests (`oauth.par`): there the client has proven
itself, and nothing that a stranger put into an address makes us check signatures. An address of
a request object (`request_uri`) is never fetched, whatever it is.

Another JWT that the client has signed for us must not do: a client assertion has the client as
its `sub`, and no `client_id` (RFC 9101 section 10.8).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from keyturn.authorization_errors import InvalidRequestObject
from keyturn.clients.client_keys import ClientKeys, algorithms_of
from keyturn.clients.model import Client
from keyturn.clock import Clock
from keyturn.crypto import client_jws
from keyturn.crypto.jose import InvalidJws
from keyturn.web.forms import holds_control

TYPES: Final = frozenset({"jwt", "oauth-authz-req+jwt"})
"""`typ`, in lower case; older libraries leave it out, or say that a JWT is a JWT."""

LONGEST_LIFE: Final = timedelta(minutes=60).total_seconds()
"""Seconds: what may be signed ahead, and how far back (FAPI 2.0 Message Signing 5.3.1)."""

CLAIMS: Final = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "sub"})
"""Members that are about the object, and not what the client asks for."""


@dataclass(frozen=True, slots=True)
class RequestObjects:
    """Reads what clients have signed; `skew` in seconds is for clocks that are not ours."""

    keys: ClientKeys
    clock: Clock
    issuer: str
    skew: float

    async def read(self, client: Client, token: str) -> Mapping[str, str]:
        """Return the parameters that a client has signed.

        Raises `InvalidRequestObject`; `Unavailable` when its keys cannot be had now.
        """
        try:
            unverified = client_jws.read(token, algorithms_of(client))
            check_type(unverified.header)
            await self.keys.verify(client, unverified)
            self._check(client, unverified.claims)
            return parameters_of(unverified.claims)
        except InvalidJws as wrong:
            raise InvalidRequestObject(f"request: {wrong}") from None

    def _check(self, client: Client, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != client.id or claims.get("client_id") != client.id:
            raise InvalidJws("iss, client_id: not the client that sent it")
        if claims.get("sub") == client.id:
            raise InvalidJws("sub: that of a client assertion")
        audience = claims.get("aud")
        if self.issuer not in (audience if isinstance(audience, list) else [audience]):
            raise InvalidJws("aud: not this server")
        if "request" in claims or "request_uri" in claims:
            raise InvalidJws("request, request_uri: within a request object")
        check_times(claims, self.clock.now().timestamp(), self.skew)
        if client.profile == "fapi2" and "nbf" not in claims:
            raise InvalidJws("nbf: missing")


def check_type(header: Mapping[str, Any]) -> None:
    """Let pass what says that it is a request object, or does not say. Raises `InvalidJws`."""
    typ = header.get("typ", "jwt")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in TYPES:
        raise InvalidJws("typ: of another kind of token")


def check_times(claims: Mapping[str, Any], now: float, skew: float) -> None:
    """Let pass only what is good now, and not for long: `now` and `skew` in seconds.

    Raises `InvalidJws`.
    """
    expires, begins = (client_jws.moment(claims, one) for one in ("exp", "nbf"))
    if expires is None or not now < expires <= now + LONGEST_LIFE + skew:
        raise InvalidJws("exp: missing, over, or too far away")
    if begins is not None and not now - LONGEST_LIFE - skew <= begins <= now + skew:
        raise InvalidJws("nbf: still to come, or too long ago")


def parameters_of(claims: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters as a form would bring them; an empty one counts as left out.

    What is not text counts as its JSON, so that `claims` and `max_age` may be what they are, and
    nothing is passed over: what makes no sense as text its own check refuses. Raises `InvalidJws`.
    """
    found = {name: _text(name, value) for name, value in claims.items() if name not in CLAIMS}
    return {name: text for name, text in found.items() if text}


def _text(name: str, value: Any) -> str:
    if name == "resource" and isinstance(value, list):
        # As `web.forms` hands on what may be repeated: each on a line of its own.
        return "\n".join(filter(None, map(_line, value)))
    return _line(value)


def _line(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    except RecursionError:
        raise InvalidJws("parameters: nested too deeply") from None
    # JSON can say what no form could: half a character.
    if holds_control(text) or any("\ud800" <= one <= "\udfff" for one in text):
        raise InvalidJws("parameters: a control character, or half of one")
    return text
