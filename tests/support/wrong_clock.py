"""`keyturn serve` in a process whose wall clock is wrong: `python wrong_clock.py SECONDS`.

The machine's clock cannot be set for one process, so the one class that reads it is replaced
before the server starts; everything else is the server as it is.
"""

import sys
from datetime import UTC, datetime, timedelta

from keyturn import clock
from keyturn.cli.main import run


def set_wrong(seconds: float) -> None:
    """Have the wall clock of this process go `seconds` ahead (behind, when negative)."""
    step = timedelta(seconds=seconds)
    clock.SystemClock.now = lambda _self: datetime.now(UTC) + step  # type: ignore[method-assign]


if __name__ == "__main__":
    set_wrong(float(sys.argv[1]))
    sys.argv = ["keyturn", "serve"]
    run()
