"""Tokens as an attacker makes them, and as nobody but the owner of our key could.

Signed with the server's own private key, a token is wrong in one thing only, so a refusal is for
that reason. The formats are worked out here from the standards; nothing of the product's is used.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support.api import Api, SignedIn, claims_of

Text: TypeAlias = bytes | str | Mapping[str, Any]


def b64(data: Text) -> str:
    """Return base64url without padding, of JSON when it is an object."""
    if isinstance(data, Mapping):
        data = json.dumps(data)
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Undo `b64`."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class Forger:
    """The server's signing key in the wrong hands, and a token to imitate."""

    key: RSAPrivateKey
    kid: str
    claims: Mapping[str, Any]
    sink: str = "http://127.0.0.1:9"
    """Where a verifier that follows a header would go."""

    @classmethod
    async def of(cls, api: Api, device: SignedIn) -> "Forger":
        """Take the key that signs now; imitate the device's token under a `jti` of its own."""
        await api.operator.keyring.load()
        signing = api.operator.keyring.signing
        assert signing is not None
        return cls(signing.private_key, signing.kid, claims_of(device.access_token))

    @property
    def header(self) -> dict[str, Any]:
        """The header of a good token."""
        return {"alg": "RS256", "typ": "at+jwt", "kid": self.kid}

    def body(self, **changes: Any) -> dict[str, Any]:
        """Return good claims with a few changed; `...` leaves one out."""
        now = int(time.time())
        claims = {**self.claims, "iat": now, "exp": now + 600, "jti": uuid4().hex, **changes}
        return {name: value for name, value in claims.items() if value is not ...}

    def segments(self, header: Text | None = None, claims: Text | None = None) -> str:
        """Return what is to be signed."""
        return f"{b64(header or self.header)}.{b64(claims or self.body())}"

    def signed(self, header: Text | None = None, claims: Text | None = None) -> str:
        """Sign anything at all with the server's key."""
        text = self.segments(header, claims)
        return f"{text}.{b64(self.rs256(text))}"

    def rs256(self, text: str) -> bytes:
        """Sign with the key."""
        return self.key.sign(text.encode(), padding.PKCS1v15(), SHA256())

    def with_key(self, key: RSAPrivateKey) -> "Forger":
        """The same claims under somebody else's key, with our kid."""
        return replace(self, key=key)

    def public_half(self) -> dict[str, bytes]:
        """Return what could be offered as an HMAC key by whoever knows our JWKS."""
        public: RSAPublicKey = self.key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        numbers = public.public_numbers()
        modulus = numbers.n.to_bytes(256, "big")
        jwk = {"kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256", "n": b64(modulus)}
        jwk["e"] = b64(numbers.e.to_bytes(3, "big"))
        return {
            "pem": pem,
            "pem without its last newline": pem.rstrip(b"\n"),
            "pem with two": pem + b"\n",
            "pem with CRLF": pem.replace(b"\n", b"\r\n"),
            "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "jwk": json.dumps(jwk, separators=(",", ":")).encode(),
            "modulus": modulus,
            "kid": self.kid.encode(),
            "nothing": b"",
        }


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the RFC 7638 thumbprint of a published RSA key."""
    members = {"e": jwk["e"], "kty": jwk["kty"], "n": jwk["n"]}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return b64(hashlib.sha256(canonical.encode()).digest())


def purpose_key(master: str, label: str) -> bytes:
    """Derive a purpose's key from an `id: value` secret, as the operations document says."""
    value = master.partition(":")[2].strip().encode()
    return HKDF(SHA256(), 32, salt=None, info=label.encode()).derive(value)


def refresh_body(token: str) -> bytes:
    """Return what a refresh token says, without its tag."""
    return unb64(token.removeprefix("krt1_"))[:53]


def tagged(body: bytes, client_id: str, key: bytes) -> str:
    """Return the refresh token of a body, tagged with any key at all."""
    tag = hmac.new(key, b"krt1" + body + client_id.encode(), "sha256").digest()[:16]
    return f"krt1_{base64.urlsafe_b64encode(body + tag).decode()}"


def generation_zero(session_id: UUID, secret: bytes, key_id: int = 1) -> bytes:
    """Return the body of a first token."""
    return bytes([key_id]) + session_id.bytes + bytes(4) + secret
