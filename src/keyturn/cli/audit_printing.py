"""How `keyturn audit` shows events: lines for people, JSON lines for programs and for files."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from keyturn.audit.trail import AuditRecord
from keyturn.cli.context import REFUSED, WRONG, fail

NAMED = ("actor", "user_id", "client_id", "session_id", "ip", "request_id")


def line(event: AuditRecord) -> str:
    """Return an event for people: when, what, how it went, then what is known of it."""
    members = [*((name, getattr(event, name)) for name in NAMED), *event.detail.items()]
    told = [f"{name}={_plain(value)}" for name, value in members if value is not None]
    return "  ".join([f"{event.at:%Y-%m-%d %H:%M:%SZ}", event.type, event.result, *told])


def json_line(event: AuditRecord) -> str:
    """Return an event for programs."""
    return _json(event).decode()


def _json(event: AuditRecord) -> bytes:
    return orjson.dumps(event.members(), default=str, option=orjson.OPT_UTC_Z)


def _plain(value: object) -> str:
    """Return a value as one word; what would not be one, or would reach the terminal, as JSON."""
    text = str(value)
    if text and text.isprintable() and " " not in text:
        return text
    # Escaped to ASCII: a name that somebody chose must not move a cursor or turn text around.
    return ascii(text).replace("'", '"')


@dataclass(slots=True, eq=False)
class Exported:
    """What an export has written so far."""

    stream: BinaryIO
    events: int = 0
    cursor: str | None = None

    def write(self, events: Sequence[AuditRecord]) -> None:
        """Write events, and see that they are out before the cursor moves on."""
        self.stream.writelines(_json(event) + b"\n" for event in events)
        self.stream.flush()
        self.events += len(events)

    def finish(self, *, json: bool) -> None:
        """Say on stderr how many there were and where to go on."""
        if json:
            told = orjson.dumps({"events": self.events, "after": self.cursor}).decode()
        else:
            told = f"exported {self.events} events"
            told += f"; go on with --after {self.cursor}" if self.cursor else ""
        print(told, file=sys.stderr)


@contextmanager
def exporting(file: Path | None, *, append: bool) -> Iterator[Exported]:
    """Hold the file, or stdout, for the block. What is cut short must not look like the whole."""
    if append and file is None:
        fail("--append needs a FILE", WRONG)
    stream = sys.stdout.buffer if file is None else _opened(file, append=append)
    exported = Exported(stream)
    try:
        yield exported
        if file is not None:
            os.fsync(stream.fileno())
            stream.close()
    except OSError as error:
        if file is None:
            silence_stdout()
        done = f"; go on with --after {exported.cursor}" if exported.cursor else ""
        fail(f"the export was cut short: {error.strerror}{done}", REFUSED)


def _opened(file: Path, *, append: bool) -> BinaryIO:
    # New files only, and for their owner: who did what is nobody else's business.
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_EXCL)
    try:
        return os.fdopen(os.open(file, flags, 0o600), "wb")
    except FileExistsError:
        fail(f"{file} exists; --append adds to it", WRONG)
    except OSError as error:
        fail(f"{file}: {error.strerror}", WRONG)


def silence_stdout() -> None:
    """Let nobody try once more to write to a pipe that was closed: not even at the very end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
