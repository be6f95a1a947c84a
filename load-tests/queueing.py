"""A cell that cannot be built here, as queues: processes, connections, PostgreSQL's cores, its log.

A request waits for its process, works there, waits for a connection of that process, for a core of
PostgreSQL and for the next sync of the write-ahead log (all that wait share one), and then for its
process again, which signs and answers. Arrivals are Poisson, work is exponential, and a balancer
that knows nothing picks the process: each of these is worse than what is measured. Times are
milliseconds; a seed repeats a run.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

BEFORE = 0.4
"""The share of a process's work that is done before the database is asked: signing comes after."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One primary and the processes that use it; CPU times in milliseconds."""

    rate: float
    """Refreshes a second."""
    processes: int
    server_ms: float
    lines: int
    """Connections of each process."""
    cores: int
    """Of PostgreSQL."""
    postgres_ms: float
    sync_ms: float
    stall: tuple[float, float] = (0.0, 0.0)
    """From when until when no sync ends: a failover, or a disk that hangs."""


@dataclass(slots=True)
class Desk:
    """A queue before so many servers: how many are free, and who waits."""

    free: int
    waiting: deque[Callable[[], None]] = field(default_factory=deque)

    def enter(self, serve: Callable[[], None]) -> None:
        """Serve at once, or when somebody leaves."""
        if self.free:
            self.free -= 1
            serve()
        else:
            self.waiting.append(serve)

    def leave(self) -> None:
        """Let the next one in."""
        if self.waiting:
            self.waiting.popleft()()
        else:
            self.free += 1


class Simulation:
    """One run: every request's time from its arrival to its answer, in order of arrival."""

    def __init__(self, cell: Cell, seed: int) -> None:
        self.cell = cell
        self.random = random.Random(seed)
        self.now = 0.0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0
        self.took: list[tuple[float, float]] = []
        self.processes = [Desk(1) for _ in range(cell.processes)]
        self.lines = [Desk(cell.lines) for _ in range(cell.processes)]
        self.cores = Desk(cell.cores)
        self.log: list[Callable[[], None]] = []
        self.syncing = False

    def run(self, requests: int) -> list[float]:
        """Return how long each request took."""
        arrival = 0.0
        for _ in range(requests):
            arrival += self.random.expovariate(self.cell.rate / 1000)
            self._at(arrival, self._arrive)
        while self.events:
            self.now, _, happen = heapq.heappop(self.events)
            happen()
        return [took for _, took in sorted(self.took)]

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, happen))

    def _work(self, desk: Desk, mean: float, then: Callable[[], None]) -> None:
        """Take a place at a desk for as long as the work takes, and go on."""

        def leave() -> None:
            desk.leave()
            then()

        desk.enter(lambda: self._at(self.now + self.random.expovariate(1 / mean), leave))

    def _arrive(self) -> None:
        came, own = self.now, self.random.randrange(self.cell.processes)
        process, lines = self.processes[own], self.lines[own]

        def ask() -> None:
            lines.enter(lambda: self._work(self.cores, self.cell.postgres_ms, commit))

        def commit() -> None:
            self.log.append(answer)
            self._sync()

        def answer() -> None:
            lines.leave()
            self._work(process, self.cell.server_ms * (1 - BEFORE), done)

        def done() -> None:
            self.took.append((came, self.now - came))

        self._work(process, self.cell.server_ms * BEFORE, ask)

    def _sync(self) -> None:
        """Sync what waits, all at once; who comes meanwhile waits for the next one."""
        if self.syncing or not self.log:
            return
        self.syncing, together, self.log = True, self.log, []
        begins, ends = self.cell.stall
        starts = ends if begins <= self.now < ends else self.now

        def synced() -> None:
            self.syncing = False
            for one in together:
                one()
            self._sync()

        self._at(starts + self.cell.sync_ms, synced)


def quantile(took: list[float], share: float) -> float:
    """Return the time that so large a share of the requests took at most."""
    ordered = sorted(took)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
