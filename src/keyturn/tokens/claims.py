"""Which members of an account each scope shows (OpenID Connect Core section 5.4)."""

from collections.abc import Iterable
from typing import Final

OPENID: Final = "openid"
OFFLINE_ACCESS: Final = "offline_access"

CLAIMS_OF: Final = {
    "profile": ("name",),
    "email": ("email", "email_verified"),
}
"""What an account holds of the standard's claims; the others it cannot show."""

STANDARD_SCOPES: Final = frozenset({OPENID, OFFLINE_ACCESS, *CLAIMS_OF})


def shown(scopes: Iterable[str]) -> frozenset[str]:
    """Return the claims that these scopes show."""
    return frozenset(name for scope in scopes for name in CLAIMS_OF.get(scope, ()))
