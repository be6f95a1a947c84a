"""The end of a worker that hangs when its parent is killed.

Its event loop would hear of that on the line. One that hangs hears nothing, and nobody is left to
kill it: it would hold the public port, and no other server could have it. A thread needs no loop.
"""

import os
import signal
from threading import Event, Thread

LOOK = 1.0
"""Seconds between two looks whether the parent is there."""

LEAVING = 20.0
"""Seconds beyond its grace within which a worker without a parent has ended, if it does not hang:
it flushes its audit events."""


def end_as_orphan(parent: int, patience: float, look: float = LOOK) -> None:
    """From now on, SIGKILL this process `patience` seconds after `parent` is its parent no more."""
    Thread(target=_wait, args=(parent, patience, look), name="orphan", daemon=True).start()


def _wait(parent: int, patience: float, look: float) -> None:
    never = Event()
    while os.getppid() == parent:
        never.wait(look)
    never.wait(patience)
    os.kill(os.getpid(), signal.SIGKILL)
