"""Who may be called now: a client that does not answer must not keep the others waiting.

A process makes few calls at once. One client may have a share of them while it answers; one that
failed is called by itself, after a rest that grows, and all that fail together never hold more
than half.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

MOST: Final = 32
"""Calls of one process at once."""

SHARE: Final = 4
"""Calls to one client at once."""

MOST_FAILING: Final = MOST // 2

FIRST_REST: Final = 1.0
LONGEST_REST: Final = 60.0


@dataclass(slots=True)
class Failing:
    """A client whose last call failed: how long it rests, and until when (monotonic seconds)."""

    rest: float
    until: float


@dataclass(slots=True, eq=False)
class Receivers:
    """What one process knows of the clients it calls."""

    _running: Counter[str] = field(default_factory=Counter)
    _failing: dict[str, Failing] = field(default_factory=dict)

    @property
    def free(self) -> int:
        """How many more calls may begin."""
        return MOST - self._running.total()

    def resting(self, now: float) -> list[str]:
        """Return the clients that must not be called now, by monotonic seconds."""
        crowded = sum(self._running[one] for one in self._failing) >= MOST_FAILING
        busy = [one for one, calls in self._running.items() if calls >= SHARE]
        failing = [
            one
            for one, state in self._failing.items()
            if crowded or self._running[one] or now < state.until
        ]
        return [*busy, *failing]

    def begin(self, client_id: str) -> None:
        """Note that a call begins."""
        self._running[client_id] += 1

    def end(self, client_id: str) -> None:
        """Note that a call is over."""
        self._running[client_id] -= 1
        if not self._running[client_id]:
            del self._running[client_id]

    def answered(self, client_id: str) -> bool:
        """Note that a client answers; return whether that is news."""
        return self._failing.pop(client_id, None) is not None

    def failed(self, client_id: str, now: float) -> bool:
        """Note that a client does not answer; return whether that is news."""
        known = self._failing.get(client_id)
        if known is not None and now < known.until:
            return False  # one of several calls that were under way together
        rest = FIRST_REST if known is None else min(known.rest * 2, LONGEST_REST)
        self._failing[client_id] = Failing(rest, now + rest)
        return known is None
