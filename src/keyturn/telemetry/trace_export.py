"""Finished traces leave the process in a thread of its own; losing them never costs a request.

The event loop only puts a trace into a bounded queue. A collector that is away, slow or hostile
costs traces: what does not fit is dropped and counted, and the log says once that traces are lost
and once that they arrive again. `trace_spans` imports OpenTelemetry, and is imported only when an
endpoint is set.
"""

import ssl
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from keyturn.clock import Clock
from keyturn.errors import SettingsRefused
from keyturn.settings_tracing import TracingSettings
from keyturn.telemetry.logs import redact
from keyturn.telemetry.tracing import Trace, Traces

INTERVAL: Final = 1.0
"""Seconds traces are gathered for before they are sent."""

MOST_WAITING: Final = 1024
"""Traces in memory, for the collector to take."""

BATCH: Final = 16
"""Traces sent at once: making spans of them holds the interpreter's lock for milliseconds."""

LAST_FLUSH: Final = 2.0
"""Seconds the last traces may take to be sent at the end of the process."""

CALM: Final = 10.0
"""Seconds without a loss after which traces are said to arrive again."""

EXTRA: Final = ("opentelemetry", "requests", "google")
"""What the extra `otel` brings."""

log = structlog.get_logger("keyturn.traces")


class Sender(Protocol):
    """What brings traces to a collector."""

    def send(self, traces: Sequence[Trace]) -> str:
        """Send some; return why they did not arrive, or nothing. Blocks, within a bound."""
        ...

    def close(self) -> None:
        """Give up what is being tried."""
        ...


@dataclass(slots=True, eq=False)
class Exporting:
    """The queue and the thread; `put` is for the event loop, `close` for the end."""

    sender: Sender
    clock: Clock
    _waiting: deque[Trace] = field(default_factory=deque)
    _wake: threading.Event = field(default_factory=threading.Event)
    _closing: bool = False
    _given_up: bool = False
    _dropped: int = 0
    """Did not fit: counted by the event loop, told by the thread."""
    _told: int = 0
    _lost: int = 0
    """Since the log has said that traces are lost."""
    _lost_at: float | None = None
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        """Start the thread; it does not keep a process alive that wants to end."""
        self._thread = threading.Thread(target=self._work, name="traces", daemon=True)
        self._thread.start()

    def put(self, trace: Trace) -> None:
        """Take one trace, or drop it when the queue is full."""
        if self._closing or len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
        else:
            self._waiting.append(trace)

    def close(self) -> None:
        """Send what is left within `LAST_FLUSH` seconds, then give up; blocks for so long."""
        self._closing = True
        self._wake.set()
        self._thread.join(LAST_FLUSH)
        self._given_up = True
        self.sender.close()
        if self._thread.is_alive():
            log.warning("traces_lost_at_end", waiting=len(self._waiting))

    def _work(self) -> None:
        closing = False
        while not closing:
            self._wake.wait(INTERVAL)
            closing = self._closing
            self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and not self._given_up:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                reason = self.sender.send(batch)
            except Exception:
                # A mistake of ours; the next batch may be free of it, and nobody restarts threads.
                log.exception("traces_broken")
                reason = "broken"
            self._judge(len(batch) if reason else 0, reason)

    def _judge(self, lost: int, reason: str) -> None:
        """Tell of the first loss, and of the end of losses; count those between."""
        overflown, self._told = self._dropped - self._told, self._dropped
        lost, now = lost + overflown, self.clock.monotonic()
        if lost:
            if self._lost_at is None:
                log.warning("traces_lost", reason=redact(reason) or "more than can be sent")
            self._lost += lost
            self._lost_at = now
        elif self._lost_at is not None and now - self._lost_at >= CALM:
            log.info("traces_arrive_again", lost=self._lost)
            self._lost, self._lost_at = 0, None


def check_extra() -> None:
    """Make sure that what makes spans is installed. Raises `SettingsRefused`."""
    try:
        import keyturn.telemetry.trace_spans  # noqa: F401, PLC0415 - only where it is asked for
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRA:
            raise
        sentence = "tracing.endpoint is set, but OpenTelemetry is not installed"
        raise SettingsRefused(f"{sentence}: pip install 'keyturn[otel]'") from None


def check(settings: TracingSettings) -> None:
    """Raise `SettingsRefused` if the server would not start with these settings."""
    if settings.endpoint is None:
        return
    check_extra()
    if settings.ca_file is not None:
        _check_readable(settings)


def open_traces(settings: TracingSettings, clock: Clock) -> Traces | None:
    """Begin to trace as the settings say; None without an endpoint. Raises `SettingsRefused`."""
    check(settings)
    if settings.endpoint is None:
        return None
    from keyturn.telemetry.trace_spans import OtlpSender  # noqa: PLC0415 - nor imported without

    return Traces(clock, settings.sample_ratio, Exporting(OtlpSender(settings), clock))


def _check_readable(settings: TracingSettings) -> None:
    try:
        ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        reason = error.strerror or "holds no certificate in PEM form"
        raise SettingsRefused(f"tracing.ca_file: {reason}") from None
