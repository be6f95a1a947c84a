"""The revoked places of one list: four bytes for each, until the minute in which it may go.

A map of bits would take 128 KiB for each list and each minute, however few of them are set.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from keyturn.status_lists.index import SIZE

MINUTE: Final = 60 * 1_000_000
"""In microseconds, as revocations are dated."""


@dataclass(slots=True, eq=False)
class Bits:
    """What is revoked in one list; `changes` counts how often that became something else."""

    changes: int = 0
    _by_end: dict[int, "array[int]"] = field(default_factory=dict)
    """Places by the end of the minute in which their revocation expires."""

    def add(self, place: int, expires_at: int) -> None:
        """Set a bit until the minute is over in which `expires_at` (Unix microseconds) falls."""
        end = -(-expires_at // MINUTE) * MINUTE
        self._by_end.setdefault(end, array("I")).append(place)
        self.changes += 1

    def forget(self, now: int) -> None:
        """Let go of what has expired at `now`, in Unix microseconds."""
        over = [end for end in self._by_end if end <= now]
        for end in over:
            del self._by_end[end]
        self.changes += bool(over)

    def __len__(self) -> int:
        """Return how many places are revoked."""
        return sum(map(len, self._by_end.values()))

    def writer(self) -> Callable[[], bytes]:
        """Return what makes the bitmap of this moment, for a thread to call.

        Half a million bits take tens of milliseconds, in which the event loop has others to serve.
        """
        places = list(self._by_end.values())
        return lambda: bitmap(places)


def bitmap(places: "list[array[int]]") -> bytes:
    """Return the bits, the least significant of each byte first (Token Status List 4.1).

    As large for an empty list as for a full one: a place that is not in the list is refused (8.3),
    and how many have been given out is nobody's business.
    """
    bits = bytearray(SIZE // 8)
    for some in places:
        for place in some:
            bits[place >> 3] |= 1 << (place & 7)
    return bytes(bits)
