"""HTTP servers in one event loop, public and management, and how they come to an end.

On the first SIGTERM (or Ctrl-C): not ready, and every answer closes its connection, for
`drain_seconds` while balancers look away; then nobody is accepted, what is in flight finishes
within `grace_seconds`; then the caller flushes and closes; the management port goes down last,
so that the end can be watched. A second signal means now. Instead of either server there may be
something that stands for it: the processes that answer the public port, or nothing.
"""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from keyturn.errors import SettingsRefused
from keyturn.settings import ServerSettings
from keyturn.telemetry.vitals import Vitals
from keyturn.web.limits import HttpLimits, LimitedConfig
from keyturn.web.listening import BACKLOG

SIGNALS = (signal.SIGTERM, signal.SIGINT)
Result = TypeVar("Result")

log = structlog.get_logger("keyturn.server")


@dataclass(slots=True, eq=False)
class Stopping:
    """The wish to stop: once for a clean end, twice for an end now.

    `closing`: nobody need be given time to look away, but what is in flight is finished.
    """

    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    forced: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        """Ask to stop; asked again, do not wait for anything."""
        if self.wanted.is_set():
            self.force()
        self.wanted.set()

    def close(self) -> None:
        """Ask to stop without a drain."""
        self.closing.set()
        self.wanted.set()

    def force(self) -> None:
        """Ask not to wait for anything."""
        self.forced.set()
        self.close()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ask at SIGTERM and SIGINT, for the length of the block, on the main thread."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.ask)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)


class Served(Protocol):
    """A port that is being served, by this process or by others."""

    @property
    def task(self) -> asyncio.Task[None]:
        """What ends when nobody serves it any more."""
        ...

    async def wait_started(self) -> None:
        """Return once callers are heard. Raises what the start fails with."""
        ...

    def drain(self) -> None:
        """From now on, let every answer close its connection."""
        ...

    async def stop(self, *, now: bool) -> None:
        """Accept nobody, and return when what was in flight is finished; `now`: or cut off."""
        ...

    def hurry(self) -> None:
        """Do not wait for what is in flight."""
        ...


class Port(Protocol):
    """A port that can be served."""

    @property
    def port(self) -> int:
        """Its number."""
        ...

    def start(self, settings: ServerSettings, refused: Callable[[int, str], None]) -> Served:
        """Begin; `refused` hears of requests the parser would not read: status and peer."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """One port: its application, its listening sockets, and headers every answer carries."""

    app: ASGIApp
    sockets: Sequence[socket.socket]
    headers: Sequence[tuple[str, str]] = ()

    @property
    def port(self) -> int:
        """The port it listens on, known also when 0 was asked for."""
        number: int = self.sockets[0].getsockname()[1]
        return number

    def start(self, settings: ServerSettings, refused: Callable[[int, str], None]) -> Served:
        """Serve it in this event loop."""
        config = _configure(self, settings, refused)
        server = _Server(config)
        task = asyncio.create_task(server.serve(list(self.sockets)), name=f"port {self.port}")
        return _Running(config, server, task)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the composition root does while the servers run.

    `ready` runs once both ports answer; `drained` when the public port is closed: flush queues,
    close pools. `refused` hears of requests the parser would not read: status and peer.
    """

    ready: Callable[[], Awaitable[None]]
    drained: Callable[[], Coroutine[Any, Any, None]]
    refused: Callable[[int, str], None]


class _Server(uvicorn.Server):
    """One of several servers of a process: signals are not its business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `Stopping`."""
        yield


@dataclass(slots=True, eq=False)
class _Running:
    """One server, its configuration and the task it runs in."""

    config: LimitedConfig
    server: _Server
    task: asyncio.Task[None]

    async def wait_started(self) -> None:
        while not self.server.started:
            if self.task.done():
                await self.task
            await asyncio.sleep(0.01)

    def drain(self) -> None:
        self.config.draining = True

    async def stop(self, *, now: bool) -> None:
        self.server.force_exit = self.server.force_exit or now
        self.server.should_exit = True
        await self.task
        for unfinished in self.server.server_state.tasks:
            unfinished.cancel()

    def hurry(self) -> None:
        self.server.force_exit = True


async def serve(
    public: Port,
    management: Port | None,
    settings: ServerSettings,
    vitals: Vitals,
    *,
    hooks: Hooks,
    stopping: Stopping,
) -> None:
    """Serve until `stopping` is asked, then end cleanly. Raises what a server fails with."""
    _assert_engine()
    watched = [management.start(settings, hooks.refused)] if management else []
    open_to_all = public.start(settings, hooks.refused)
    servers = (*watched, open_to_all)
    for running in servers:
        await running.wait_started()
    await hooks.ready()
    if management:
        log.info("serving", port=public.port, management_port=management.port)
    await _first(stopping.wanted.wait(), *(running.task for running in servers))
    hurried = asyncio.create_task(_hurry(stopping, servers))
    try:
        await _drain(open_to_all, settings, vitals, stopping)
        await _until_forced(hooks.drained(), stopping)
        for running in watched:
            await running.stop(now=stopping.forced.is_set())
    finally:
        hurried.cancel()
    log.info("stopped", forced=stopping.forced.is_set())


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` on the event loop the server needs."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _configure(
    site: Site, settings: ServerSettings, refused: Callable[[int, str], None]
) -> LimitedConfig:
    return LimitedConfig(
        site.app,
        HttpLimits.of(settings, refused),
        loop="none",
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        headers=list(site.headers),
        backlog=BACKLOG,
        timeout_keep_alive=settings.idle_timeout,
        timeout_graceful_shutdown=settings.grace_seconds,
    )


def _assert_engine() -> None:
    """Refuse to serve on another event loop: ours is the one that was probed and measured."""
    module = type(asyncio.get_running_loop()).__module__
    if not module.startswith("uvloop"):
        raise SettingsRefused("the server runs on uvloop only: start it with `keyturn serve`")


async def _drain(
    running: Served, settings: ServerSettings, vitals: Vitals, stopping: Stopping
) -> None:
    vitals.mark_draining()
    running.drain()
    log.info("draining", seconds=settings.drain_seconds)
    if not running.task.done():
        try:
            async with asyncio.timeout(settings.drain_seconds):
                await stopping.closing.wait()
        except TimeoutError:
            log.info("closing", seconds=settings.grace_seconds)
    await running.stop(now=stopping.forced.is_set())


async def _hurry(stopping: Stopping, servers: Sequence[Served]) -> None:
    await stopping.forced.wait()
    for running in servers:
        running.hurry()


async def _until_forced(work: Coroutine[Any, Any, None], stopping: Stopping) -> None:
    """Await `work`, but no longer than until a second signal."""
    task = asyncio.create_task(work)
    await _first(stopping.forced.wait(), task)
    if not task.done():
        task.cancel()
        log.warning("not_flushed")
        return
    await task


async def _first(wanted: Awaitable[object], *tasks: asyncio.Task[None]) -> None:
    """Wait for the wish to stop, or for a server that ends unasked."""
    waiting = asyncio.ensure_future(wanted)
    try:
        await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
