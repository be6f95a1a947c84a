"""A device that holds a key and proves it: DPoP as RFC 9449 says, nothing of the product's."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from support.forging import Text, b64

Private: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
Algorithm: TypeAlias = Literal["ES256", "Ed25519", "EdDSA", "PS256", "RS256"]
HALF = 32


@dataclass(frozen=True)
class Holder:
    """Somebody with a private key of one algorithm."""

    alg: Algorithm
    key: Private = field(repr=False)

    @classmethod
    def of(cls, alg: Algorithm = "ES256") -> Self:
        """Make a key."""
        if alg == "ES256":
            return cls(alg, ec.generate_private_key(ec.SECP256R1()))
        if alg in {"EdDSA", "Ed25519"}:
            return cls(alg, ed25519.Ed25519PrivateKey.generate())
        return cls(alg, rsa.generate_private_key(65537, 2048))

    @property
    def jwk(self) -> dict[str, str]:
        """The public half."""
        public = self.key.public_key()
        if isinstance(public, ec.EllipticCurvePublicKey):
            at = public.public_numbers()
            x, y = (b64(one.to_bytes(HALF, "big")) for one in (at.x, at.y))
            return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            return {"kty": "RSA", "n": b64(numbers.n.to_bytes(256, "big")), "e": "AQAB"}
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}

    @property
    def jkt(self) -> str:
        """The RFC 7638 thumbprint."""
        canonical = json.dumps(self.jwk, separators=(",", ":"), sort_keys=True)
        return b64(hashlib.sha256(canonical.encode()).digest())

    def claims(self, method: str, uri: str, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good proof with a few changed; `...` leaves one out."""
        now = int(time.time())
        said = {"jti": uuid4().hex, "htm": method, "htu": uri, "iat": now, **changes}
        if "token" in said:
            token = said.pop("token")
            said.setdefault("ath", b64(hashlib.sha256(token.encode()).digest()))
        return {name: value for name, value in said.items() if value is not ...}

    def header(self, **changes: Any) -> dict[str, Any]:
        """Return the header of a good proof with a few members changed."""
        said = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk, **changes}
        return {name: value for name, value in said.items() if value is not ...}

    def proof(
        self, method: str, uri: str, header: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """Return a proof; `token` is the access token it goes with."""
        return self.signed(self.header(**(header or {})), self.claims(method, uri, **changes))

    def signed(self, header: Text, claims: Text) -> str:
        """Sign anything at all."""
        text = f"{b64(header)}.{b64(claims)}"
        return f"{text}.{b64(self._signature(text.encode()))}"

    def _signature(self, data: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(SHA256())))
            return r.to_bytes(HALF, "big") + s.to_bytes(HALF, "big")
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(data)
        if self.alg == "RS256":
            return self.key.sign(data, padding.PKCS1v15(), SHA256())
        return self.key.sign(
            data, padding.PSS(padding.MGF1(SHA256()), SHA256().digest_size), SHA256()
        )
