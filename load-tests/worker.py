"""One `keyturn serve` process, started as an operator starts it, with a log like a collector's."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cpu import Cores

START_PATIENCE = 90.0
STOP_PATIENCE = 30.0
POLL = 0.02
READY = 200

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Worker:
    """A server that said it was ready, and where it listens on loopback."""

    pid: int
    port: int
    management_port: int

    def signatures(self) -> tuple[float, float]:
        """Return the sum and the count of the server's own signing histogram (wall clock)."""
        url = f"http://127.0.0.1:{self.management_port}/metrics"
        values = {"sum": 0.0, "count": 0.0}
        with urllib.request.urlopen(url, timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                name, _, labels = line.partition("{")
                kind = name.removeprefix("keyturn_signing_duration_seconds_")
                if kind in values and kind != name:
                    values[kind] += float(labels.rpartition(" ")[2])
        return values["sum"], values["count"]


@contextmanager
def serving(
    environ: Mapping[str, str], log: Path, cores: Cores, workers: int = 1
) -> Iterator[Worker]:
    """Run a server on its core; at the end ask it to stop, and fail if it does not end well."""
    with log.open("wb") as output, cores.on_server_core():
        process = subprocess.Popen(
            [sys.executable, "-m", "keyturn", "serve", f"--workers={workers}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"PATH": os.environ.get("PATH", os.defpath), **environ},
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread has been started yet
        )
    try:
        yield _wait_until_ready(process, log)
        process.send_signal(signal.SIGTERM)
        if code := process.wait(STOP_PATIENCE):
            raise RuntimeError(f"the server ended with code {code}:\n{_tail(log)}")
    finally:
        process.kill()
        process.wait()


def _die_with_parent() -> None:
    """Between fork and exec: a benchmark that is killed leaves no server behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> Worker:
    deadline = time.monotonic() + START_PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        worker = _announced(process.pid, log)
        if worker is not None and _is_ready(worker):
            return worker
        time.sleep(POLL)
    raise RuntimeError(f"the server did not become ready:\n{_tail(log)}")


def _announced(pid: int, log: Path) -> Worker | None:
    """Read the bound ports from the log line that says them."""
    for line in log.read_text().splitlines():
        if '"serving"' in line:
            entry = json.loads(line)
            return Worker(pid, entry["port"], entry["management_port"])
    return None


def _is_ready(worker: Worker) -> bool:
    url = f"http://127.0.0.1:{worker.management_port}/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            status: int = answer.status
            return status == READY
    except urllib.error.HTTPError:
        return False  # it answers, and says: not yet
    except (urllib.error.URLError, TimeoutError):
        return False  # it does not listen yet, or has no time to answer


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]
