"""JWS that clients sign with keys of their own: assertions, DPoP proofs, request objects.

What we sign stands in `jose`; this is what we read from others. A key has one algorithm family by
its type and curve, never by what a token's header says, and only public halves are taken: whoever
sends a private key by mistake hears so before anything is kept.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from keyturn.crypto import jose, opaque
from keyturn.crypto.jose import InvalidJws

ALGORITHMS: Final = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")
"""What clients may sign with (RFC 8725 section 3.1): asymmetric, all of them. `EdDSA` is what
`Ed25519` was called before RFC 9864."""
FAPI_ALGORITHMS: Final = ("ES256", "Ed25519", "EdDSA", "PS256")
"""The same without PKCS #1 v1.5 (FAPI 2.0 Security Profile section 5.4)."""

MOST_KEYS: Final = 20
RSA_SIZE: Final = "an RSA key of 2048 to 8192 bits"
_RSA_BITS: Final = range(jose.KEY_BITS, 8192 + 1)
_SHORTEST_MODULUS: Final = 342
"""Characters of base64url that 2048 bits take."""
_LARGEST_EXPONENT: Final = 2**32
"""A large one costs us a hundred times what it cost whoever sent the key."""
_CURVES: Final = MappingProxyType(
    {"P-256": frozenset({"ES256"}), "Ed25519": frozenset({"Ed25519", "EdDSA"})}
)
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class _Registry(jws.JWSRegistry):
    """The size is ours to bound, before: a header with an RSA key in it is longer than usual."""

    max_header_length = max_payload_length = max_signature_length = jose.MAX_JWS

    def get_alg(self, name: str) -> Any:
        """Return an algorithm; the old name of `Ed25519` means that, and no other curve."""
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


_REGISTRY: Final = _Registry(algorithms=list(ALGORITHMS), strict_check_header=False)


@dataclass(frozen=True, slots=True, eq=False)
class ClientKey:
    """A public key of somebody else, and what it may have signed with."""

    kid: str | None
    thumbprint: str
    """RFC 7638, SHA-256: the `jkt` of DPoP."""
    algorithms: frozenset[str]
    key: Key = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a compact JWS says before anybody has checked who signed it."""

    token: str = field(repr=False)
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def alg(self) -> str:
        """The algorithm it names; one of those `read` was told to take."""
        return str(self.header["alg"])


def key_of(jwk: Mapping[str, Any]) -> ClientKey:
    """Import a public JWK. Raises `ValueError` with a sentence that says what would be right."""
    if _PRIVATE.intersection(jwk):
        raise ValueError("a public key: leave the private members out, and make a new key")
    if jwk.get("use", "sig") != "sig":
        raise ValueError("a key for signatures: `use` is sig, or left out")
    kid = jwk.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise ValueError("`kid` is text")
    key, algorithms = _imported(jwk)
    named = jwk.get("alg")
    if named is not None and (not isinstance(named, str) or named not in algorithms):
        raise ValueError(f"`alg` does not fit the key: one of {', '.join(sorted(algorithms))}")
    chosen = algorithms if named is None else frozenset({named})
    return ClientKey(kid, key.thumbprint(), chosen, key)


def keys_of(jwks: Mapping[str, Any]) -> tuple[ClientKey, ...]:
    """Import a JWK set (RFC 7517 section 5). Raises `ValueError` for one bad key among them."""
    listed = _listed(jwks)
    if not 0 < len(listed) <= MOST_KEYS:
        raise ValueError(f"1 to {MOST_KEYS} keys")
    return tuple(key_of(one) for one in listed)


def usable_keys_of(jwks: Mapping[str, Any]) -> tuple[ClientKey, ...]:
    """Import what can be used of a set that somebody publishes, perhaps nothing.

    It may hold keys for others, of kinds unknown here: those are passed over (RFC 7517 section 5).
    Raises `ValueError`.
    """
    listed = _listed(jwks)
    if len(listed) > MOST_KEYS:
        raise ValueError(f"more than {MOST_KEYS} keys")
    keys: list[ClientKey] = []
    for one in listed:
        with suppress(ValueError):
            keys.append(key_of(one))
    return tuple(keys)


@cache
def nobody_s_key(alg: str) -> ClientKey:
    """Return a key that nobody has signed with: checking by it takes as long as by a real one."""
    key: Key
    if alg == "ES256":
        key = ECKey.generate_key("P-256")
    elif alg in _CURVES["Ed25519"]:
        key = OKPKey.generate_key("Ed25519")
    else:
        number = int.from_bytes(opaque.token_bytes(jose.KEY_BITS // 8))
        modulus = number | 1 << jose.KEY_BITS - 1 | 1  # no need for primes: nobody will sign
        key = RSAKey.import_key(RSAPublicNumbers(jose.PUBLIC_EXPONENT, modulus).public_key())
    return ClientKey(None, "", frozenset({alg}), key)


def read(token: str, algorithms: tuple[str, ...], also: frozenset[str] = frozenset()) -> Unverified:
    """Take a compact JWS apart; nothing of it is proven yet.

    `also` are dangerous header members that this kind of token has all the same; unknown ones mean
    nothing (RFC 7515 section 4). Raises `InvalidJws`, whose text names the check that failed and
    holds none of the input.
    """
    header, claims = jose.parts(token)
    if header.get("alg") not in algorithms:
        raise InvalidJws("alg: not allowed")
    jose.refuse_dangerous(header, also)
    return Unverified(token, header, claims)


def verify(unverified: Unverified, key: ClientKey) -> None:
    """Check the signature by one key, under the algorithm the header names and the key allows.

    Raises `InvalidJws`.
    """
    if unverified.alg not in key.algorithms:
        raise InvalidJws("alg: not one of the key's")
    try:
        jws.deserialize_compact(
            unverified.token, key.key, algorithms=[unverified.alg], registry=_REGISTRY
        )
    except (JoseError, ValueError) as error:
        raise InvalidJws(f"signature: {type(error).__name__}") from error


def _listed(jwks: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = jwks.get("keys")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ValueError('a JWK set: {"keys": [...]}')
    return listed


def _imported(jwk: Mapping[str, Any]) -> tuple[Key, frozenset[str]]:
    kind = jwk.get("kty")
    try:
        if kind == "RSA":
            # Looked at first: the library would write a warning for each weak key of a stranger.
            if len(jwk["n"]) < _SHORTEST_MODULUS:
                raise ValueError(RSA_SIZE)
            rsa = RSAKey.import_key({name: jwk[name] for name in ("kty", "n", "e")})
            if rsa.public_key.key_size not in _RSA_BITS:
                raise ValueError(RSA_SIZE)
            if rsa.public_key.public_numbers().e > _LARGEST_EXPONENT:
                raise ValueError("an RSA key with a small exponent, as 65537")
            return rsa, frozenset({"PS256", "RS256"})
        curve = jwk.get("crv")
        if kind == "EC" and curve == "P-256":
            ec = ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
            return ec, _CURVES[curve]
        if kind == "OKP" and curve == "Ed25519":
            okp = OKPKey.import_key({name: jwk[name] for name in ("kty", "crv", "x")})
            return okp, _CURVES[curve]
    except (KeyError, TypeError, JoseError) as error:
        raise ValueError("a complete and well-formed JWK") from error
    raise ValueError("a key of type RSA, EC on P-256, or OKP on Ed25519")


def moment(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a NumericDate, which may have fractions (RFC 7519 section 2); None: there is none.

    Raises `InvalidJws`.
    """
    if name not in claims:
        return None
    value: float = claims[name]
    # `type`, not `isinstance`: to Python, true is the number 1.
    if type(value) not in {int, float}:
        raise InvalidJws(f"{name}: not a number")
    return value
