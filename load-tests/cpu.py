"""CPU time of processes, as the kernel accounts it, and who runs on which core.

A process's time is user plus system time of all its threads, from its CPU clock, in nanoseconds.
PostgreSQL's is that of the postmaster and its children now, plus that of its children that ended
and were waited for: nobody who worked in between is lost. What those used, the kernel tells in
ticks of 10 ms (`/proc/PID/stat`).
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK = 1 / os.sysconf("SC_CLK_TCK")

# Positions after the program's name, which stands in brackets and may hold anything (proc(5)).
_PARENT, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 13, 14
_SCHEDULED = 2
"""Of a clock's number, beside the process's: what the scheduler let it run."""


def process_seconds(pid: int) -> float:
    """Return the CPU seconds one process has used."""
    return time.clock_gettime((~pid << 3) | _SCHEDULED)  # clock_getcpuclockid(3) of a pid


def family_seconds(parent: int) -> float:
    """Return the CPU seconds of a process and all its children, those that ended included."""
    fields = _stat(parent)
    ended = int(fields[_CHILDREN_USER]) + int(fields[_CHILDREN_SYSTEM])
    return process_seconds(parent) + ended * TICK + sum(_left(child) for child in children(parent))


def _left(child: int) -> float:
    try:
        return process_seconds(child)
    except OSError:
        return 0.0  # it ended since it was listed: the next look finds it among the ended


def children(parent: int) -> list[int]:
    """Return the processes whose parent this is."""
    found = []
    for folder in PROC.glob("[0-9]*"):
        try:
            fields = _stat(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between the listing and the look
        if int(fields[_PARENT]) == parent:
            found.append(int(folder.name))
    return found


def _stat(pid: int) -> list[str]:
    return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the server may use, and which everybody else; equal when nothing is pinned."""

    server: frozenset[int]
    rest: frozenset[int]

    @classmethod
    def divide(cls, *, pin: bool) -> "Cores":
        """Give the server the first core of this process and the rest all others, if there are."""
        allowed = sorted(os.sched_getaffinity(0))
        if not pin or len(allowed) < 2:
            return cls(frozenset(allowed), frozenset(allowed))
        return cls(frozenset(allowed[:1]), frozenset(allowed[1:]))

    @property
    def pinned(self) -> bool:
        """Whether the server has a core of its own, as far as this benchmark decides it."""
        return self.server != self.rest

    def keep_off(self, *parents: int) -> None:
        """Move processes and their children away from the server's core."""
        for parent in parents:
            for pid in (parent, *children(parent)):
                os.sched_setaffinity(pid, self.rest)

    @contextmanager
    def on_server_core(self) -> Iterator[None]:
        """Run this process, and let what it starts run, where the server runs."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.server)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
