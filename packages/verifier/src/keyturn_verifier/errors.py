"""How a token is refused: what the caller may hear, and what only the log may.

Every refusal has a public `error` of RFC 6750, RFC 9449 or RFC 9470 and a private `reason`, for
logs and metrics. Neither ever holds a part of the token.
"""

from collections.abc import Iterable
from enum import Enum


class Reason(str, Enum):
    """Why a token was refused; also the label value of the metric."""

    MISSING = "missing"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    TYPE = "type"
    ALGORITHM = "algorithm"
    CRITICAL = "critical"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    CLAIMS = "claims"
    REVOKED = "revoked"
    PROOF = "proof"
    SCOPE = "scope"
    STEP_UP = "step_up"


class Refused(Exception):
    """The request may not pass; the base of all refusals that are the caller's to mend."""

    status = 401
    error = "invalid_token"

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or reason.value)
        self.reason = reason


class InvalidToken(Refused):
    """The token is missing, malformed, expired, revoked or not for us (RFC 6750 section 3.1)."""


class InvalidProof(Refused):
    """The proof of possession is missing or wrong (RFC 9449 section 7.1)."""

    error = "invalid_dpop_proof"

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.PROOF, detail)


class InsufficientScope(Refused):
    """The token is good and does not allow this (RFC 6750 section 3.1)."""

    status = 403
    error = "insufficient_scope"

    def __init__(self, scopes: Iterable[str]) -> None:
        super().__init__(Reason.SCOPE)
        self.scopes = tuple(scopes)


class StepUpRequired(Refused):
    """The person must prove themselves again (RFC 9470 section 3)."""

    error = "insufficient_user_authentication"

    def __init__(self, acr_values: Iterable[str] = (), max_age: int | None = None) -> None:
        super().__init__(Reason.STEP_UP)
        self.acr_values = tuple(acr_values)
        self.max_age = max_age


class Unavailable(Exception):
    """Nothing can be said of any token now: no keys yet, or too old a status list. Answer 503."""

    retry_after = 1
