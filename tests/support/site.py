"""A real server on a port of its own, with a small application, and raw sockets to talk to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn import paths
from keyturn.clock import SystemClock
from keyturn.ops.health import Health
from keyturn.ops.metrics import MetricsPage
from keyturn.settings import ServerSettings
from keyturn.telemetry.logs import LineWriter
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.vitals import Vitals
from keyturn.web import server
from keyturn.web.body import BodyLimits
from keyturn.web.client_ip import ClientAddress
from keyturn.web.forms import Forms
from keyturn.web.listening import listen
from keyturn.web.request_log import RequestLog
from keyturn.web.responses import error_handlers, json_bytes
from keyturn.web.security_headers import security_headers
from support.log_lines import LogLines, caught_logs

ISSUER = "https://id.example"
PATIENCE = 30.0


@dataclass
class Doors:
    """A form, the path as the server sees it, something slow, something broken."""

    forms: Forms
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def form(self, request: Request) -> Response:
        return json_bytes(await self.forms.read(request))

    async def path(self, request: Request) -> Response:
        return json_bytes({"path": request.scope["path"], "method": request.method})

    async def slow(self, _request: Request) -> Response:
        self.entered.set()
        await self.gate.wait()
        return json_bytes({"slow": True})

    async def broken(self, _request: Request) -> Response:
        password = "hunter2-local-variable"
        raise RuntimeError(f"cannot reach postgresql://keyturn:{'pw-of-dsn'}@db/{len(password)}")

    def routes(self) -> list[Route]:
        return [
            Route("/form", self.form, methods=["POST"]),
            Route("/path", self.path, methods=["GET", "POST"]),
            Route("/slow", self.slow),
            Route("/broken", self.broken),
            Route("/auth/broken", self.broken),
        ]


@dataclass
class RunningSite:
    """What a test may look at and turn."""

    port: int
    management_port: int
    doors: Doors
    vitals: Vitals
    metrics: Metrics
    stopping: server.Stopping
    task: asyncio.Task[None]
    log: LogLines
    refused: list[int]
    ready: asyncio.Event
    drained: asyncio.Event
    flushed: asyncio.Event

    async def say(self, *pieces: bytes) -> "Conversation":
        """Open a connection to the public port and send `pieces`, each on its own."""
        return await Conversation.begin(self.port, *pieces)

    async def ask(self, raw: bytes) -> bytes:
        """Send `raw` on a connection of its own; return all that comes until it closes."""
        async with await self.say(raw) as conversation:
            return await conversation.rest()


@dataclass
class Conversation:
    """One raw connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def begin(cls, port: int, *pieces: bytes) -> "Conversation":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        conversation = cls(reader, writer)
        for piece in pieces:
            await conversation.send(piece)
        return conversation

    async def send(self, piece: bytes) -> None:
        self.writer.write(piece)
        await self.writer.drain()

    async def rest(self, patience: float = PATIENCE) -> bytes:
        """Return everything until the server closes the connection."""
        async with asyncio.timeout(patience):
            return await self.reader.read()

    async def answer(self, patience: float = PATIENCE) -> bytes:
        """Return one answer with a `Content-Length`; the connection stays open."""
        async with asyncio.timeout(patience):
            head = await self.reader.readuntil(b"\r\n\r\n")
            sizes = [
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.startswith(b"content-length:")
            ]
            return head + await self.reader.readexactly(sizes[0] if sizes else 0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()


@asynccontextmanager
async def running_site(**settings: object) -> AsyncIterator[RunningSite]:
    """Serve the small application until the end of the block; `settings` as `server.*`."""
    limits = ServerSettings(**{"drain_seconds": 0, "grace_seconds": 2, **settings})
    with caught_logs() as caught:
        site = _start(limits, caught)
        try:
            async with asyncio.timeout(PATIENCE):
                await site.ready.wait()
            yield site
        finally:
            site.doors.gate.set()
            site.stopping.ask()
            site.stopping.ask()
            await site.task


def _start(limits: ServerSettings, caught: LogLines) -> RunningSite:
    clock, metrics = SystemClock(), Metrics()
    vitals, writer = Vitals(clock, metrics, lambda: True), LineWriter(caught.out)
    address = ClientAddress(limits.trusted_proxies)
    doors = Doors(Forms(BodyLimits(limits.max_form_bytes, limits.body_timeout)))
    public = Starlette(routes=doors.routes(), exception_handlers=error_handlers())
    management = Starlette(
        routes=_management_routes(Health(vitals, clock), metrics),
        exception_handlers=error_handlers(),
    )
    ready, drained, flushed, refused = asyncio.Event(), asyncio.Event(), asyncio.Event(), []
    flushed.set()

    async def on_ready() -> None:
        vitals.mark_started()
        ready.set()

    async def on_drained() -> None:
        drained.set()
        await flushed.wait()

    def on_refused(status: int, _peer: str) -> None:
        refused.append(status)

    sites = (
        server.Site(
            RequestLog(public, clock, metrics, writer, address),
            listen("127.0.0.1", 0),
            security_headers(ISSUER),
        ),
        server.Site(
            RequestLog(management, clock, metrics, writer, address, quiet=True),
            listen("127.0.0.1", 0),
        ),
    )
    stopping = server.Stopping()
    hooks = server.Hooks(on_ready, on_drained, on_refused)
    ports = [site.port for site in sites]
    serving = server.serve(*sites, limits, vitals, hooks=hooks, stopping=stopping)
    task = asyncio.create_task(serving)
    return RunningSite(
        *ports, doors, vitals, metrics, stopping, task, caught, refused, ready, drained, flushed
    )


def _management_routes(health: Health, metrics: Metrics) -> list[Route]:
    return [
        Route(paths.LIVE, health.live),
        Route(paths.STARTED, health.started),
        Route(paths.READY, health.ready),
        Route(paths.DEPENDENCIES, health.dependencies),
        Route(paths.METRICS, MetricsPage(metrics.registry).get),
    ]
