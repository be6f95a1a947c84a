"""Requests that arrive at a rate, whatever the server does: what callers feel below saturation.

Arrivals are a Poisson process, seeded: a run can be repeated. Each takes a free connection or
waits for one, and its latency counts from when it was due, so a server that falls behind cannot
make its own load lighter, nor hide the wait (the "coordinated omission" of closed loops).
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import wire

POLL = 0.005


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many requests a second arrive, for how long."""

    per_second: float
    seconds: float
    seed: int = 7

    def times(self) -> Iterator[float]:
        """Yield when each is due, in seconds from the beginning."""
        draw, due = random.Random(self.seed), 0.0
        while (due := due + draw.expovariate(self.per_second)) < self.seconds:
            yield due


@dataclass(slots=True, eq=False)
class _Desk:
    """Free connections, and arrivals that wait for one."""

    free: deque["_Waiting"] = field(default_factory=deque)
    waiting: deque[float] = field(default_factory=deque)

    def arrive(self, due: float) -> None:
        """Send one request now, or as soon as a connection is free."""
        # A timer may be half a millisecond early; that must not make the server look faster.
        due = min(due, time.perf_counter())
        if self.free:
            self.free.popleft().send(due)
        else:
            self.waiting.append(due)

    def release(self, connection: "_Waiting") -> None:
        """Take a connection back, or send with it what waits."""
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.free.append(connection)


class _Waiting(wire.Connection):
    """A connection that asks when somebody arrives."""

    def __init__(self, run: wire.Run, source: wire.Source, desk: _Desk) -> None:
        super().__init__(run, source)
        self._desk = desk

    def send(self, due: float) -> None:
        """Ask; the latency counts from `due`."""
        if not self._write(due):
            self._run.errors["a connection was closed, or had nothing left to ask"] += 1
            self.close()

    def _ask(self) -> None:
        self._desk.release(self)


async def drive(
    port: int, run: wire.Run, sources: Sequence[wire.Source], arrivals: Arrivals
) -> float:
    """Let everybody arrive, and wait for every answer; return the seconds it took."""
    desk = _Desk()
    connections = [_Waiting(run, source, desk) for source in sources]
    await wire.connect(port, connections)
    began = time.perf_counter()
    for due in arrivals.times():
        await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
        desk.arrive(began + due)
    while not all(one in desk.free or one.done.done() for one in connections):  # noqa: ASYNC110
        await asyncio.sleep(POLL)
    took = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return took
