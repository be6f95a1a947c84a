"""A worker: it answers the public port, tells its parent how it is, and does as it is asked.

Its end is its parent's wish; but a parent that vanishes is no reason to cut anybody off: the port
is closed at once, so that another server can have it, and what is in flight is finished.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from keyturn.app import Background, parts_for
from keyturn.applications import public_app
from keyturn.parts import Parts
from keyturn.settings import Settings
from keyturn.telemetry import logs
from keyturn.users.hash_pool import cores
from keyturn.web import server
from keyturn.web.security_headers import security_headers
from keyturn.workers.channel import Channel, Garbled
from keyturn.workers.orphan import LEAVING, end_as_orphan
from keyturn.workers.snapshot import plain, taken
from keyturn.workers.state import told

BEAT = 0.25
"""Seconds between two words of how it is."""

FAREWELL = 1.0
"""Seconds the last metrics may take to be sent."""

log = structlog.get_logger("keyturn.workers")


@dataclass(frozen=True, slots=True, eq=False)
class Post:
    """What a parent hands to a worker."""

    line: socket.socket
    public: Sequence[socket.socket]
    count: int
    """How many workers share the machine."""
    when_started: bool
    """Whether others answer meanwhile: then it opens the port only when it has started."""


@dataclass(slots=True, eq=False)
class Worker:
    """One worker while it lives."""

    parts: Parts
    post: Post
    parent: Channel
    stopping: server.Stopping = field(default_factory=server.Stopping)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    serving: bool = False

    async def work(self, writer: logs.LineWriter) -> None:
        """Serve until the parent asks for an end, or has found its own."""
        background = Background.of_worker(self.parts, self._note_started)
        talking = [asyncio.create_task(self._obey()), asyncio.create_task(self._beat())]
        background.start()
        try:
            with self._on_signals():
                await self._serve(writer, background)
        finally:
            for task in talking:
                task.cancel()
        await self._say_farewell()

    async def _serve(self, writer: logs.LineWriter, background: Background) -> None:
        if self.post.when_started:
            await self._started_or_unwanted()
            if self.stopping.wanted.is_set():
                await background.close()
                return
        headers = security_headers(self.parts.settings.issuer)
        await server.serve(
            server.Site(public_app(self.parts, writer), self.post.public, headers),
            None,
            self.parts.settings.server,
            self.parts.vitals,
            hooks=server.Hooks(self._note_serving, background.close, self.parts.note_unreadable),
            stopping=self.stopping,
        )

    async def _started_or_unwanted(self) -> None:
        waiting = [
            asyncio.create_task(event.wait()) for event in (self.started, self.stopping.wanted)
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def _note_started(self) -> None:
        self.started.set()
        self._tell_state()

    async def _note_serving(self) -> None:
        self.serving = True
        self._tell_state()

    async def _beat(self) -> None:
        while True:
            self._tell_state()
            await self.parent.sent()
            await asyncio.sleep(BEAT)

    async def _obey(self) -> None:
        """Do what the parent asks until it hangs up."""
        try:
            while (message := await self.parent.read()) is not None:
                self._do(message.get("ask"), message.get("number", 0))
        except Garbled as error:
            log.exception("parent_garbled", reason=str(error))
        else:
            log.warning("parent_gone")
        self.stopping.close()

    def _do(self, ask: object, number: int) -> None:
        if ask == "metrics":
            self._tell_metrics(number)
        elif ask == "stop":
            self.stopping.wanted.set()
        elif ask == "now":
            self.stopping.force()

    def _tell_state(self) -> None:
        self.parent.send(state=told(self.parts.vitals, serving=self.serving))

    def _tell_metrics(self, number: int) -> None:
        self.parent.send(metrics=plain(taken(self.parts.metrics.registry)), number=number)

    async def _say_farewell(self) -> None:
        """Tell the last counts: nobody can ask for them any more."""
        self._tell_metrics(0)
        self.parent.close()
        try:
            async with asyncio.timeout(FAREWELL):
                await self.parent.writer.wait_closed()
        except (TimeoutError, ConnectionError):
            log.warning("farewell_unheard")

    @contextmanager
    def _on_signals(self) -> Iterator[None]:
        """Drain at SIGTERM, however often: a supervisor sends it to every process of a group.

        Ctrl-C is the parent's business, although the terminal tells everybody.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stopping.wanted.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        try:
            yield
        finally:
            for number in server.SIGNALS:
                loop.remove_signal_handler(number)


async def work(settings: Settings, post: Post) -> None:
    """Be a worker, from the first connection to the last. Raises `SettingsRefused`."""
    end_as_orphan(os.getppid(), settings.server.grace_seconds + LEAVING)
    parent = await Channel.over(post.line)
    writer = logs.stdout_writer()
    parts = parts_for(sharing_the_machine(settings, post.count), writer)
    await Worker(parts, post, parent).work(writer)


def sharing_the_machine(settings: Settings, workers: int) -> Settings:
    """Return the settings of one of several workers: together they hash on every core, not each."""
    hashes = settings.passwords.workers or max(1, cores() // workers)
    passwords = settings.passwords.model_copy(update={"workers": hashes})
    return settings.model_copy(update={"passwords": passwords})
