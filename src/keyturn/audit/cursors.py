"""Where a reader of the audit trail has got to, as text that nobody should take apart."""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from keyturn.errors import InvalidRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAYOUT = struct.Struct(">qq16s")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The last event a reader has seen; each order of reading uses what it is sorted by."""

    seq: int
    at: datetime
    id: UUID

    def text(self) -> str:
        """Return the cursor: URL-safe, 43 characters."""
        microseconds = (self.at - _EPOCH) // timedelta(microseconds=1)
        packed = _LAYOUT.pack(self.seq, microseconds, self.id.bytes)
        return urlsafe_b64encode(packed).rstrip(b"=").decode()

    @classmethod
    def parse(cls, cursor: str) -> "Place":
        """Read a cursor. Raises `InvalidRequest` for anything that `text` did not make."""
        try:
            seq, microseconds, identifier = _LAYOUT.unpack(urlsafe_b64decode(f"{cursor}="))
            place = cls(seq, _EPOCH + timedelta(microseconds=microseconds), UUID(bytes=identifier))
        except (ValueError, struct.error, OverflowError):
            raise InvalidRequest("audit: not a cursor of ours") from None
        if place.text() != cursor:
            raise InvalidRequest("audit: not a cursor as we write it")
        return place
