"""The composition root: everything is built here, from Settings, and handed to who needs it.

Reads as a parts list: the applications (their doors are in `routes`), the jobs, and the order in
which a process starts and ends.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from keyturn.applications import management_app, public_app
from keyturn.audit.retention import Retention
from keyturn.clients import clients_file, declarative
from keyturn.clients.registry import CHANNEL as CLIENTS_CHANNEL
from keyturn.clock import SystemClock
from keyturn.db.listen import Listener
from keyturn.db.migrate import required_version
from keyturn.jobs.census import INTERVAL as CENSUS_INTERVAL
from keyturn.jobs.census import Census
from keyturn.jobs.copy_revocations import CopyRevocations, WatchRevocations
from keyturn.jobs.deliver_logouts import MEASURE, DeliverLogouts
from keyturn.jobs.expire_registrations import ExpireRegistrations
from keyturn.jobs.forget_audit import INTERVAL as FORGET_INTERVAL
from keyturn.jobs.forget_audit import ForgetAudit
from keyturn.jobs.leader import Leadership
from keyturn.jobs.probe import Probe
from keyturn.jobs.purge import Purge, PurgeExpired
from keyturn.jobs.reload_keyring import ReloadKeyring
from keyturn.jobs.rotate_keys import RotateKeys
from keyturn.jobs.runner import Every, Job, Runner
from keyturn.jobs.settle_step_ups import INTERVAL, SettleStepUps
from keyturn.jobs.start_up import StartUp
from keyturn.jobs.write_audit import WriteAudit
from keyturn.keys.rotation import CHANNEL as KEYS_CHANNEL
from keyturn.parts import Parts
from keyturn.registrations.expiry import Expiry
from keyturn.revocation.cache import revocations_key
from keyturn.revocation.copier import Copier
from keyturn.revocation.copy import BOUND, Copy
from keyturn.settings import ServerSettings, Settings
from keyturn.telemetry import logs
from keyturn.telemetry.trace_export import open_traces
from keyturn.web import server
from keyturn.web.listening import listen
from keyturn.web.security_headers import security_headers

LAST_FLUSH = 5.0
"""Seconds the last audit events may take to be written at the end of the process."""

log = structlog.get_logger("keyturn.app")


def parts_for(settings: Settings, writer: logs.LineWriter) -> Parts:
    """Build what a serving process has, and send its log to `writer`. Call once."""
    clock = SystemClock()
    logs.configure(settings.log.level, clock, writer)
    parts = replace(Parts.of(settings, clock), traces=open_traces(settings.tracing, clock))
    if settings.audit.stdout:
        # At once, not when it is in the database, which may be away for hours. The log and this
        # share a writer, so that their lines do not meet.
        parts.audit.stream = writer
    return parts


@dataclass(slots=True, eq=False)
class Background:
    """What runs beside the servers, and what is left to do when they have stopped."""

    runner: Runner
    write_audit: WriteAudit
    parts: Parts
    _running: asyncio.Task[None] | None = field(default=None, init=False)

    @classmethod
    def of(cls, parts: Parts, on_started: Callable[[], Awaitable[None]]) -> "Background":
        """Build the jobs of one process; `on_started` runs once everything is loaded."""
        leadership = Leadership(parts.settings.postgres.direct(), parts.metrics)
        rotate_keys = _rotate_keys(parts)
        upkeep = (*_upkeep(parts, leadership), *_logouts(parts))
        jobs = (
            *_knowledge(parts, rotate_keys, _declared_clients(parts), on_started),
            rotate_keys,
            *upkeep,
            *_audit_retention(parts, leadership),
        )
        return cls._with(parts, jobs, leadership.resign)

    @classmethod
    def of_worker(cls, parts: Parts, on_started: Callable[[], Awaitable[None]]) -> "Background":
        """Build what a process needs that answers the public port; its parent does the rest."""
        jobs = _knowledge(parts, _rotate_keys(parts), _nothing, on_started)
        return cls._with(parts, jobs, _nothing)

    @classmethod
    def _with(
        cls, parts: Parts, jobs: Sequence[Job], on_stop: Callable[[], Awaitable[None]]
    ) -> "Background":
        audit, flush = parts.audit, parts.settings.audit.flush_interval
        write_audit = WriteAudit(parts.database, audit, parts.metrics, parts.clock, flush)
        watch = WatchRevocations(parts.revocation_cache)
        cache = parts.cache if parts.cache.is_configured else None
        own = (
            write_audit,
            Every("watch_revocations", parts.settings.revocation.copy_interval, watch.run_once),
            Probe(parts.database, cache, parts.vitals, parts.metrics),
        )
        return cls(Runner((*jobs, *own), on_stop), write_audit, parts)

    def start(self) -> None:
        """Let the jobs run."""
        self._running = asyncio.create_task(self.runner.run())

    async def close(self) -> None:
        """End the jobs, flush the audit trail and close every connection."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        await self.write_audit.close(LAST_FLUSH)
        await self.parts.close()


async def _nothing() -> None:
    """Leave it to the parent."""


def _rotate_keys(parts: Parts) -> RotateKeys:
    interval = parts.settings.jobs.keys_interval
    return RotateKeys(parts.key_rotation, parts.metrics, interval)


def _declared_clients(parts: Parts) -> Callable[[], Awaitable[None]]:
    """Return what applies the clients file, if there is one. Raises `SettingsRefused`."""
    declared = clients_file.configured(parts.settings)

    async def apply() -> None:
        if declared:
            await declarative.apply(parts.database, declared, parts.audit)

    return apply


def _knowledge(
    parts: Parts,
    rotate_keys: RotateKeys,
    apply_clients: Callable[[], Awaitable[None]],
    on_started: Callable[[], Awaitable[None]],
) -> Sequence[Job]:
    """Start-up, and what each process knows of keys and clients and hears of their changes."""
    interval = parts.settings.jobs.keys_interval
    reload_keyring = ReloadKeyring(parts.keyring, interval)
    # Behind a pooler nothing is heard: there the registry and the keyring go by the clock alone.
    listener = Listener(parts.settings.postgres)
    listener.on(CLIENTS_CHANNEL, parts.registry.invalidate)
    listener.on(KEYS_CHANNEL, reload_keyring.wake)

    start_up = StartUp(
        parts.database, rotate_keys, parts.keyring, parts.vitals, apply_clients, on_started
    )
    listening = () if parts.settings.postgres.is_pooled else (listener,)
    return (start_up, *listening, parts.registry, reload_keyring)


def _upkeep(parts: Parts, leadership: Leadership) -> Sequence[Job]:
    """Revocations and what has expired."""
    settings = parts.settings
    interval = settings.revocation.copy_interval
    patience = BOUND - settings.revocation.trust
    copy = Copy(parts.cache, revocations_key(settings.issuer), patience)
    copier = CopyRevocations(Copier(parts.database, copy, parts.metrics), leadership)
    purge = Purge(parts.database, parts.metrics, parts.clock, settings.jobs.purge_batch)
    census = Census(parts.database, leadership, parts.metrics, required_version())
    step_ups = SettleStepUps(parts.step_ups, leadership)
    after = timedelta(seconds=settings.registration.unused_expires)
    expire = ExpireRegistrations(Expiry(parts.database, parts.audit, after), leadership)
    return (
        Every("copy_revocations", interval, copier.run_once),
        Every("purge", settings.jobs.purge_interval, PurgeExpired(purge, leadership).run_once),
        Every("settle_step_ups", INTERVAL, step_ups.run_once),
        Every("expire_registrations", settings.jobs.purge_interval, expire.run_once),
        Every("census", CENSUS_INTERVAL, census.run_once),
    )


def _audit_retention(parts: Parts, leadership: Leadership) -> Sequence[Job]:
    """What forgets audit events, unless they are kept for ever."""
    days = parts.settings.audit.retention_days
    if not days:
        return ()
    retention = Retention(parts.database, timedelta(days=days))
    forget = ForgetAudit(retention, leadership, parts.audit, parts.metrics)
    return (Every("forget_audit", FORGET_INTERVAL, forget.run_once),)


def _logouts(parts: Parts) -> Sequence[Job]:
    """What tells clients that sessions have ended."""
    deliver = DeliverLogouts(
        database=parts.database,
        tokens=parts.logout_tokens,
        outgoing=parts.outgoing,
        audit=parts.audit,
        metrics=parts.metrics,
        clock=parts.clock,
        settings=parts.settings.jobs,
    )
    return (deliver, Every("measure_logouts", MEASURE, deliver.measure))


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """How one process serves: sockets bound by whoever starts it, and where its log goes."""

    public: Sequence[socket.socket]
    management: Sequence[socket.socket]
    writer: logs.LineWriter
    output: int = 1
    """The open file behind `writer`, for processes that this one starts."""

    @classmethod
    def by(cls, settings: ServerSettings) -> "Serving":
        """Listen where the settings say and log to stdout. Raises `SettingsRefused`."""
        return cls(
            listen(settings.host, settings.port),
            listen(settings.management_host, settings.management_port),
            logs.stdout_writer(),
        )


async def serve_forever(
    settings: Settings,
    serving: Serving | None = None,
    on_ready: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain, flush what is queued, and return.

    `on_ready` runs when both ports answer and everything is loaded. Raises `SettingsRefused`.
    """
    serving = serving or Serving.by(settings.server)
    parts = parts_for(settings, serving.writer)
    answering = asyncio.Event()

    async def started() -> None:
        await answering.wait()
        if on_ready is not None:
            await on_ready()

    async def ready() -> None:
        answering.set()

    background = Background.of(parts, started)
    background.start()
    headers = security_headers(settings.issuer)
    stopping = server.Stopping()
    with stopping.on_signals():
        await server.serve(
            server.Site(public_app(parts, serving.writer), serving.public, headers),
            server.Site(management_app(parts, serving.writer), serving.management, headers),
            settings.server,
            parts.vitals,
            hooks=server.Hooks(ready, background.close, parts.note_unreadable),
            stopping=stopping,
        )
