"""What commands share: settings, a database, an event loop, and exit codes."""

import asyncio
import os
import pwd
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer

from keyturn.cli.server_trouble import ServerAway, ServerRefused
from keyturn.clock import SystemClock
from keyturn.configuration import environment, load_settings
from keyturn.errors import Refusal, SettingsRefused, Unavailable
from keyturn.jobs.write_audit import write_now
from keyturn.parts import Parts
from keyturn.request_errors import InvalidMembers
from keyturn.telemetry.callers import CLI

REFUSED, WRONG, AWAY = 1, 2, 3
"""Exit codes: a rule said no; usage or settings are wrong; the database is away."""

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML settings (default: KEYTURN_CONFIG).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@asynccontextmanager
async def open_database(config: Path | None) -> AsyncIterator[Parts]:
    """Read the settings and hold a database for the block; then write what was audited."""
    settings = load_settings(environment(), config)
    parts = Parts.of(settings, SystemClock(), CLI, {"os_user": _os_user()})
    try:
        try:
            yield parts
        finally:
            # After a failure as well: what was done before it stays done.
            await write_now(parts.database, parts.audit, parts.metrics, parts.clock)
    finally:
        await parts.close()


def _os_user() -> str:
    """Return who runs this process, by the system's word; what the environment says is a claim."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def run(
    work: Coroutine[Any, Any, None],
    runner: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run,
) -> None:
    """Run one command to its end; what goes wrong becomes a sentence and an exit code."""
    try:
        runner(work)
    except SettingsRefused as error:
        fail(str(error), WRONG)
    except ServerAway as error:
        fail(f"the server is not available ({error.detail})", AWAY)
    except ServerRefused as error:
        fail(str(error), REFUSED)
    except Unavailable as error:
        fail(f"the database is not available ({error.detail})", AWAY)
    except InvalidMembers as error:
        fail("\n  ".join([error.sentence, *map(str, error.problems)]), REFUSED)
    except Refusal as error:
        fail(f"{error.sentence} ({error.detail})" if error.detail else error.sentence, REFUSED)


def fail(message: str, code: int) -> NoReturn:
    """Say why on stderr and leave."""
    print(f"keyturn: {message}", file=sys.stderr)
    raise typer.Exit(code)


def moment(option: str, text: str) -> datetime:
    """Read what an option says; without an offset it is UTC. Anything else is wrong usage."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} takes an ISO 8601 time, such as 2026-01-31T12:00:00+00:00", WRONG)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def print_json(value: Any) -> None:
    """Print one JSON document on one line."""
    print(orjson.dumps(value, default=str).decode(), flush=True)
