"""`GET /.well-known/jwks.json`: the keys that verify our tokens (RFC 7517 section 5)."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from keyturn.keys.keyring import Keyring
from keyturn.web.public_document import public_document


@dataclass(frozen=True, slots=True)
class Jwks:
    """The published keys, from memory: answered with the database away, too."""

    keyring: Keyring
    max_age: int
    """Seconds a cache may keep the document; a new key waits longer than that before it signs."""

    async def get(self, request: Request) -> Response:
        """Return the JWKS. Raises `Unavailable` before the keys were first read."""
        published = self.keyring.jwks()
        # A replica that may have missed a rotation lets nobody keep what it says.
        max_age = 0 if self.keyring.is_stale else self.max_age
        return public_document(request, published.body, published.etag, max_age)
