"""Clients that prove themselves by a key of their own: what they sign, worked out from RFC 7523."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from support.api import Api
from support.forging import Text, b64

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")


def new_key(alg: str, kid: str | None = None) -> Key:
    """Make a private key that signs so."""
    named = None if kid is None else {"kid": kid}
    if alg.startswith("ES"):
        return ECKey.generate_key("P-256", named)
    if alg.startswith("Ed"):
        return OKPKey.generate_key("Ed25519", named)
    return RSAKey.generate_key(2048, named)


def signed(text: str, key: Key, alg: str) -> str:
    """Sign header and claims as they stand there: the library would refuse to write some."""
    algorithm = jws.JWSRegistry(algorithms=[alg]).get_alg(alg)
    return f"{text}.{b64(algorithm.sign(text.encode(), key))}"


@dataclass(frozen=True)
class Signer:
    """A client's private key, and the client that proves itself by it."""

    issuer: str
    alg: str = "ES256"
    kid: str = field(default_factory=lambda: uuid4().hex)
    key: Key = field(default_factory=lambda: new_key("ES256"), repr=False)
    client_id: str = ""

    @classmethod
    def of(cls, issuer: str, alg: str = "ES256") -> "Signer":
        """Make a key."""
        return cls(issuer, alg, key=new_key(alg))

    async def registered(self, api: Api, raw: Mapping[str, Any], **changes: Any) -> "Signer":
        """Register a client with this key, given with it unless `changes` say `jwks_uri`."""
        keys = {} if "jwks_uri" in changes else {"jwks": self.jwks}
        client_id = await api.client(raw, auth_method="private_key_jwt", **keys, **changes)
        return replace(self, client_id=client_id)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half."""
        return {**self.key.as_dict(private=False), "kid": self.kid}

    @property
    def jwks(self) -> dict[str, Any]:
        """A set of it alone."""
        return {"keys": [self.jwk]}

    @property
    def header(self) -> dict[str, Any]:
        """The header of a good assertion."""
        return {"alg": self.alg, "typ": "JWT", "kid": self.kid}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return good claims with a few changed; `...` leaves one out."""
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "jti": uuid4().hex,
            "iat": now,
            "exp": now + 60,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not ...}

    def signed(self, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """Sign claims; the header's `alg` is what is signed with."""
        said = {**self.header, **(header or {})}
        return self.over(
            b64({n: v for n, v in said.items() if v is not ...}), self.claims(**changes)
        )

    def over(self, header: str, claims: Text) -> str:
        """Sign whatever header stands there, by this key and its algorithm."""
        return signed(f"{header}.{b64(claims)}", self.key, self.alg)

    def form(self, assertion: str | None = None, **changes: Any) -> dict[str, str]:
        """Return the two fields that authenticate, with an assertion of claims changed so."""
        signed = self.signed(**changes) if assertion is None else assertion
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
