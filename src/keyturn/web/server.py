"""Two HTTP servers in one event loop, public and management, and how they come to an end.

On the first SIGTERM (or Ctrl-C): not ready, and every answer closes its connection, for
`drain_seconds` while balancers look away; then nobody is accepted, what is in flight finishes
within `grace_seconds`; then the caller flushes and closes; the management port goes down last,
so that the end can be watched. A second signal means now.
"""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from keyturn.errors import SettingsRefused
from keyturn.settings import ServerSettings
from keyturn.telemetry.vitals import Vitals
from keyturn.web.limits import HttpLimits, LimitedConfig

SIGNALS = (signal.SIGTERM, signal.SIGINT)
BACKLOG = 2048
ATTEMPTS = 10
"""Times a free port is looked for that is free on both loopbacks."""

Result = TypeVar("Result")

log = structlog.get_logger("keyturn.server")


@dataclass(slots=True, eq=False)
class Stopping:
    """The wish to stop: once for a clean end, twice for an end now."""

    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    forced: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        """Ask to stop; asked again, do not wait for anything."""
        if self.wanted.is_set():
            self.forced.set()
        self.wanted.set()

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

    @classmethod
    def start(cls, site: Site, settings: ServerSettings, hooks: Hooks, name: str) -> "_Running":
        config = _configure(site, settings, hooks)
        server = _Server(config)
        task = asyncio.create_task(server.serve(list(site.sockets)), name=f"server: {name}")
        return cls(config, server, task)

    async def wait_started(self) -> None:
        while not self.server.started:
            if self.task.done():
                await self.task
            await asyncio.sleep(0.01)

    async def stop(self, *, now: bool) -> None:
        self.server.force_exit = self.server.force_exit or now
        self.server.should_exit = True
        await self.task
        for unfinished in self.server.server_state.tasks:
            unfinished.cancel()

    def hurry(self) -> None:
        self.server.force_exit = True


async def serve(
    public: Site,
    management: Site,
    settings: ServerSettings,
    vitals: Vitals,
    *,
    hooks: Hooks,
    stopping: Stopping,
) -> None:
    """Serve until `stopping` is asked, then end cleanly. Raises what a server fails with."""
    _assert_engine()
    watched = _Running.start(management, settings, hooks, "management")
    open_to_all = _Running.start(public, settings, hooks, "public")
    for running in (watched, open_to_all):
        await running.wait_started()
    await hooks.ready()
    log.info("serving", port=public.port, management_port=management.port)
    await _first(stopping.wanted.wait(), open_to_all.task, watched.task)
    hurried = asyncio.create_task(_hurry(stopping, (open_to_all, watched)))
    try:
        await _drain(open_to_all, settings, vitals, stopping)
        await _until_forced(hooks.drained(), stopping)
        await watched.stop(now=stopping.forced.is_set())
    finally:
        hurried.cancel()
    log.info("stopped", forced=stopping.forced.is_set())


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` on the event loop the server needs."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets; `localhost` means both loopbacks, port 0 any free one.

    Raises `SettingsRefused` when the address or port cannot be had.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _listen_once(host, port)
        except OSError as error:
            if port or attempt == ATTEMPTS:
                raise SettingsRefused(f"cannot listen on {host}:{port}: {error.strerror}") from None
    raise AssertionError("the last attempt returns or raises")


def _listen_once(host: str, port: int) -> list[socket.socket]:
    hosts = ["127.0.0.1", "::1"] if host == "localhost" else [host]
    if host == "localhost" and not _has_ipv6_loopback():
        hosts = ["127.0.0.1"]
    sockets: list[socket.socket] = []
    try:
        for one in hosts:
            sockets.append(_bind(one, port))
            port = sockets[0].getsockname()[1]
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    return bound


def _has_ipv6_loopback() -> bool:
    try:
        _bind("::1", 0).close()
    except OSError:
        return False
    return True


def _configure(site: Site, settings: ServerSettings, hooks: Hooks) -> LimitedConfig:
    return LimitedConfig(
        site.app,
        HttpLimits.of(settings, hooks.refused),
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
    running: _Running, settings: ServerSettings, vitals: Vitals, stopping: Stopping
) -> None:
    vitals.mark_draining()
    running.config.draining = True
    log.info("draining", seconds=settings.drain_seconds)
    if not running.task.done():
        try:
            async with asyncio.timeout(settings.drain_seconds):
                await stopping.forced.wait()
        except TimeoutError:
            log.info("closing", seconds=settings.grace_seconds)
    await running.stop(now=stopping.forced.is_set())


async def _hurry(stopping: Stopping, servers: Sequence[_Running]) -> None:
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
