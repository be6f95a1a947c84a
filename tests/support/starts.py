"""Commands of keyturn under one environment after another: what each start says, and how it ends.

The program is loaded once, in a process of its own, and forked for each start: everything after
loading is what an operator's start does, for a tenth of the time. `python starts.py` reads one
JSON line for each request and answers each with a line:

    ["run", command, environ]            its exit code, output and errors, at its end
    ["launch", command, environ, log]    its process id, at once
    ["reap", pid]                        the exit code of a launched one that has ended
"""

import atexit
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from asyncio import to_thread
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

PATIENCE = 15
"""Seconds after which a start that was not refused is ended by SIGALRM."""

SERVE = ("serve",)
NEEDED = ("PATH", "PYTHONPATH")
"""Of the environment; PYTHONPATH, as a run of the tests may be pointed at another source."""

TRUSTING_NOBODY = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}
"""Reading all the authorities of the machine takes longer than the rest of many commands."""


@dataclass(frozen=True)
class Start:
    """How a start ended; a server that came up after all: -14."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All it said."""
        return self.out + self.err


@dataclass(frozen=True)
class Starts:
    """The loaded program."""

    process: "subprocess.Popen[str]"
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def load(cls, source: Path | None = None) -> "Starts":
        """Load it, from another `source` if one is given; `close` ends it and what it launched."""
        environ = {name: os.environ[name] for name in NEEDED if name in os.environ}
        return cls(
            subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environ if source is None else environ | {"PYTHONPATH": str(source)},
                text=True,
            )
        )

    def close(self) -> None:
        """Let it go."""
        self.process.communicate()

    async def run(self, environ: Mapping[str, str], *command: str) -> Start:
        """Run one command (default: `serve`) to its end."""
        return await to_thread(self.run_now, environ, *(command or SERVE))

    def run_now(self, environ: Mapping[str, str], *command: str) -> Start:
        """Run one command to its end; the caller's loop waits."""
        return Start(*self.ask("run", list(command), dict(environ)))

    def launch(self, environ: Mapping[str, str], log: Path, *command: str) -> "Launched":
        """Start one command, which writes to the end of `log`."""
        wanted = {"PATH": os.environ["PATH"], **environ}
        return Launched(self, self.ask("launch", list(command or SERVE), wanted, str(log)))

    def ask(self, *question: Any) -> Any:
        """Send one request and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self._turn:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())


class Launched:
    """A running command, as `subprocess.Popen` shows one."""

    def __init__(self, starts: Starts, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._starts = starts
        self._end = os.pidfd_open(pid)  # readable once it has ended; never somebody else's

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code; raise `TimeoutExpired` when that takes longer."""
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("keyturn", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._end], [], [], seconds)[0]:
            self.returncode = self._starts.ask("reap", self.pid)
            os.close(self._end)
        return self.returncode


_shared: list[Starts] = []


def shared() -> Starts:
    """Return the program that was loaded once for all that this process starts."""
    if not _shared:
        _shared.append(Starts.load())
        atexit.register(_shared[0].close)
    return _shared[0]


def _fork(
    command: Sequence[str], environ: Mapping[str, str], output: int, errors: int, alarm: int = 0
) -> int:
    child = os.fork()
    if not child:
        # The default action: the start ends then, whatever it is waiting for.
        signal.alarm(alarm)
        os.environ.clear()
        os.environ.update(TRUSTING_NOBODY | environ)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        _become(command)
    return child


def _become(command: Sequence[str]) -> None:
    """Become `keyturn` with these arguments; never returns."""
    from keyturn.cli.main import run

    if command[0] == wrong_clock.COMMAND:
        wrong_clock.set_wrong(float(command[1]))
        command = SERVE
    sys.argv = ["keyturn", *command]
    code = 1
    try:
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(command: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = _fork(command, environ, output.fileno(), errors.fileno(), PATIENCE)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code, _text(output), _text(errors)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _launch(command: Sequence[str], environ: Mapping[str, str], log: str) -> int:
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    try:
        return _fork(command, environ, output, output)
    finally:
        os.close(output)


def _reap(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    import quick_hashes
    import typer
    import wrong_clock

    import keyturn.app
    import keyturn.cli.main

    typer.main.get_command = cache(typer.main.get_command)
    typer.main.get_command(keyturn.cli.main.app)  # put together once, for all children
    quick_hashes.allow()
    gc.freeze()  # the children share these pages until they write to them
    answers = {"run": _run, "launch": _launch, "reap": _reap}
    launched = set[int]()
    for line in sys.stdin:
        kind, *rest = json.loads(line)
        answer = answers[kind](*rest)
        if kind == "launch":
            launched.add(answer)
        elif kind == "reap":
            launched.discard(rest[0])
        print(json.dumps(answer), flush=True)
    for pid in launched:
        os.kill(pid, signal.SIGKILL)
