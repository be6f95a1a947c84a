"""Where the next page begins: text that only we can make, good for one list and its filters.

    cursor = base64url( secret_id:1 | HMAC(K_cursors, list and filters, place):16 | place )

What comes back is trusted with the database only when its tag fits: a cursor is no way to put
values into a query, nor to read one list by the place in another.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Final

from keyturn.crypto import opaque
from keyturn.crypto.secrets import CURSORS, MasterSecrets
from keyturn.errors import InvalidRequest

TAG: Final = slice(1, 17)
LONGEST: Final = 1024


@dataclass(frozen=True, slots=True)
class Cursors:
    """Makes and reads cursors."""

    secrets: MasterSecrets

    def make(self, of: str, place: str) -> str:
        """Return the cursor to a place in the list `of`, a name with its filters."""
        secret_id = self.secrets.current_id
        raw = bytes([secret_id]) + self._tag(secret_id, of, place.encode()) + place.encode()
        return _encode(raw)

    def read(self, of: str, cursor: str | None) -> str | None:
        """Return the place; None without a cursor. Raises `InvalidRequest` for one of no use."""
        if cursor is None:
            return None
        raw = _decode(cursor)
        place = raw[TAG.stop :]
        if not raw or not self.secrets.knows(raw[0]):
            raise InvalidRequest("cursor: not one of ours")
        if not opaque.equal(raw[TAG], self._tag(raw[0], of, place)):
            raise InvalidRequest("cursor: not ours, or of another list or filter")
        return place.decode()

    def _tag(self, secret_id: int, of: str, place: bytes) -> bytes:
        key = self.secrets.purpose_key(CURSORS, secret_id)
        named = opaque.sha256(of.encode())
        return hmac.digest(key, named + place, "sha256")[: TAG.stop - TAG.start]


def _decode(cursor: str) -> bytes:
    if len(cursor) > LONGEST:
        raise InvalidRequest("cursor: too long")
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("cursor: not base64url") from None
    if _encode(raw) != cursor:  # one place, one way to write it
        raise InvalidRequest("cursor: not canonical")
    return raw


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
