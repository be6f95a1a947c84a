"""What commands share: settings, a database, an event loop, and exit codes."""

import asyncio
import os
import pwd
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer

from keyturn.cache.client import Cache
from keyturn.clock import Clock, SystemClock
from keyturn.configuration import environment, load_settings
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.pool import Database
from keyturn.errors import Refusal, SettingsRefused, Unavailable
from keyturn.jobs.write_audit import write_now
from keyturn.revocation.cache import RevocationCache
from keyturn.revocation.revocations import Revocations
from keyturn.sessions.end import Ending
from keyturn.sessions.refresh_token import RefreshTokenCodec
from keyturn.settings import Settings
from keyturn.telemetry.audit import Audit
from keyturn.telemetry.callers import CLI
from keyturn.telemetry.metrics import Metrics

REFUSED, WRONG, AWAY = 1, 2, 3
"""Exit codes: a rule said no; usage or settings are wrong; the database is away."""

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML settings (default: KEYTURN_CONFIG).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a command that works straight on the database needs."""

    settings: Settings
    database: Database
    secrets: MasterSecrets
    metrics: Metrics
    cache: Cache
    audit: Audit
    clock: Clock

    def patient(self, seconds: float) -> Database:
        """Return another database, one line, whose statements may take so long; close it."""
        change = {"statement_timeout": seconds, "pool_max": 1}
        return Database(self.settings.postgres.model_copy(update=change), self.metrics)

    @property
    def ending(self) -> Ending:
        """What ends sessions, and announces it to the servers at once."""
        issuer, trust = self.settings.issuer, self.settings.revocation.trust
        cache = RevocationCache(self.cache, self.clock, issuer, trust)
        revocations = Revocations(self.database, cache, self.metrics, self.clock)
        codec = RefreshTokenCodec(self.secrets)
        return Ending(self.database, codec, revocations, self.audit, self.metrics)


@asynccontextmanager
async def open_database(config: Path | None) -> AsyncIterator[Opened]:
    """Read the settings and hold a database for the block; then write what was audited."""
    settings, clock, metrics = load_settings(environment(), config), SystemClock(), Metrics()
    database, cache = Database(settings.postgres, metrics), Cache(settings.redis, metrics, clock)
    audit = Audit(clock, metrics, settings.audit.queue_limit, CLI, {"os_user": _os_user()})
    secrets = MasterSecrets(settings.master_values())
    try:
        try:
            yield Opened(settings, database, secrets, metrics, cache, audit, clock)
        finally:
            # After a failure as well: what was done before it stays done.
            await write_now(database, audit, metrics, clock)
    finally:
        await cache.close()
        await database.close()


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
    except Unavailable as error:
        fail(f"the database is not available ({error.detail})", AWAY)
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
