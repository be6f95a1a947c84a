"""From the claims of a checked token to an `AccessToken` (RFC 9068 section 2.2).

What is optional may be missing; what is there must have its type, or the token is refused: a
claim that cannot be read is not a claim that may be ignored.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.checks import date
from keyturn_verifier.errors import InvalidToken, Reason

MOST_INDEX = 2**32


def access_token(claims: Mapping[str, Any]) -> AccessToken:
    """Return what claims say that passed `CLAIM_CHECKS`. Raises `InvalidToken`."""
    audience = claims["aud"]
    return AccessToken(
        subject=claims["sub"],
        client_id=claims["client_id"],
        scopes=frozenset((_text(claims, "scope") or "").split()),
        audiences=(audience,) if isinstance(audience, str) else tuple(audience),
        issued_at=int(claims["iat"]),
        expires_at=int(claims["exp"]),
        token_id=claims["jti"],
        session_id=_text(claims, "sid"),
        auth_time=int(date(claims, "auth_time")) if "auth_time" in claims else None,
        acr=_text(claims, "acr"),
        key_thumbprint=_key_thumbprint(claims),
        status=_status(claims),
        claims=MappingProxyType(claims),
    )


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidToken(Reason.CLAIMS, name)
    return value


def _key_thumbprint(claims: Mapping[str, Any]) -> str | None:
    """RFC 9449 section 6.1; a token bound in another way must not pass as a bearer token."""
    if "cnf" not in claims:
        return None
    bound = claims["cnf"]
    if not isinstance(bound, dict) or set(bound) != {"jkt"} or not isinstance(bound["jkt"], str):
        raise InvalidToken(Reason.PROOF, "bound in a way that cannot be checked here")
    return bound["jkt"]


def _status(claims: Mapping[str, Any]) -> tuple[str, int] | None:
    """Token Status List, section 6.1: `{"status": {"status_list": {"idx", "uri"}}}`."""
    status = claims.get("status", {})
    if not isinstance(status, dict):
        raise InvalidToken(Reason.CLAIMS, "status")
    if "status_list" not in status:
        return None
    entry = status["status_list"]
    uri, index = (entry.get("uri"), entry.get("idx")) if isinstance(entry, dict) else (None, None)
    if not isinstance(uri, str) or type(index) is not int or not 0 <= index < MOST_INDEX:
        raise InvalidToken(Reason.CLAIMS, "status_list")
    return uri, index
