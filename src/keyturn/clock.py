"""Time is handed in: the one module that reads the process clock.

The process clock is used for JWT `iat`/`exp` margins, deadlines and cache ages only. Stored
times are the database's, so that replicas with wrong clocks cannot disagree about a session.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time and a monotonic counter of one process."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never step backwards; only differences mean anything."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The clocks of this machine."""

    def now(self) -> datetime:
        """Return the wall time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never step backwards."""
        return time.monotonic()


@dataclass(slots=True)
class FixedClock:
    """A clock that stands still until it is moved: for tests of rules."""

    at: datetime
    ticks: float = 0.0

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self.at

    def monotonic(self) -> float:
        """Return the seconds it was moved by."""
        return self.ticks

    def advance(self, step: timedelta) -> None:
        """Move both clocks forward by `step`."""
        self.at += step
        self.ticks += step.total_seconds()
