"""JOSE: keys in and out of JWK form, our signatures, and the check of every JWS we accept.

With `client_jws` the only importer of joserfc, which reads and names keys. Signing, and checking
what we signed, go to PyCA directly (the hot path: nothing but base64 is added to the RSA
operation); the check stands behind our own strict reading, and the key decides on the algorithm,
because what a token says about itself is the attacker's text.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from typing import Any, Self

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.padding import (
    MGF1,
    PSS,
    AsymmetricPadding,
    PKCS1v15,
)
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import RSAKey

from keyturn.crypto.strict_json import parse_object

ALGORITHM = "RS256"
PSS_ALGORITHM = "PS256"
"""What FAPI 2.0 asks for in its place (Security Profile section 5.4); the same key signs both."""
ALGORITHMS = (ALGORITHM, PSS_ALGORITHM)
AT_JWT = "at+jwt"
"""`typ` of an access token (RFC 9068 section 2.1)."""
ID_JWT = "JWT"
"""`typ` of an ID token: what strict readers of ID tokens expect, and no other kind of ours has."""
LOGOUT_JWT = "logout+jwt"
"""`typ` of a logout token (OpenID Connect Back-Channel Logout section 2.4)."""
STATUS_LIST_JWT = "statuslist+jwt"
"""`typ` of a status list (Token Status List section 5.1)."""
TYPES = (AT_JWT, ID_JWT, LOGOUT_JWT, STATUS_LIST_JWT)

KEY_BITS = 2048
PUBLIC_EXPONENT = 65537
MAX_JWS = 8192
"""Characters of a compact JWS we look at; more is refused before any decoding."""

MAX_STATUS_LIST = 2**18
"""The same of a status list: a million random bits, and base64 twice, are 233,000."""

_HASH = SHA256()
_PADDING: Mapping[str, AsymmetricPadding] = MappingProxyType(
    {ALGORITHM: PKCS1v15(), PSS_ALGORITHM: PSS(MGF1(_HASH), _HASH.digest_size)}
)
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
_MEMBERS = frozenset({"alg", "kid", "typ"})
_DANGEROUS = ("crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc", "cty")
"""Headers that bring a key along, name a place to fetch one, or change what is signed or inside."""


class InvalidJws(Exception):
    """A compact JWS is not one of ours. Never reaches a caller: the checker says what it means."""


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key ready to sign: imported once, its headers serialised once."""

    kid: str
    private_key: RSAPrivateKey = field(repr=False)
    headers: Mapping[tuple[str, str], bytes]
    """`base64url(header) + "."` by algorithm and `typ`."""

    @classmethod
    def from_der(cls, der: bytes, kid: str) -> Self:
        """Import a PKCS #8 private key (some 50 ms: never on a request).

        Raises `ValueError` when it is not the RSA key that `kid` names.
        """
        private_key = serialization.load_der_private_key(der, password=None)
        if not isinstance(private_key, RSAPrivateKey) or thumbprint(private_key) != kid:
            raise ValueError("the private key does not belong to its kid")
        pairs = product(_PADDING, TYPES)
        return cls(kid, private_key, MappingProxyType({one: _header(kid, *one) for one in pairs}))

    def sign(self, payload: bytes, typ: str = AT_JWT, algorithm: str = ALGORITHM) -> str:
        """Return the compact JWS of a serialised claims set."""
        signed = self.headers[algorithm, typ] + _encode(payload)
        signature = self.private_key.sign(signed, _PADDING[algorithm], _HASH)
        return (signed + b"." + _encode(signature)).decode("ascii")


@dataclass(frozen=True, slots=True, eq=False)
class PublicKey:
    """A key that verifies, and its JWK as we publish it: public members only, by construction."""

    kid: str
    jwk: Mapping[str, str]
    key: RSAPublicKey = field(repr=False)
    algorithm: str = ALGORITHM

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> Self:
        """Import a stored JWK.

        Raises `ValueError` for a key under 2048 bits, or one that its `kid` does not name.
        """
        key = RSAKey.import_key({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})
        if key.public_key.key_size < KEY_BITS or key.thumbprint() != jwk["kid"]:
            raise ValueError("the public key is weak or does not belong to its kid")
        return cls(jwk["kid"], MappingProxyType(_published(key)), key.public_key)

    def for_pss(self) -> "PublicKey":
        """Return the same key under its second name, for the algorithm of FAPI clients."""
        kid = pss_kid(self.kid)
        jwk = {**self.jwk, "kid": kid, "alg": PSS_ALGORITHM}
        return PublicKey(kid, MappingProxyType(jwk), self.key, PSS_ALGORITHM)


def generate() -> RSAPrivateKey:
    """Return a new RSA-2048 key (tens of milliseconds; call it in a thread)."""
    return generate_private_key(PUBLIC_EXPONENT, KEY_BITS)


def to_der(private_key: RSAPrivateKey) -> bytes:
    """Return the unencrypted PKCS #8 form: for sealing only."""
    return private_key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def thumbprint(private_key: RSAPrivateKey) -> str:
    """Return the RFC 7638 thumbprint of the public half: our `kid`."""
    return RSAKey.import_key(private_key.public_key()).thumbprint()


def public_jwk(private_key: RSAPrivateKey) -> dict[str, str]:
    """Return the public half as it is stored and published (RFC 7517)."""
    return _published(RSAKey.import_key(private_key.public_key()))


def verify(
    token: str, typ: str, find: Callable[[str], PublicKey | None], longest: int = MAX_JWS
) -> dict[str, Any]:
    """Return the claims of a compact JWS that one of our keys signed as `typ`.

    `find` looks a `kid` up in memory; it is never a path, a URL or part of a query. Raises
    `InvalidJws`, whose text names the check that failed and holds none of the input.
    """
    header_text, payload, signature = _segments(token, longest)
    header = _parse(header_text, "header")
    key = find(_checked_kid(header, typ))
    if key is None:
        raise InvalidJws("kid: unknown")
    if header["alg"] != key.algorithm:
        raise InvalidJws("alg: not allowed")
    signed = token.rpartition(".")[0].encode("ascii")
    try:
        key.key.verify(signature, signed, _PADDING[key.algorithm], _HASH)
    except InvalidSignature as error:
        raise InvalidJws("signature: BadSignatureError") from error
    return _parse(payload, "payload")


def _segments(token: str, longest: int = MAX_JWS) -> tuple[bytes, bytes, bytes]:
    if len(token) > longest:
        raise InvalidJws(f"size: more than {longest // 1024} KiB")
    match = _COMPACT.fullmatch(token)
    if match is None:
        raise InvalidJws("form: not three base64url segments")
    try:
        header, payload, signature = (_decode(segment) for segment in match.groups())
    except ValueError:
        raise InvalidJws("form: not canonical base64url") from None
    return header, payload, signature


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and payload of a compact JWS; nothing of it is proven.

    Raises `InvalidJws` for what is too large, malformed, or has two readings.
    """
    header, payload, _signature = _segments(token)
    return _parse(header, "header"), _parse(payload, "payload")


def refuse_dangerous(header: Mapping[str, Any], also: frozenset[str] = frozenset()) -> None:
    """Raise `InvalidJws` for a header that brings a key along, or changes what is signed."""
    for name in _DANGEROUS:
        if name in header and name not in also:
            raise InvalidJws(f"header: {name}")


def _checked_kid(header: Mapping[str, Any], typ: str) -> str:
    if header.get("alg") not in ALGORITHMS:
        raise InvalidJws("alg: not allowed")
    refuse_dangerous(header)
    if not header.keys() <= _MEMBERS:
        raise InvalidJws("header: unknown member")
    if header.get("typ") != typ:
        raise InvalidJws(f"typ: not {typ}")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise InvalidJws("kid: missing")
    return kid


def _parse(data: bytes, what: str) -> dict[str, Any]:
    try:
        return parse_object(data)
    except UnicodeDecodeError:
        raise InvalidJws(f"{what}: not UTF-8") from None
    except ValueError as error:
        raise InvalidJws(f"{what}: {_reason(error)}") from None


def _reason(error: ValueError) -> str:
    # A decoder's own message quotes its input; ours do not.
    return "not JSON" if type(error) is not ValueError else str(error)


def _published(key: RSAKey) -> dict[str, str]:
    jwk = key.as_dict(private=False)
    return {
        "kty": "RSA",
        "kid": key.thumbprint(),
        "use": "sig",
        "alg": ALGORITHM,
        "n": str(jwk["n"]),
        "e": str(jwk["e"]),
    }


def pss_kid(kid: str) -> str:
    """Return the second name of a key: one name, one algorithm, as verifiers expect."""
    return f"{kid}-ps256"


def _header(kid: str, algorithm: str, typ: str) -> bytes:
    name = kid if algorithm == ALGORITHM else pss_kid(kid)
    return _encode(orjson.dumps({"alg": algorithm, "typ": typ, "kid": name})) + b"."


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(segment: str) -> bytes:
    """Decode base64url, refusing every spelling but the canonical one (a token has one form)."""
    data = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if _encode(data) != segment.encode("ascii"):
        raise ValueError("not canonical")
    return data
