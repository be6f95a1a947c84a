"""A breaker: after failures in a row nobody waits for a dead server, but for one probe a pause."""

from dataclasses import dataclass

from keyturn.clock import Clock


@dataclass(slots=True)
class Breaker:
    """Open after `failures` in a row; then one caller a `pause` (seconds) may try.

    A probe that is cancelled reports nothing; the next one follows a pause later.
    """

    clock: Clock
    failures: int
    pause: float
    _failed: int = 0
    _next_probe: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are being refused, probes excepted."""
        return self._failed >= self.failures

    def admits(self) -> bool:
        """Return whether a call may be made now; while open, True is given once a pause."""
        if not self.is_open:
            return True
        now = self.clock.monotonic()
        if now < self._next_probe:
            return False
        self._next_probe = now + self.pause
        return True

    def succeeded(self) -> None:
        """Record an answer: closed."""
        self._failed = 0

    def failed(self) -> None:
        """Record a call without an answer; the last of several opens, or keeps open."""
        self._failed = min(self._failed + 1, self.failures)
        self._next_probe = self.clock.monotonic() + self.pause
