"""What a good access token says (RFC 9068 section 2.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyturn_verifier.errors import InsufficientScope


@dataclass(frozen=True)
class AccessToken:
    """A verified access token; times are in seconds since the epoch."""

    subject: str
    """`sub`: whose token it is; a client's own id where no person is signed in."""
    client_id: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    issued_at: int
    expires_at: int
    token_id: str
    """`jti`."""
    session_id: str | None
    """`sid`; None for a client's own token."""
    auth_time: int | None
    """When the person last proved themselves."""
    acr: str | None
    key_thumbprint: str | None
    """`cnf.jkt`: the key whose possession must be proven (RFC 9449); None: a bearer token."""
    status: tuple[str, int] | None
    """The status list that says whether it is still good, and the index in it."""
    claims: Mapping[str, Any]
    """Every claim as it came."""

    def require_scopes(self, *scopes: str) -> None:
        """Raise `InsufficientScope` unless it has all of `scopes`."""
        if not self.scopes.issuperset(scopes):
            raise InsufficientScope(scopes)
