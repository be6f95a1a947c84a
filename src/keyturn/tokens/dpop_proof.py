"""A DPoP proof (RFC 9449 section 4): what a caller signed with the key its tokens are bound to.

Everything is checked here but what needs memory: whether it came before, and whether its nonce is
ours. What costs nothing comes first, the signature last.

The window for `iat` is a minute to either side of now. Devices' clocks are off by seconds, and the
time from signing to arrival on a bad line is seconds again, so 10 s must pass; a proof made long
before, when somebody could use the key but not carry it away, must not. Whatever is in the window
is good once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from keyturn.crypto import client_jws, opaque
from keyturn.crypto.client_jws import ClientKey, Unverified
from keyturn.crypto.jose import InvalidJws
from keyturn.errors import InvalidDpopProof

TYPE: Final = "dpop+jwt"
WINDOW: Final = timedelta(seconds=60)
LONGEST: Final = 4096
"""Characters of a proof: enough for one by an RSA key of 8192 bits."""
LONGEST_JTI: Final = 256

_ALSO: Final = frozenset({"jwk"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a proof must have been made for."""

    method: str
    uri: str
    """Where the request goes by the configured issuer, never by what it says itself."""
    algorithms: tuple[str, ...] = client_jws.ALGORITHMS
    access_token: str | None = field(default=None, repr=False)
    """The token that the proof came with; None where there is none."""
    jkt: str | None = None
    """The key it must be by; None: by any."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that is good if it is here for the first time."""

    jkt: str
    """RFC 7638 thumbprint of the key: 43 characters."""
    jti: str
    nonce: str | None
    until: datetime
    """When it leaves the window."""


def check(text: str, wanted: Wanted, now: datetime) -> Proof:
    """Return what a proof says. Raises `InvalidDpopProof`; its detail names the check."""
    if len(text) > LONGEST:
        raise InvalidDpopProof(f"dpop: longer than {LONGEST} characters")
    try:
        unverified = client_jws.read(text, wanted.algorithms, _ALSO)
        _check_claims(unverified, wanted, now)
        key = _key(unverified)
        if wanted.jkt not in {None, key.thumbprint}:
            raise InvalidDpopProof("dpop: by another key")
        client_jws.verify(unverified, key)
    except InvalidJws as error:
        raise InvalidDpopProof(f"dpop: {error}") from error
    return _proof(unverified.claims, key)


def _proof(claims: Mapping[str, Any], key: ClientKey) -> Proof:
    until = datetime.fromtimestamp(claims["iat"], UTC) + WINDOW
    return Proof(key.thumbprint, claims["jti"], _text(claims, "nonce"), until)


def _key(unverified: Unverified) -> ClientKey:
    jwk = unverified.header.get("jwk")
    if not isinstance(jwk, dict):
        raise InvalidDpopProof("dpop: jwk: missing")
    try:
        return client_jws.key_of(jwk)
    except ValueError as error:
        raise InvalidDpopProof("dpop: jwk: not a public key we take") from error


def _check_claims(unverified: Unverified, wanted: Wanted, now: datetime) -> None:
    claims = unverified.claims
    if unverified.header.get("typ") != TYPE:
        raise InvalidDpopProof(f"dpop: typ: not {TYPE}")
    if claims.get("htm") != wanted.method:
        raise InvalidDpopProof("dpop: htm: another method")
    if _address(_text(claims, "htu") or "") != _address(wanted.uri):
        raise InvalidDpopProof("dpop: htu: another address")
    jti = _text(claims, "jti")
    if not jti or len(jti) > LONGEST_JTI or not jti.isprintable():
        raise InvalidDpopProof(f"dpop: jti: not 1 to {LONGEST_JTI} printable characters")
    if wanted.access_token is not None and claims.get("ath") != ath_of(wanted.access_token):
        raise InvalidDpopProof("dpop: ath: of another access token")
    _check_times(claims, now)


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    earliest, latest = (now - WINDOW).timestamp(), (now + WINDOW).timestamp()
    issued_at = client_jws.moment(claims, "iat")
    if issued_at is None or not earliest < issued_at < latest:
        raise InvalidDpopProof("dpop: iat: missing, or not about now")
    expiry, not_before = (client_jws.moment(claims, one) for one in ("exp", "nbf"))
    if expiry is not None and expiry <= earliest:
        raise InvalidDpopProof("dpop: exp: over")
    if not_before is not None and not_before >= latest:
        raise InvalidDpopProof("dpop: nbf: not yet")


def ath_of(access_token: str) -> str:
    """Return the `ath` of a token: its SHA-256, base64url (RFC 9449 section 4.2)."""
    return opaque.base64url(opaque.sha256(access_token.encode()))


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None


def _address(uri: str) -> tuple[str, str, int | None, str] | None:
    """Return what two spellings of one address share: query and fragment do not count.

    RFC 9449 section 4.3, step 9: normalised by RFC 3986 sections 6.2.2 and 6.2.3.
    """
    try:
        parts = urlsplit(uri)
        port = _DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
    except ValueError:
        return None
    if not uri.isprintable() or parts.username is not None or parts.hostname is None:
        return None
    return parts.scheme, parts.hostname, port, unquote(parts.path) or "/"
