"""Tokens that were good a moment ago: a hash and a look-up instead of a signature.

Bounded: the one that was not asked for longest goes first. A token is found by the SHA-256 of its
text, so no token is kept. What may change meanwhile is not decided here: the verifier looks at
the expiry, the key and the status list of every hit.
"""

from collections import OrderedDict
from typing import NamedTuple

from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.public_key import PublicKey


class Verified(NamedTuple):
    """A good token and what its goodness hangs on."""

    token: AccessToken
    key: PublicKey
    until: float
    """Wall time at which it has expired, leeway included."""


class VerifiedTokens:
    """The last `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[bytes, Verified] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, digest: bytes) -> Verified | None:
        """Return the token of this hash."""
        found = self._found.get(digest)
        if found is not None:
            self._found.move_to_end(digest)
        return found

    def put(self, digest: bytes, verified: Verified) -> None:
        """Keep a token; the least used one makes room."""
        if not self._most:
            return
        self._found[digest] = verified
        if len(self._found) > self._most:
            self._found.popitem(last=False)

    def drop(self, digest: bytes) -> None:
        """Forget a token."""
        self._found.pop(digest, None)
