"""What one process knows of all lists, as of one moment of the database."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from keyturn.revocation.record import Horizon
from keyturn.status_lists.bits import Bits
from keyturn.status_lists.index import SIZE, SIZE_BITS

LEAD: Final = 1 << 16
"""So many indices before its first one a list begins: it must be there for the first token that
names it, on a server that last looked a second ago."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """The index of a revoked session, and two times in Unix microseconds."""

    index: int
    revoked_at: int
    expires_at: int


@dataclass(slots=True, eq=False)
class Known:
    """All that was revoked and is in force at `horizon.now`; a list without any has no entry."""

    horizon: Horizon
    last_index: int
    lists: dict[int, Bits] = field(default_factory=dict)
    _recent: dict[int, int] = field(default_factory=dict)
    """When what was revoked last was revoked, by index: the next reading meets it again."""

    def add(self, revoked: Iterable[Revoked]) -> None:
        """Take these in; one that was taken in before changes nothing."""
        for one in revoked:
            if self._recent.get(one.index) == one.revoked_at:
                continue
            self._recent[one.index] = one.revoked_at
            bits = self.lists.setdefault(one.index >> SIZE_BITS, Bits())
            bits.add(one.index & (SIZE - 1), one.expires_at)

    def advance(self, horizon: Horizon, last_index: int, read_again: int) -> None:
        """Note how far the reading went, and forget what is over.

        The next one begins with what was revoked at `read_again`.
        """
        self.horizon, self.last_index = horizon, last_index
        self._recent = {i: at for i, at in self._recent.items() if at >= read_again}
        for bits in self.lists.values():
            bits.forget(horizon.now)

    def has_begun(self, number: int) -> bool:
        """Whether a token may name this list; the first one begins with the server."""
        return number << SIZE_BITS <= self.last_index + LEAD

    def bits(self, number: int) -> Bits:
        """Return what is revoked in a list."""
        return self.lists.get(number, _NOTHING)

    def __len__(self) -> int:
        """Return how many sessions are revoked."""
        return sum(map(len, self.lists.values()))


_NOTHING: Final = Bits()
