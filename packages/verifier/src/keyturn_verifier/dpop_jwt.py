"""The JWT that a DPoP proof is: signed by the key that its own header names (RFC 9449 section 4.2).

That key is the caller's choice, so only public keys of a few kinds and sizes are taken, and what
is cheap is checked first, the signature last.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from keyturn_verifier import compact
from keyturn_verifier.errors import InvalidProof, InvalidToken
from keyturn_verifier.public_key import ALGORITHMS as SIGNATURES

TYPE = "dpop+jwt"
LONGEST = 4096
"""Characters of a proof: enough for one by an RSA key of 4096 bits."""
ALGORITHMS = ("ES256", "RS256", "PS256", "EdDSA", "Ed25519")

_PUBLIC = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MODULUS = range(342, 684)  # characters of 2048 to 4096 bits
_EXPONENT = "AQAB"


@dataclass(frozen=True)
class DpopJwt:
    """A proof whose signature is good, and the RFC 7638 thumbprint of the key that made it."""

    jkt: str
    claims: Mapping[str, Any]


def verify(text: str, algorithms: Collection[str]) -> DpopJwt:
    """Check type, algorithm, key and signature. Raises `InvalidProof`; its detail says what."""
    try:
        proof = compact.parse(text, LONGEST)
        header, claims = proof.header(), proof.claims()
    except InvalidToken as refusal:
        raise InvalidProof(f"{refusal}") from None
    algorithm = _algorithm(header, algorithms)
    key = _key(header.get("jwk"))
    holds = SIGNATURES[algorithm](key.public_key)
    if holds is None:
        raise InvalidProof("jwk: of another kind than alg")
    if not holds(proof.signing_input, proof.signature):
        raise InvalidProof("signature")
    return DpopJwt(key.thumbprint(), claims)


def _algorithm(header: Mapping[str, Any], algorithms: Collection[str]) -> str:
    """Return the name of the signature; Ed25519 is what RFC 9864 calls EdDSA by that curve."""
    if header.get("typ") != TYPE:
        raise InvalidProof(f"typ: not {TYPE}")
    if "crit" in header:
        raise InvalidProof("crit: we understand no extension")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise InvalidProof("alg: not one we take")
    return "EdDSA" if algorithm == "Ed25519" else algorithm


def _key(jwk: object) -> Key:
    """Import a public key; of its members those that make it one (RFC 7638 section 3.2)."""
    if not isinstance(jwk, dict) or not _PRIVATE.isdisjoint(jwk):
        raise InvalidProof("jwk: not a public key")
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in _PUBLIC:
        raise InvalidProof("jwk: kty")
    # The work of a verification is the caller's choice otherwise.
    if kind == "RSA" and (len(str(jwk.get("n"))) not in _MODULUS or jwk.get("e") != _EXPONENT):
        raise InvalidProof("jwk: size")
    try:
        key = import_key({name: jwk[name] for name in ("kty", *_PUBLIC[kind])})
        key.thumbprint()
    except (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError) as error:
        raise InvalidProof(f"jwk: {type(error).__name__}") from None
    return key
