"""When a process may believe its copy of the revocations: only while `upto` is seen to move.

Nobody's wall clock is compared with anybody else's. A process asks, and remembers when it asked
(its own monotonic clock). If a later answer has a larger `upto`, the copier wrote after the
earlier question, so that moment is how old the copy is at most. Seeing a new value after a long
silence therefore proves nothing yet; a value that went backwards (a promoted replica, an old
snapshot, or the database's clock) proves nothing until it moves again.
"""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Sighting:
    """One value of `upto`, and since when (monotonic seconds) its copier must have written."""

    upto: float
    written_after: float = -inf

    def proves(self, trust: float, now: float) -> bool:
        """Return whether a set with this `upto` was complete less than `trust` seconds ago."""
        return now - self.written_after < trust


@dataclass(slots=True)
class Freshness:
    """What one process has seen of `upto`; `trust` is in seconds."""

    trust: float
    _latest: Sighting | None = None
    _before: Sighting | None = None
    """The value before the last move: questions asked at the same time may still be shown it."""
    _asked_at: float = -inf
    """When the latest question was asked that was answered with the latest value."""
    _shown_at: float = -inf
    """When the latest value was first answered."""

    def observe(self, upto: float | None, asked_at: float, answered_at: float) -> None:
        """Take note of one answer: its `upto` (None: absent), when it was asked and when it came.

        Of two questions asked at once, the earlier answer may come later: what it shows is noise.
        """
        latest = self._latest
        if latest is not None and upto == latest.upto:
            self._asked_at = max(self._asked_at, asked_at)
        elif latest is not None and upto is not None and upto > latest.upto:
            self._before, self._latest = latest, Sighting(upto, self._asked_at)
            self._asked_at, self._shown_at = asked_at, answered_at
        elif asked_at >= self._shown_at:
            self._before, self._latest = None, None if upto is None else Sighting(upto)
            self._asked_at, self._shown_at = asked_at, answered_at

    def trusts(self, upto: float | None, now: float) -> bool:
        """Return whether an answer with this `upto`, observed before, proves what is absent."""
        return any(
            sighting is not None and sighting.upto == upto and sighting.proves(self.trust, now)
            for sighting in (self._latest, self._before)
        )
