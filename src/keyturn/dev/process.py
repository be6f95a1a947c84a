"""One server as a child of this process: it dies with us, and can be stopped, killed or frozen.

The handle is `subprocess.Popen`, not asyncio's, so that it belongs to no event loop. Start from
the main thread only: on Linux the kernel's death signal fires when the *thread* that forked ends.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from keyturn.dev import process_table
from keyturn.dev.privileges import Account, identity
from keyturn.errors import EmbeddedStartFailed

POLL = 0.005
"""Seconds between two looks at a child."""

GRACE = 10.0
"""Seconds a child may take to stop before it is killed."""

ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
"""All that a server sees: nobody's locale or PG* variables change how it behaves."""

RUN_PATIENCE = 120.0
"""Seconds for a program that is run to its end."""

DEATH_PATIENCE = 2.0
"""Seconds until a killed child is gone; one that waits for a lost disk never is."""

TAIL = 15
"""Lines of the log that an error shows."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class ChildProcess:
    """A child that ends when we do; `stop_signal` is its polite way out."""

    def __init__(self, name: str, log: Path, account: Account, stop_signal: signal.Signals) -> None:
        self.name = name
        self.log = log
        self._account = account
        self._signal = stop_signal
        self._child: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the child was started and has not ended (a frozen one runs)."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """The child's process id; EmbeddedStartFailed when there is none."""
        if self._child is None or not self.running:
            raise EmbeddedStartFailed(f"{self.name} is not running.")
        return self._child.pid

    def spawn(self, command: Sequence[str | Path], feed: bytes = b"") -> int:
        """Start `command` in a process group of its own and return its process id.

        It reads `feed` and writes to a fresh log.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a server started outside the main thread would die with its thread")
        if self.running:
            raise RuntimeError(f"{self.name} is running already")
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as log, _readable(feed) as stdin:
            try:
                self._child = subprocess.Popen(  # noqa: S603 (a command line of our own)
                    [str(word) for word in command],
                    stdin=stdin,
                    stdout=log,
                    stderr=log,
                    cwd="/",  # our own may lie below a folder that the child cannot enter
                    env=ENVIRONMENT,
                    process_group=0,  # Ctrl-C is for us: we drain before the database stops
                    preexec_fn=_die_with(os.getpid(), self._signal),  # noqa: PLW1509
                    **identity(self._account),
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise EmbeddedStartFailed(f"{command[0]} cannot be run: {error}") from error
        if sys.platform != "linux":
            self._guard = guard(self._child.pid, self._signal)
        return self._child.pid

    async def started(self, ready: Callable[[], bool], patience: float) -> None:
        """Wait until `ready`; EmbeddedStartFailed with the log's last lines if it does not come."""
        try:
            async with asyncio.timeout(patience):
                await until(lambda: not self.running or ready())
        except TimeoutError:
            self.kill()
            raise self.failed(f"was not ready in {patience:.0f} s") from None
        if not self.running:
            raise self.failed("ended while starting")

    async def run(self, command: Sequence[str | Path], feed: bytes = b"") -> None:
        """Run `command` to its end; EmbeddedStartFailed with the log's last lines if it fails."""
        self.spawn(command, feed)
        try:
            async with asyncio.timeout(RUN_PATIENCE):
                await self.ended()
        except TimeoutError:
            raise self.failed(f"was not done in {RUN_PATIENCE:.0f} s") from None
        finally:
            self.kill()
        if self._child is None or self._child.returncode != 0:
            raise self.failed("failed")

    async def ended(self) -> None:
        """Wait until the child is gone."""
        await until(lambda: not self.running)

    async def stop(self) -> None:
        """Ask the child to stop and wait; kill it when it does not. Nothing to do is fine."""
        if self._child is not None and self.running:
            # Not `thaw` and `pid`: it may end by itself at any moment, which is no failure here.
            process_table.send(process_table.family(self._child.pid), signal.SIGCONT)
            process_table.send([self._child.pid], self._signal)
            try:
                async with asyncio.timeout(GRACE):
                    await self.ended()
            except TimeoutError:
                self.kill()
        self._dismiss_guard()

    def kill(self) -> None:
        """SIGKILL the child and its own children at one instant, as a power cut would.

        EmbeddedStartFailed when one of them does not even go then.
        """
        if self._child is not None and self.running:
            family = process_table.halt(self._child.pid)
            process_table.send(family, signal.SIGKILL)
            try:
                self._child.wait(DEATH_PATIENCE)
                process_table.wait_until_gone(family)
            except (subprocess.TimeoutExpired, TimeoutError):
                raise self.failed(f"(process {self._child.pid}) cannot be killed") from None
        self._dismiss_guard()

    def freeze(self) -> None:
        """SIGSTOP the child and its own children: open connections hang, nobody hangs up."""
        process_table.halt(self.pid)

    def thaw(self) -> None:
        """SIGCONT what was frozen."""
        process_table.send(process_table.family(self.pid), signal.SIGCONT)

    def failed(self, what: str) -> EmbeddedStartFailed:
        """Return the error that says `what` happened, with the end of the log."""
        try:
            said = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            said = "(the file is gone)"  # with the data folder, under a server that was running
        lines = "\n".join(f"  | {line}" for line in said.splitlines()[-TAIL:])
        return EmbeddedStartFailed(f"{self.name} {what}. The end of {self.log}:\n{lines}")

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None


async def until(holds: Callable[[], bool]) -> None:
    """Look every 5 ms until `holds`; the caller sets the deadline."""
    while not holds():  # noqa: ASYNC110 (another process's state sets no event of ours)
        await asyncio.sleep(POLL)


def guard(pid: int, signum: signal.Signals) -> subprocess.Popen[bytes]:
    """Start the shell that signals `pid` once this process is gone, for systems without prctl.

    It reads a pipe that only we hold open, so the end of file is our death, however we died.
    """
    script = 'read -r _; kill -"$0" "$1"'
    return subprocess.Popen(  # noqa: S603 (two numbers)
        ["/bin/sh", "-c", script, str(int(signum)), str(pid)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )


def _readable(feed: bytes) -> IO[bytes]:
    """Return a pipe with `feed` (which fits its buffer) in it and nothing after."""
    reading, writing = os.pipe()
    os.write(writing, feed)
    os.close(writing)
    return os.fdopen(reading, "rb")


def _die_with(parent: int, signum: signal.Signals) -> Callable[[], None] | None:
    """Return what the child does between fork and exec, after it has changed its user.

    A change of user clears the death signal, hence this order.
    """
    if sys.platform != "linux":
        return None

    def ask_for_the_signal() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
        if os.getppid() != parent:  # we died before the line above: nobody would be told
            os._exit(1)

    return ask_for_the_signal
