"""A server of several processes: this one has the management port and the jobs, workers the rest.

The jobs need each thing once, and so do operators; what answers users is what there are several
of. Nothing here answers the public port: its sockets are bound here, for the workers to accept on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.app import Background, Serving, parts_for
from keyturn.applications import management_app
from keyturn.management import Watched
from keyturn.ops.metrics import MetricsPage
from keyturn.parts import Parts
from keyturn.settings import Settings
from keyturn.telemetry.logs import LineWriter
from keyturn.web import server
from keyturn.web.security_headers import security_headers
from keyturn.workers.child import Launch
from keyturn.workers.crew import Crew
from keyturn.workers.pulse import Pulse
from keyturn.workers.totals import Totals

OnReady = Callable[[], Awaitable[None]]

LOOK = 0.05
"""Seconds between two looks whether everybody has started."""


async def serve_by_workers(
    settings: Settings, serving: Serving, on_ready: OnReady | None = None, *, config: Path | None
) -> None:
    """Serve by `server.workers` processes until SIGTERM or Ctrl-C, then drain them and return.

    `on_ready` runs when all of them have started; they read `config` themselves. Raises
    `SettingsRefused`.
    """
    parts = parts_for(settings, serving.writer)
    launch = Launch(
        sockets=serving.public,
        count=settings.server.workers,
        output=serving.output,
        config=config,
        clock=parts.clock,
    )
    crew = Crew(launch, parts.metrics.workers, Totals(parts.metrics.registry))
    await _Parent(parts, crew, on_ready).serve(serving)


@dataclass(slots=True, eq=False)
class _Parent:
    parts: Parts
    crew: Crew
    on_ready: OnReady | None
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, serving: Serving) -> None:
        parts, settings = self.parts, self.parts.settings
        pulse = Pulse(parts.vitals, self.crew.states)
        parts.metrics.ready.set_function(lambda: not pulse.why_not_ready())
        background = Background.of(parts, self._started)
        background.start()
        announcing = asyncio.create_task(self._announce(pulse))
        stopping = server.Stopping()
        try:
            with stopping.on_signals():
                await server.serve(
                    self.crew,
                    self._management(serving.writer, pulse, serving),
                    settings.server,
                    parts.vitals,
                    hooks=server.Hooks(self._ready, background.close, parts.note_unreadable),
                    stopping=stopping,
                )
        finally:
            announcing.cancel()

    def _management(self, writer: LineWriter, pulse: Pulse, serving: Serving) -> server.Site:
        page = MetricsPage(self.crew.totals, self.crew.gather)
        app = management_app(self.parts, writer, Watched(pulse, page))
        return server.Site(app, serving.management, security_headers(self.parts.settings.issuer))

    async def _ready(self) -> None:
        self.answering.set()

    async def _started(self) -> None:
        """Leave the announcement to who looks at the workers as well."""

    async def _announce(self, pulse: Pulse) -> None:
        await self.answering.wait()
        while not pulse.started:  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(LOOK)
        if self.on_ready is not None:
            await self.on_ready()
