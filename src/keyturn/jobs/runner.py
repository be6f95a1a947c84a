"""Runs the jobs of one process until it stops; no job ends another, and none ends the server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from keyturn.crypto import opaque
from keyturn.errors import CacheUnavailable, Unavailable

SPREAD = 0.1
"""A job's interval varies by so much of itself, so that replicas do not march in step."""

FIRST = 1.0
"""Seconds within which a job runs for the first time."""

RESTART = 5.0
"""Seconds until a job that ended by a mistake of ours starts again."""

log = structlog.get_logger("keyturn.jobs")


class Job(Protocol):
    """Something that works until it is cancelled."""

    async def run(self) -> None:
        """Work; return only by cancellation."""
        ...


@dataclass(slots=True, eq=False)
class Every:
    """A job that is done again and again, `interval` seconds after it was done."""

    name: str
    interval: float
    work: Callable[[], Awaitable[object]]
    failing: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Do it until cancelled; trouble is told once, and recovery from it."""
        await asyncio.sleep(min(self.interval, FIRST) * _fraction())
        while True:
            await self._attempt()
            await asyncio.sleep(self.interval * (1 + SPREAD * (2 * _fraction() - 1)))

    async def _attempt(self) -> None:
        try:
            await self.work()
        except (Unavailable, CacheUnavailable) as trouble:
            if not self.failing:
                log.warning("job_failing", job=self.name, reason=str(trouble))
            self.failing = True
            return
        if self.failing:
            log.info("job_recovered", job=self.name)
        self.failing = False


@dataclass(frozen=True, slots=True)
class Runner:
    """All jobs of one process."""

    jobs: Sequence[Job]
    on_stop: Callable[[], Awaitable[None]]
    """What is left to do when every job has stopped: resign."""

    async def run(self) -> None:
        """Run every job until cancelled; then wait until each has stopped."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for job in self.jobs:
                    tasks.create_task(_keep(job), name=type(job).__name__)
        finally:
            await self.on_stop()


async def _keep(job: Job) -> None:
    """Start a job again when a mistake of ours ended it: the others, and the server, go on."""
    while True:
        try:
            await job.run()
        except Exception:
            name = getattr(job, "name", type(job).__name__)
            log.exception("job_broken", job=name)
        await asyncio.sleep(RESTART)


def _fraction() -> float:
    return int.from_bytes(opaque.token_bytes(2), "big") / 65536
