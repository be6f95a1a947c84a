"""Who is whose child, and who is gone: read from /proc, or from `ps` where there is none."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")

_POLL = 0.002
_LOOKS = 1000


def family(pid: int) -> list[int]:
    """Return `pid` and its children. Both servers are at most two generations deep."""
    return [pid, *(child for child, parent, _ in _table() if parent == pid)]


def send(pids: Iterable[int], signum: signal.Signals) -> None:
    """Send a signal to each of them that still is."""
    for pid in pids:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue


def halt(pid: int) -> list[int]:
    """SIGSTOP `pid` and its children and return them; the parent first, so it can fork no more."""
    send([pid], signal.SIGSTOP)
    everybody = family(pid)
    send(everybody, signal.SIGSTOP)
    return everybody


def wait_until_gone(pids: Iterable[int]) -> None:
    """Wait until none of them runs; TimeoutError after two seconds.

    A restarted PostgreSQL refuses shared memory that a dying backend still holds. An unreaped
    zombie holds nothing, and in a container without an init it stays for ever.
    """
    waited_for = set(pids)
    for _ in range(_LOOKS):
        if waited_for.isdisjoint(pid for pid, _, state in _table() if state != "Z"):
            return
        time.sleep(_POLL)
    raise TimeoutError(f"still running after SIGKILL: {sorted(waited_for)}")


def command_name(pid: int) -> str:
    """Return the program `pid` runs, without its folder; empty when there is no such process."""
    if PROC.is_dir():
        try:
            return (PROC / str(pid) / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""
    return Path(_ps("comm=", "-p", str(pid)).strip()).name


def working_folder(pid: int) -> Path | None:
    """Return the folder `pid` stands in, or None when the system will not say."""
    try:
        return (PROC / str(pid) / "cwd").readlink()
    except OSError:
        return None


def standing_in(folder: Path) -> list[int]:
    """Return the processes that stand in `folder`, as far as the system says who does."""
    pids = (int(entry.name) for entry in PROC.glob("[0-9]*"))
    return [pid for pid in pids if working_folder(pid) == folder]


def _table() -> list[tuple[int, int, str]]:
    """Return (pid, parent, state letter) of every process."""
    if not PROC.is_dir():
        rows = (line.split() for line in _ps("pid=,ppid=,state=", "-A").splitlines())
        return [(int(pid), int(parent), state[0]) for pid, parent, state in rows]
    found = []
    for folder in PROC.glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        # The program's name stands in brackets and may hold anything, spaces and brackets too.
        state, parent = text.rpartition(")")[2].split()[:2]
        found.append((int(folder.name), int(parent), state))
    return found


def _ps(columns: str, *which: str) -> str:
    command = ["/bin/ps", "-o", columns, *which]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
