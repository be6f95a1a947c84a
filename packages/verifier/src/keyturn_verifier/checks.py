"""What is asked of a token, in the order in which it is asked.

Two lists, read top to bottom by `verifier`: of the header before any key is looked for, of the
claims after the signature held. Every check takes what the token says and what is expected, and
raises `InvalidToken`, or returns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from keyturn_verifier.errors import InvalidToken, Reason

LATEST = 2**53
"""No date lies later: a larger number is a trick on whoever computes with it."""
_NUMBERS = (int, float)


@dataclass(frozen=True)
class Expected:
    """What this API accepts."""

    issuer: str
    audience: str
    algorithms: frozenset[str]
    types: frozenset[str]
    """`typ` in lower case; with "jwt" among them, a missing one is accepted, too."""
    leeway: float
    """Seconds by which clocks may differ."""

    @property
    def accepts_legacy(self) -> bool:
        """Whether tokens that do not say what they are may be access tokens."""
        return "jwt" in self.types


def require_type(header: Mapping[str, Any], expected: Expected) -> None:
    """RFC 9068 section 4: an ID token or a logout token of the same issuer is not a key to us."""
    kind = header.get("typ", "JWT" if expected.accepts_legacy else None)
    # RFC 7515 section 4.1.9: compared without case, and "application/" may be left out.
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in expected.types:
        raise InvalidToken(Reason.TYPE)


def require_algorithm(header: Mapping[str, Any], expected: Expected) -> None:
    """RFC 8725 section 3.1: the list is ours, the token only chooses from it."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in expected.algorithms:
        raise InvalidToken(Reason.ALGORITHM)


def refuse_critical(header: Mapping[str, Any], _: Expected) -> None:
    """RFC 7515 section 4.1.11: no extension is understood here, so none may be critical."""
    if "crit" in header:
        raise InvalidToken(Reason.CRITICAL)


def require_key_id(header: Mapping[str, Any], _: Expected) -> None:
    """Only a name is taken from the header, never a key or an address (`jwk`, `jku`, `x5u`)."""
    if not isinstance(header.get("kid"), str) or not header["kid"]:
        raise InvalidToken(Reason.UNKNOWN_KEY, "the token names no key")


def require_issuer(claims: Mapping[str, Any], expected: Expected, _: float) -> None:
    """Compare code point by code point (RFC 9068 section 4)."""
    if claims.get("iss") != expected.issuer:
        raise InvalidToken(Reason.ISSUER)


def require_audience(claims: Mapping[str, Any], expected: Expected, _: float) -> None:
    """RFC 9068 section 4: a token for another API must not open this one."""
    audience = claims.get("aud")
    if audience == expected.audience:
        return
    if not isinstance(audience, list) or expected.audience not in audience:
        raise InvalidToken(Reason.AUDIENCE)
    if not all(isinstance(one, str) for one in audience):
        raise InvalidToken(Reason.CLAIMS, "aud")


def require_unexpired(claims: Mapping[str, Any], expected: Expected, now: float) -> None:
    """RFC 7519 section 4.1.4."""
    if date(claims, "exp") + expected.leeway <= now:
        raise InvalidToken(Reason.EXPIRED)


def require_begun(claims: Mapping[str, Any], expected: Expected, now: float) -> None:
    """RFC 7519 sections 4.1.5 and 4.1.6: neither before `nbf` nor made in the future."""
    begins = date(claims, "iat")
    if "nbf" in claims:
        begins = max(begins, date(claims, "nbf"))
    if begins - expected.leeway > now:
        raise InvalidToken(Reason.NOT_YET_VALID)


def require_names(claims: Mapping[str, Any], _: Expected, __: float) -> None:
    """RFC 9068 section 2.2: who, through which client, and which token."""
    for name in ("sub", "client_id", "jti"):
        if not isinstance(claims.get(name), str) or not claims[name]:
            raise InvalidToken(Reason.CLAIMS, name)


def refuse_other_kinds(claims: Mapping[str, Any], expected: Expected, _: float) -> None:
    """Tell an ID token or a logout token by what it says, where `typ` may say nothing."""
    if expected.accepts_legacy and not claims.keys().isdisjoint(("nonce", "at_hash", "events")):
        raise InvalidToken(Reason.TYPE, "an ID token or a logout token")


HeaderCheck = Callable[[Mapping[str, Any], Expected], None]
ClaimCheck = Callable[[Mapping[str, Any], Expected, float], None]

HEADER_CHECKS: tuple[HeaderCheck, ...] = (
    require_type,
    require_algorithm,
    refuse_critical,
    require_key_id,
)
CLAIM_CHECKS: tuple[ClaimCheck, ...] = (
    require_issuer,
    require_audience,
    require_unexpired,
    require_begun,
    require_names,
    refuse_other_kinds,
)


def date(claims: Mapping[str, Any], name: str) -> float:
    """Return a NumericDate (RFC 7519 section 2). Raises `InvalidToken`."""
    value: Any = claims.get(name)
    # JSON has exactly these; `bool` is an `int` to `isinstance`.
    if type(value) in _NUMBERS and 0 <= value <= LATEST:
        return cast("float", value)
    raise InvalidToken(Reason.CLAIMS, name)
