"""Clients that sign their requests (RFC 9101), by keys that are made once for a whole run."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from joserfc.jwk import Key

from support.assertions import new_key, signed
from support.forging import b64


@cache
def key_for(alg: str, kid: str = "one") -> Key:
    """Return a private key that signs by this algorithm: made once for a whole run."""
    return new_key(alg, kid)


def jwks(*keys: Key) -> dict[str, Any]:
    """Return the public halves, as a client registers them."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


@dataclass(frozen=True)
class RequestSigner:
    """A client that signs its requests (RFC 9101)."""

    client_id: str
    issuer: str
    key: Key
    alg: str = "ES256"

    def claims(self, parameters: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
        """Return good claims around the parameters, a few changed; `...` leaves one out."""
        now = int(time.time())
        about = {"iss": self.client_id, "aud": self.issuer, "iat": now, "nbf": now, "exp": now + 60}
        claims = {**about, **parameters, **changes}
        return {name: value for name, value in claims.items() if value is not ...}

    def sign(self, claims: Mapping[str, Any] | bytes, **header: Any) -> str:
        """Return a request object; members of its header changed to `...` are left out."""
        named = {"alg": self.alg, "typ": "oauth-authz-req+jwt", "kid": self.key.kid, **header}
        kept = {name: value for name, value in named.items() if value is not ...}
        return signed(f"{b64(kept)}.{b64(claims)}", self.key, self.alg)

    def request(self, parameters: Mapping[str, Any], **changes: Any) -> str:
        """Return a good request object of these parameters, a few claims changed."""
        return self.sign(self.claims(parameters, **changes))
