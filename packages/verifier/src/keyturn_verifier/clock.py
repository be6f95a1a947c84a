"""Time is handed in: the one module that reads the clocks of the machine.

Wall time decides `exp` and `nbf`; a monotonic counter decides how old a copy is, so that a clock
that is set back makes no stale copy look fresh.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol


class Clock(Protocol):
    """Wall time, a counter, and a way to wait."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never step backwards; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` of the counter have passed."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """The clocks of this machine."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()  # noqa: TID251 - the one place

    def monotonic(self) -> float:
        """Return seconds that never step backwards."""
        return time.monotonic()  # noqa: TID251 - the one place

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed."""
        await asyncio.sleep(seconds)


@dataclass
class FixedClock:
    """A clock that stands still until it is moved: for tests."""

    at: float
    ticks: float = 0.0
    _sleepers: "list[tuple[float, asyncio.Future[None]]]" = field(default_factory=list)

    def now(self) -> float:
        """Return the time it was set to."""
        return self.at

    def monotonic(self) -> float:
        """Return the seconds it was moved by."""
        return self.ticks

    async def sleep(self, seconds: float) -> None:
        """Return once it was moved by `seconds`."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.ticks + seconds, waiting))
        await waiting

    def advance(self, seconds: float) -> None:
        """Move both clocks forward, and wake whoever waited for that."""
        self.at += seconds
        self.ticks += seconds
        due = [waiting for until, waiting in self._sleepers if until <= self.ticks]
        self._sleepers = [one for one in self._sleepers if one[0] > self.ticks]
        for waiting in due:
            if not waiting.done():
                waiting.set_result(None)
