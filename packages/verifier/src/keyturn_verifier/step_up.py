"""Asking the person for a fresh proof before something sensitive (RFC 9470).

    require_max_age(request.auth, 300)

The refusal becomes a challenge that a client understands: it sends the person to sign in again and
repeats the request with the new token.

Ask for `max_age` rather than for `acr` when freshness is meant. keyturn computes `acr` when it
signs a token: what was true then may be as old as the token's life by now. `auth_time` is the
moment of the proof itself.
"""

from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.clock import Clock, SystemClock
from keyturn_verifier.errors import StepUpRequired

SYSTEM = SystemClock()
LEEWAY = 5
"""Seconds that our clock may be ahead of the issuer's without asking a person twice."""


def require_max_age(token: AccessToken, seconds: int, *, clock: Clock = SYSTEM) -> None:
    """Raise `StepUpRequired` unless the person proved themselves at most `seconds` ago.

    A client's own token speaks for no person and is always refused.
    """
    if token.auth_time is None or clock.now() - token.auth_time > seconds + LEEWAY:
        raise StepUpRequired(max_age=seconds)


def require_acr(token: AccessToken, *values: str) -> None:
    """Raise `StepUpRequired` unless the person was proven in one of the ways `values`."""
    if token.acr not in values:
        raise StepUpRequired(acr_values=values)
