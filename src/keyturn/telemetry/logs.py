"""JSON lines on stdout: ours, uvicorn's, asyncio's, warnings; with the request id, no secrets.

Redaction is the second line of defence: nobody logs a token on purpose, but an exception's text
or a library's message may carry one. Keys that name secrets lose their value; text that looks
like one of our tokens, a JWT, a private key or a URL with a password loses that part. Tracebacks
are printed without local variables.
"""

import io
import logging
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson
import structlog

from keyturn.clock import Clock
from keyturn.telemetry.tracing import current_trace_id

REDACTED = "[redacted]"
MOST_TEXT = 16_384
"""Characters of one logged text; a hostile message must not fill the disk."""

_SECRET_KEY = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|authorization|cookie|dsn|credential|assertion"
    r"|private|verifier|dpop_proof|device_code|user_code|request_uri"
)
# Every alternative starts with a literal and repeats one class only: linear on any input.
_SECRET_TEXT = re.compile(
    r"krt1_[A-Za-z0-9_-]{1,200}"
    r"|kts_[A-Za-z0-9_-]{1,200}"
    r"|kti_[A-Za-z0-9_-]{1,200}"
    r"|ktr_[A-Za-z0-9_-]{1,200}"
    r"|eyJ[A-Za-z0-9_-]{5,8192}\.[A-Za-z0-9_-]{1,8192}(?:\.[A-Za-z0-9_-]{0,8192})?"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{0,8192}(?:-----END [A-Z ]{0,30}KEY-----)?"
    r"|(?i:(?:bearer|basic|dpop) [A-Za-z0-9._~+/=-]{8,8192})"
    r"|(?<=://)[^\s/@:]{0,256}:[^\s/@]{0,1024}(?=@)"
    r"|(?i:(?<=password=)|(?<=secret=)|(?<=token=))[^\s&'\"]{1,8192}"
)

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """Return the id of the request this task answers; None outside of one."""
    return _request_id.get()


def enter_request(request_id: str) -> Token[str | None]:
    """Attach `request_id` to everything this task logs from now on."""
    return _request_id.set(request_id)


def leave_request(token: Token[str | None]) -> None:
    """End what `enter_request` began."""
    _request_id.reset(token)


def redact(value: Any) -> Any:
    """Return `value` without what looks like a secret, at any depth of dicts and lists."""
    if isinstance(value, str):
        return _SECRET_TEXT.sub(REDACTED, value[:MOST_TEXT])
    if isinstance(value, bytes | bytearray | memoryview):
        # Bytes that reach a log are key material or a body: neither belongs there.
        return REDACTED
    if isinstance(value, Mapping):
        return {redact(str(key)): _redact_member(str(key), member) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(member) for member in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


def _redact_member(key: str, value: Any) -> Any:
    # Numbers and flags under such a key are counts ("tokens": 3), never the secret.
    if _SECRET_KEY.search(key.lower()) and not isinstance(value, bool | int | float | None):
        return REDACTED
    return redact(value)


class Unbuffered(Protocol):
    """A stream that passes bytes on at once; None: it would have to wait."""

    def write(self, data: bytes, /) -> int | None:
        """Write what fits and return how much that was."""
        ...


@dataclass(slots=True, eq=False)
class LineWriter:
    """Writes whole lines to one stream, whoever logs; a broken stream costs lines, not requests."""

    stream: Unbuffered
    lost: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, line: bytes) -> bool:
        """Write `line` and its end; return whether that went well. What is refused is counted."""
        with self._lock:
            if self.lost:
                line += b'\n{"level":"warning","event":"log_lines_lost","lines":%d}' % self.lost
            try:
                whole = self._write_all(line + b"\n")
            except OSError:
                whole = False
            self.lost = 0 if whole else self.lost + 1
        return whole

    def _write_all(self, data: bytes) -> bool:
        while data:
            written = self.stream.write(data)
            if not written:
                return False
            data = data[written:]
        return True


def stdout_writer() -> LineWriter:
    """Return the writer of this process's stdout."""
    return _unbuffered(sys.stdout.fileno())


def stderr_writer() -> LineWriter:
    """Return the writer of this process's stderr: for commands whose stdout is their answer."""
    return _unbuffered(sys.stderr.fileno())


def _unbuffered(descriptor: int) -> LineWriter:
    return LineWriter(io.FileIO(descriptor, "wb", closefd=False))


@dataclass(frozen=True, slots=True)
class JsonLogger:
    """What structlog hands finished lines to: one logger of that name."""

    writer: LineWriter
    name: str = ""

    def msg(self, line: bytes) -> None:
        """Write one finished line."""
        self.writer.write(line)

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


def configure(level: str, clock: Clock, writer: LineWriter) -> None:
    """Send the logs of this process, its libraries and its warnings to `writer`. Call once."""
    number = logging.getLevelNamesMapping()[level.upper()]

    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["time"] = clock.now()
        return event

    structlog.configure(
        processors=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            _add_request_id,
            structlog.processors.format_exc_info,
            _redact_event,
            stamp,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *names: JsonLogger(writer, *names[:1]),
        cache_logger_on_first_use=False,
    )
    _capture_stdlib(number)


def say_on_stderr() -> None:
    """Send what a command's parts log to stderr, for people: its stdout is its answer.

    A server says otherwise later, by `configure`.
    """
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.stdlib.add_log_level,
                _redact_event,
                structlog.dev.ConsoleRenderer(colors=False),
            ],
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        )


def _capture_stdlib(number: int) -> None:
    root = logging.getLogger()
    root.handlers = [_Bridge()]
    root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)


class _Bridge(logging.Handler):
    """Hands records of the standard library's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record with our processors; its arguments become part of the event's text."""
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        structlog.get_logger(record.name).log(
            level, record.getMessage(), exc_info=record.exc_info or None
        )


def _add_request_id(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    request_id = _request_id.get()
    if request_id is not None:
        event.setdefault("request_id", request_id)
    trace_id = current_trace_id()
    if trace_id is not None:
        event.setdefault("trace_id", trace_id)
    return event


def _redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _redact_member(key, value) for key, value in event.items()}


def _render(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z)
