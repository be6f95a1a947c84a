"""How a refusal is said over HTTP: status, `WWW-Authenticate`, a constant sentence.

RFC 6750 section 3 (Bearer), RFC 9449 section 7.1 (DPoP), RFC 9470 section 3 (step-up), RFC 9728
section 5.1 (`resource_metadata`). Nothing that came with the request is ever repeated.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from keyturn_verifier.credentials import Scheme
from keyturn_verifier.errors import (
    InsufficientScope,
    Reason,
    Refused,
    StepUpRequired,
    Unavailable,
)

DESCRIPTIONS = {
    "invalid_request": "The Authorization header must hold one access token.",
    "invalid_token": "The access token is missing, malformed, expired, revoked, or not for us.",
    "invalid_dpop_proof": "The DPoP proof is missing, wrong, or was used before.",
    "use_dpop_nonce": "The DPoP proof needs the nonce of this answer.",
    "insufficient_scope": "The access token does not allow this.",
    "insufficient_user_authentication": "The person must prove themselves again.",
    "temporarily_unavailable": "Access tokens cannot be checked now. Try again.",
}
"""Every public `error`, and the sentence that goes with it."""

_NOT_QUOTABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")  # RFC 6750 section 3


@dataclass(frozen=True)
class Answer:
    """What to send instead of the API's own answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The header fields as ASGI wants them."""
        return [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers]


@dataclass(frozen=True)
class Challenges:
    """Puts refusals into words for one API."""

    dpop_algorithms: tuple[str, ...] = ()
    """What proofs may be signed with; empty: this API takes bearer tokens only."""
    resource_metadata: str | None = None
    """Where the API's RFC 9728 document is."""

    def answer(self, refusal: Refused | Unavailable, scheme: Scheme = "Bearer") -> Answer:
        """Return what to say to a request that came with `scheme`."""
        if isinstance(refusal, Unavailable):
            retry = ("Retry-After", str(refusal.retry_after))
            return _answer(503, "temporarily_unavailable", retry)
        challenge = ("WWW-Authenticate", self._challenge(refusal, scheme))
        return _answer(refusal.status, refusal.error, challenge)

    def _challenge(self, refusal: Refused, scheme: Scheme) -> str:
        """Return one challenge for each scheme we take; the request's own one tells the error."""
        offered: tuple[Scheme, ...] = ("Bearer", "DPoP") if self.dpop_algorithms else ("Bearer",)
        told = dict(_attributes(refusal))
        return ", ".join(self._said(one, told if one == scheme else {}) for one in offered)

    def _said(self, scheme: Scheme, told: dict[str, str]) -> str:
        told = dict(told)
        if scheme == "DPoP":
            told["algs"] = " ".join(self.dpop_algorithms)
        if self.resource_metadata is not None:
            told["resource_metadata"] = self.resource_metadata
        attributes = ", ".join(f'{name}="{_quotable(value)}"' for name, value in told.items())
        return f"{scheme} {attributes}".rstrip()


def _attributes(refusal: Refused) -> Iterator[tuple[str, str]]:
    """Yield what the challenge tells; nothing to a request without a token (RFC 6750, 3.1)."""
    if refusal.reason is Reason.MISSING:
        return
    yield "error", refusal.error
    yield "error_description", DESCRIPTIONS[refusal.error]
    if isinstance(refusal, InsufficientScope):
        yield "scope", " ".join(refusal.scopes)
    if isinstance(refusal, StepUpRequired):
        if refusal.acr_values:
            yield "acr_values", " ".join(refusal.acr_values)
        if refusal.max_age is not None:
            yield "max_age", str(refusal.max_age)


def _quotable(value: str) -> str:
    """Leave out what would end the quotes, or the header."""
    return _NOT_QUOTABLE.sub("", value)


def _answer(status: int, error: str, *headers: tuple[str, str]) -> Answer:
    body = json.dumps({"error": error, "error_description": DESCRIPTIONS[error]}).encode()
    usual = (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    )
    return Answer(status, usual + headers, body)
