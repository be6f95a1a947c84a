"""The workers of a parent: started, replaced when they end or fall silent, and stopped together.

To `web.server` this is the public port: it starts, drains and ends like one that is served here.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Self

import structlog

from keyturn.settings import ServerSettings
from keyturn.telemetry.worker_metrics import WorkerMetrics
from keyturn.workers.child import Child, Launch
from keyturn.workers.state import State
from keyturn.workers.totals import Totals

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
STEADY = 10.0
"""Seconds after which a worker has proven itself: its replacement need not wait."""

PULSE = 2.0
"""Seconds between two looks at all workers: what they count, and whether they still speak."""

SILENCE = 10
"""Looks in a row at which a worker had not said a word: it hangs, and is killed.

Looks, not seconds: when the whole machine stood still, nobody was silent.
"""

ANSWER = 1.0
"""Seconds a worker may take to tell its metrics; then its last ones are shown."""

HANGING_UP = 15.0
"""Seconds between a worker's last word and the end of its process."""

LEAVING = 20.0
"""Seconds beyond drain and grace within which a worker ends: it flushes its audit events."""

LEAVING_NOW = 3.0

log = structlog.get_logger("keyturn.workers")


@dataclass(slots=True, eq=False)
class Crew:
    """The public port, served by other processes."""

    launch: Launch
    metrics: WorkerMetrics
    totals: Totals
    task: asyncio.Task[None] = field(init=False)
    _children: dict[int, Child] = field(default_factory=dict)
    """By the worker's place, which outlives its process."""
    _numbers: Iterator[int] = field(default_factory=count)
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)
    _patience: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Let scrapes see a worker that never becomes ready."""
        for state, how_many in (
            ("configured", lambda: self.launch.count),
            ("running", lambda: len(self._children)),
            ("ready", lambda: sum(one.ready for one in self.states())),
        ):
            self.metrics.processes.labels(state).set_function(how_many)

    @property
    def port(self) -> int:
        """The public port."""
        number: int = self.launch.sockets[0].getsockname()[1]
        return number

    def states(self) -> Sequence[State]:
        """Return how the worker of each place is."""
        children = (self._children.get(place) for place in range(self.launch.count))
        return [one.state if one else State() for one in children]

    def start(self, settings: ServerSettings, _refused: Callable[[int, str], None]) -> Self:
        """Start the workers, each of which counts for itself what its parser refuses."""
        self._patience = settings.grace_seconds + LEAVING
        self.task = asyncio.create_task(self._run(), name="workers")
        return self

    async def wait_started(self) -> None:
        """Return at once: the sockets listen already, and callers wait for the first worker."""

    def drain(self) -> None:
        """Have the workers drain, each by itself for the same time."""
        self._leaving.set()
        for child in self._children.values():
            child.stop()

    async def stop(self, *, now: bool) -> None:
        """Return when every worker has finished, or is killed for not doing so in time."""
        # Else callers would queue at a port that nobody answers any more.
        for one in self.launch.sockets:
            one.close()
        await asyncio.wait({self.task}, timeout=LEAVING_NOW if now else self._patience)
        self._kill()
        await self.task

    def hurry(self) -> None:
        """Have the workers end now; one that does not is killed."""
        for child in self._children.values():
            child.hurry()
        asyncio.get_running_loop().call_later(LEAVING_NOW, self._kill)

    async def gather(self) -> None:
        """Ask every worker what it counts; of one that does not tell, its last word stays."""
        asked = [one.measure(ANSWER) for one in self._children.values() if one.spoken]
        for came in await asyncio.gather(*asked):
            if not came:
                self.metrics.snapshots_late.inc()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                looking = tasks.create_task(self._look())
                places = range(self.launch.count)
                await asyncio.wait([tasks.create_task(self._keep(place)) for place in places])
                looking.cancel()
        finally:
            self._kill()

    async def _keep(self, place: int) -> None:
        """Have a worker at this place, one process after the other, until all leave."""
        pause = FIRST_PAUSE
        while not self._leaving.is_set():
            began = self.launch.clock.monotonic()
            reason = await self._one_life(place)
            lasted = self.launch.clock.monotonic() - began
            pause = FIRST_PAUSE if lasted >= STEADY else min(2 * pause, LONGEST_PAUSE)
            if self._leaving.is_set():
                return
            self.metrics.restarts[reason].inc()
            log.warning("worker_replaced", worker=place, reason=reason, in_seconds=pause)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._leaving.wait()

    async def _one_life(self, place: int) -> str:
        """Start a worker and hear it to its end; return what ended it."""
        number = next(self._numbers)
        # While nobody answers, one that says "not yet" is better than none; beside others, a
        # worker must not take requests that they could have answered.
        later = any(one.state.serving for one in self._children.values())
        try:
            child = await Child.launched(self.launch, number, self.totals.note, later=later)
        except (OSError, ValueError) as error:  # the latter: the sockets were closed meanwhile
            log.warning("worker_not_started", worker=place, reason=type(error).__name__)
            return "failed"
        self._children[place] = child
        log.info("worker_started", worker=place, pid=child.process.pid)
        if self._leaving.is_set():
            child.stop()
        try:
            await child.listen()
            code = await child.ended(within=HANGING_UP)
        finally:
            child.kill()
            del self._children[place]
            self.totals.close(number)
        log.info("worker_ended", worker=place, pid=child.process.pid, code=code)
        if child.hangs:
            return "silent"
        return "killed" if code < 0 else "failed" if code else "ended"

    async def _look(self) -> None:
        """Look at everybody again and again."""
        silent: dict[int, int] = {}
        while True:
            await asyncio.sleep(PULSE)
            for child in list(self._children.values()):
                # One that has not said a word yet is still loading, on a machine that may be busy.
                quiet = silent.get(child.number, 0) + 1 if child.spoken and not child.beats else 0
                silent[child.number], child.beats = quiet, 0
                if quiet >= SILENCE:
                    log.error("worker_silent", pid=child.process.pid)
                    child.hangs = True
                    child.kill()
            await self.gather()

    def _kill(self) -> None:
        for child in self._children.values():
            child.kill()
