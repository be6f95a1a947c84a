"""Proof key for code exchange (RFC 7636), by S256 and in no other way.

`plain` would hand the verifier to whoever reads the authorization request, and so prove nothing.
"""

import base64
import re

from keyturn.crypto.opaque import equal, sha256

METHOD = "S256"

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def is_challenge(text: str) -> bool:
    """Return whether `text` can be a SHA-256 in base64url (RFC 7636 section 4.2)."""
    return _CHALLENGE.fullmatch(text) is not None


def challenge_of(verifier: str) -> str:
    """Return the challenge of a verifier."""
    return base64.urlsafe_b64encode(sha256(verifier.encode())).rstrip(b"=").decode()


def proves(verifier: str | None, challenge: str | None) -> bool:
    """Return whether a code asked for with `challenge` may be redeemed with `verifier`.

    A verifier for a code without challenge is refused, too: somebody removed the challenge from
    the authorization request on its way (RFC 9700 section 4.8.2).
    """
    if challenge is None or verifier is None:
        return challenge is verifier
    if not _VERIFIER.fullmatch(verifier):
        return False
    return equal(challenge_of(verifier).encode(), challenge.encode())
