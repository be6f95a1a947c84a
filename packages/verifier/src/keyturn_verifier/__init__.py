"""Checks access tokens in an API: offline, asynchronously, and refused within seconds once revoked.

    verifier = Verifier("https://id.example.com", audience="https://api.example.com")
    token = await verifier.verify(raw)
    token.require_scopes("orders:read")

The rooms: `verifier` is the front door; `access_token` what a good token says, `errors` how a bad
one is refused.
"""

from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.errors import (
    InsufficientScope,
    InvalidToken,
    Reason,
    Refused,
    StepUpRequired,
    Unavailable,
)

__all__ = [
    "AccessToken",
    "InsufficientScope",
    "InvalidToken",
    "Reason",
    "Refused",
    "StepUpRequired",
    "Unavailable",
]
