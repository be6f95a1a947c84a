"""`keyturn serve` in a process whose wall clock is wrong: a command of `starts`.

The machine's clock cannot be set for one process, so the one class that reads it is replaced
before the server starts; everything else is the server as it is.
"""

from datetime import UTC, datetime, timedelta

from keyturn import clock

COMMAND = "serve-by-a-wrong-clock"
"""With the seconds it goes ahead, or behind when negative."""


def set_wrong(seconds: float) -> None:
    """Have the wall clock of this process go `seconds` ahead (behind, when negative)."""
    step = timedelta(seconds=seconds)
    clock.SystemClock.now = lambda _self: datetime.now(UTC) + step  # type: ignore[method-assign]
