"""Commands of keyturn under one environment after another: what each start says, and how it ends.

The program is loaded once, in a process of its own, and forked for each start: everything after
loading is what an operator's start does, for a tenth of the time. `python starts.py` reads one
JSON line for each start, `[command, environ]`, and answers each with a line.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

PATIENCE = 15
"""Seconds after which a start that was not refused is ended by SIGALRM."""


@dataclass(frozen=True)
class Start:
    """How a start ended; a server that came up after all: -14."""

    code: int
    said: str


@dataclass(frozen=True)
class Starts:
    """The loaded program."""

    process: "subprocess.Popen[str]"

    @classmethod
    @contextmanager
    def loaded(cls) -> "Iterator[Starts]":
        """Load it, and let it go at the end of the block."""
        with subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
            text=True,
        ) as process:
            yield cls(process)
            assert process.stdin is not None
            process.stdin.close()

    async def run(self, environ: Mapping[str, str], *command: str) -> Start:
        """Run one command (default: `serve`) to its end."""
        return await asyncio.to_thread(self._ask, [list(command or ("serve",)), dict(environ)])

    def _ask(self, question: list[object]) -> Start:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return Start(*json.loads(self.process.stdout.readline()))


def _start(command: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str]:
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if not child:
            os.environ.clear()
            os.environ.update(environ)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            # The default action: the start ends here, whatever it is waiting for.
            signal.alarm(PATIENCE)
            _run(command)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        return code, output.read().decode(errors="replace")


def _run(command: Sequence[str]) -> None:
    """Become `keyturn` with these arguments; never returns."""
    from keyturn.cli.main import run

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


if __name__ == "__main__":
    import keyturn.app
    import keyturn.cli.main  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(_start(*json.loads(line))), flush=True)
