"""What a process knows of its own health; the server and the probe write it, `ops` reads it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from keyturn.clock import Clock
from keyturn.telemetry.metrics import Metrics

MOST_LAG = 2.0
"""Seconds the event loop may be late before balancers should look elsewhere."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """What the last probe of one dependency found; `checked_at` by the monotonic clock."""

    up: bool
    checked_at: float
    reason: str = ""


@dataclass(slots=True, eq=False)
class Vitals:
    """One process: whether it has started, is draining, keeps up, and what it reaches."""

    clock: Clock
    metrics: Metrics
    can_sign: Callable[[], bool]
    """Whether there is a key to sign with."""
    started: bool = False
    draining: bool = False
    dependencies: dict[str, Dependency] = field(default_factory=dict)
    _lag: float = 0.0
    _due: float | None = None

    def __post_init__(self) -> None:
        """Let scrapes ask whether the process is ready, also where nobody else asks."""
        self.metrics.ready.set_function(lambda: not self.why_not_ready())

    def mark_started(self) -> None:
        """Note that settings, schema and keys are loaded."""
        self.started = True

    def mark_draining(self) -> None:
        """Note that the process is going away: balancers should send nobody any more."""
        self.draining = True
        self.metrics.draining.set(1)

    def note_tick(self, next_in: float) -> None:
        """Note that the loop woke now, and that it means to wake again in `next_in` seconds."""
        now = self.clock.monotonic()
        if self._due is not None:
            self._lag = max(0.0, now - self._due)
            self.metrics.loop_lag.observe(self._lag)
        self._due = now + next_in

    def lag(self) -> float:
        """Return how late the loop is, seconds: at its last waking, or by now if it has not."""
        overdue = 0.0 if self._due is None else self.clock.monotonic() - self._due
        return max(self._lag, overdue)

    def note_dependency(self, name: str, reason: str = "") -> None:
        """Note what a probe found: an empty `reason` is an answer."""
        self.dependencies[name] = Dependency(not reason, self.clock.monotonic(), reason)
        self.metrics.dependency_up.labels(name).set(0 if reason else 1)

    def why_not_ready(self) -> list[str]:
        """Return what keeps traffic away, empty when nothing does.

        The database is not asked: without it JWKS, discovery and cached answers still serve.
        """
        return [
            reason
            for reason, holds in (
                ("starting", not self.started),
                ("draining", self.draining),
                ("event loop late", self.lag() >= MOST_LAG),
                ("no signing key", not self.can_sign()),
            )
            if holds
        ]
