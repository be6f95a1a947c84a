"""One public key of the issuer: imported once by joserfc, used by `cryptography` directly.

The algorithm belongs to the key (RFC 8725 section 3.1): a key takes part in an algorithm of its
own type, curve and size only, and if it names one algorithm, in that one only. There is nothing
symmetric in the table, so a public key can never be taken for a shared secret.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import (
    MGF1,
    PSS,
    AsymmetricPadding,
    PKCS1v15,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import import_key

LEAST_RSA_BITS = 2048

Verify = Callable[[bytes, bytes], bool]
"""Whether a signature is that of a signing input."""


class UnusableKey(ValueError):
    """A JWK that verifies nothing here; the rest of its set may still be good."""


def _rsa(hashing: HashAlgorithm, padding: AsymmetricPadding) -> Callable[[Any], Verify | None]:
    def bind(key: Any) -> Verify | None:
        if not isinstance(key, RSAPublicKey) or key.key_size < LEAST_RSA_BITS:
            return None
        return lambda text, signature: _holds(key.verify, signature, text, padding, hashing)

    return bind


def _ecdsa(hashing: HashAlgorithm, curve: str) -> Callable[[Any], Verify | None]:
    def bind(key: Any) -> Verify | None:
        if not isinstance(key, EllipticCurvePublicKey) or key.curve.name != curve:
            return None
        size = (key.key_size + 7) // 8
        scheme = ECDSA(hashing)

        def verify(text: bytes, signature: bytes) -> bool:
            if len(signature) != 2 * size:  # RFC 7518 section 3.4: r and s, each of full length
                return False
            r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
            return _holds(key.verify, encode_dss_signature(r, s), text, scheme)

        return verify

    return bind


def _ed25519(key: Any) -> Verify | None:
    if not isinstance(key, Ed25519PublicKey):
        return None
    return lambda text, signature: _holds(key.verify, signature, text)


def _holds(verify: Callable[..., None], *arguments: Any) -> bool:
    try:
        verify(*arguments)
    except InvalidSignature:
        return False
    return True


def _pss(hashing: HashAlgorithm) -> AsymmetricPadding:
    return PSS(MGF1(hashing), hashing.digest_size)


ALGORITHMS: Mapping[str, Callable[[Any], Verify | None]] = MappingProxyType(
    {
        "RS256": _rsa(SHA256(), PKCS1v15()),
        "RS384": _rsa(SHA384(), PKCS1v15()),
        "RS512": _rsa(SHA512(), PKCS1v15()),
        "PS256": _rsa(SHA256(), _pss(SHA256())),
        "PS384": _rsa(SHA384(), _pss(SHA384())),
        "PS512": _rsa(SHA512(), _pss(SHA512())),
        "ES256": _ecdsa(SHA256(), "secp256r1"),
        "ES384": _ecdsa(SHA384(), "secp384r1"),
        "ES512": _ecdsa(SHA512(), "secp521r1"),
        "EdDSA": _ed25519,
    }
)
"""Every algorithm known here; `None` for a key that has no part in it."""


@dataclass(frozen=True, eq=False)
class PublicKey:
    """A key of the set, and what it may verify. Compared by identity."""

    kid: str
    jwk: Mapping[str, Any]
    verifies: Mapping[str, Verify]
    """By algorithm."""

    @classmethod
    def of(cls, jwk: Any) -> "PublicKey":
        """Import a JWK (RFC 7517 section 4). Raises `UnusableKey`."""
        kid = _require_signing(jwk)
        key = _imported(jwk)
        named = [jwk["alg"]] if "alg" in jwk else ALGORITHMS
        bound = {alg: ALGORITHMS[alg](key) for alg in named if alg in ALGORITHMS}
        verifies = {alg: verify for alg, verify in bound.items() if verify is not None}
        if not verifies:
            raise UnusableKey("fits no algorithm")
        return cls(kid, jwk, MappingProxyType(verifies))


def _require_signing(jwk: Any) -> str:
    """Return the `kid` of a JWK that is public, named, and meant to verify signatures."""
    if not isinstance(jwk, dict):
        raise UnusableKey("not an object")
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not kid:
        raise UnusableKey("no kid")
    if jwk.get("use", "sig") != "sig" or not isinstance(jwk.get("alg", ""), str):
        raise UnusableKey("not for signatures")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKey("not for verifying")
    # A published private key signs for everybody.
    if "d" in jwk or jwk.get("kty") not in ("RSA", "EC", "OKP"):
        raise UnusableKey("not a public key")
    return kid


def _imported(jwk: dict[str, Any]) -> Any:
    try:
        return import_key(jwk).public_key
    except (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError) as error:
        raise UnusableKey(f"{type(error).__name__}") from error
