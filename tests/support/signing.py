"""Keys that clients of a test hold, and what they sign with them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from support.forging import b64

ALGORITHMS = ["ES256", "Ed25519", "EdDSA", "PS256", "RS256"]


@cache
def key_for(alg: str, kid: str = "one") -> Key:
    """Return a private key that signs by this algorithm: made once for a whole run."""
    if alg == "ES256":
        return ECKey.generate_key("P-256", {"kid": kid})
    if alg.startswith("Ed"):
        return OKPKey.generate_key("Ed25519", {"kid": kid})
    return RSAKey.generate_key(2048, {"kid": kid})


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
        text = f"{b64(kept)}.{b64(claims)}"
        registry = jws.JWSRegistry(algorithms=ALGORITHMS)
        # The header as it is, whatever it says: the library would refuse to write some of these.
        algorithm = registry.get_alg(self.alg)
        return f"{text}.{b64(algorithm.sign(text.encode(), self.key))}"

    def request(self, parameters: Mapping[str, Any], **changes: Any) -> str:
        """Return a good request object of these parameters, a few claims changed."""
        return self.sign(self.claims(parameters, **changes))
