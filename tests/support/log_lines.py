"""What the process would write to stdout, caught for one test."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO

import structlog

from keyturn.clock import FixedClock
from keyturn.telemetry import logs


@dataclass
class LogLines:
    """The lines so far."""

    out: BytesIO = field(default_factory=BytesIO)

    @property
    def text(self) -> str:
        return self.out.getvalue().decode()

    def all(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


@contextmanager
def caught_logs() -> Iterator[LogLines]:
    """Configure the logs as the server does, and undo it."""
    caught = LogLines()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    clock = FixedClock(datetime(2026, 9, 1, 12, tzinfo=UTC))
    logs.configure("info", clock, logs.LineWriter(caught.out))
    try:
        yield caught
    finally:
        logging.captureWarnings(capture=False)
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()


def fail(text: str) -> None:
    """Raise, from one frame further down."""
    raise RuntimeError(text)
