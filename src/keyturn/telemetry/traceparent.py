"""The header `traceparent` (W3C Trace Context): in which trace a caller says to be."""

import re
from dataclasses import dataclass
from typing import Final, Self

_FORM: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED: Final = 1


@dataclass(frozen=True, slots=True)
class Traceparent:
    """What a caller says; ids in lower-case hex, 32 and 16 digits."""

    trace_id: str
    span_id: str
    sampled: bool
    """Whether the caller traces its part."""

    @classmethod
    def parse(cls, header: bytes | None) -> Self | None:
        """Read the header; None when there is none, or one that is not well formed."""
        found = _FORM.fullmatch(header) if header else None
        if found is None or found[1] == b"ff" or not found[2].strip(b"0"):
            return None
        if not found[3].strip(b"0"):
            return None
        sampled = bool(int(found[4], 16) & _SAMPLED)
        return cls(found[2].decode("ascii"), found[3].decode("ascii"), sampled)
