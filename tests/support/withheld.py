"""What the machine withheld: the seconds for which a process was ready to run and no core was free.

A promise about time is given by a process that runs. Who measures one on a machine that others
use, too, lets it have what Linux says it was made to wait (the second number of
`/proc/PID/schedstat`), and nothing else; on a machine that is idle that is next to nothing.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from support.replicas import Replica


class Withheld:
    """Counts from its making on, for this process and for the servers that a test speaks to."""

    def __init__(self, *replicas: Replica) -> None:
        self._pids = [os.getpid(), *(one.process.pid for one in replicas)]
        self._before = _waited(self._pids)

    @property
    def seconds(self) -> float:
        """How long they have been made to wait so far, together."""
        return _waited(self._pids) - self._before


def _waited(pids: Sequence[int]) -> float:
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) for pid in pids) / 1e9
