"""One worker as its parent sees it: a process, the line to it, and what it last said."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

import structlog

from keyturn.clock import Clock
from keyturn.workers.channel import Channel, Garbled
from keyturn.workers.snapshot import Snapshot, read
from keyturn.workers.state import State

log = structlog.get_logger("keyturn.workers")

_MALFORMED = (Garbled, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, eq=False)
class Launch:
    """How workers are started: all alike."""

    sockets: Sequence[socket.socket]
    """The public port's."""
    count: int
    output: int
    """Where they log: an open file of this process."""
    config: Path | None
    """As `--config` was given; the environment they inherit."""
    clock: Clock

    def command(self, line: int, *, when_started: bool) -> list[str]:
        """Return the arguments, which everybody on the machine may read: names and numbers."""
        public = ",".join(str(one.fileno()) for one in self.sockets)
        # -P: -m would look for modules in the working folder first, whoever may write there.
        command = [sys.executable, "-P", "-m", "keyturn.workers", f"--line={line}"]
        command += [f"--public={public}", f"--count={self.count}"]
        command += ["--when-started"] if when_started else []
        return command + ([f"--config={self.config}"] if self.config else [])

    def spawn(self, line: socket.socket, *, when_started: bool) -> "subprocess.Popen[bytes]":
        """Start a process that has the other end of `line`; this takes some milliseconds."""
        inherited = [line.fileno(), *(one.fileno() for one in self.sockets)]
        return subprocess.Popen(  # noqa: S603 - ourselves, with arguments of our own making
            self.command(line.fileno(), when_started=when_started),
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            pass_fds=inherited,
        )


@dataclass(slots=True, eq=False)
class Child:
    """A running worker; `take` is given every snapshot it sends."""

    number: int
    """Of this process: its replacement has another."""
    process: "subprocess.Popen[bytes]"
    channel: Channel
    clock: Clock
    take: Callable[[int, Snapshot], None]
    state: State = field(default_factory=State)
    beats: int = 0
    """Messages since they were last looked at."""
    spoken: bool = False
    hangs: bool = False
    """Whether it was killed for its silence."""
    _questions: Iterator[int] = field(default_factory=lambda: count(1))
    _waiting: dict[int, asyncio.Future[None]] = field(default_factory=dict)

    @classmethod
    async def launched(
        cls, launch: Launch, number: int, take: Callable[[int, Snapshot], None], *, later: bool
    ) -> Self:
        """Start one; `later`: it opens the port only when it has started. Raises `OSError`."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.to_thread(launch.spawn, theirs, when_started=later)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(number, process, await Channel.over(ours), launch.clock, take)

    async def listen(self) -> None:
        """Hear the worker until it hangs up; whatever is no message of ours ends it."""
        try:
            while (message := await self.channel.read()) is not None:
                self._hear(message)
        except _MALFORMED as error:
            log.exception("worker_garbled", pid=self.process.pid, reason=type(error).__name__)
            self.kill()
        finally:
            self.channel.close()
            for waiting in self._waiting.values():
                waiting.cancel()

    async def ended(self, within: float) -> int:
        """Return the exit code of one that has hung up; one that lives on is killed."""
        try:
            return await asyncio.to_thread(self.process.wait, within)
        except subprocess.TimeoutExpired:
            self.kill()
            return await asyncio.to_thread(self.process.wait)

    async def measure(self, within: float) -> bool:
        """Have it send its metrics; return whether they came in time."""
        number = next(self._questions)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.channel.send(ask="metrics", number=number)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=within)
        finally:
            del self._waiting[number]
        return bool(done) and not waiting.cancelled()

    def stop(self) -> None:
        """Ask it to drain and end."""
        self.channel.send(ask="stop")

    def hurry(self) -> None:
        """Ask it to end now."""
        self.channel.send(ask="now")

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        self.process.kill()

    def _hear(self, message: dict[str, Any]) -> None:
        self.spoken = True
        self.beats += 1
        if "state" in message:
            self.state = State.read(message["state"], self.clock.monotonic())
            return
        self.take(self.number, read(message["metrics"]))
        waiting = self._waiting.get(message["number"])
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
