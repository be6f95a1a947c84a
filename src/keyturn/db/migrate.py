"""Apply the numbered migrations, one process at a time, each in a transaction of its own.

Migrations are plain additive SQL: release N-1 keeps running on schema N. A file named
`NNNN_contract_*.sql` takes something away and waits for `--contract`. Killed anywhere, a second
start goes on where the first one stopped.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

import asyncpg
from pydantic import SecretStr

from keyturn.db.connection import Opener
from keyturn.db.pool import Statements
from keyturn.db.queries import load_queries
from keyturn.db.trouble import TROUBLE, is_ours
from keyturn.errors import Unavailable
from keyturn.settings_postgres import PostgresSettings

SQL = load_queries(__package__, "schema.sql")

FOLDER = resources.files("keyturn.db").joinpath("migrations")

LOCK = 0x6B657974
"""The advisory lock of everything that changes the schema."""

LOCK_TIMEOUT = 2.0
"""Seconds a migration waits for a table; it gives up rather than make every reader queue behind."""

PATIENCE, PAUSE = 60.0, 1.0
"""Seconds a database may take to be there, and seconds between two attempts to reach it."""

_SESSION = {
    "application_name": "keyturn migrate",
    "statement_timeout": "0",  # an index on a large table takes as long as it takes
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",  # another migrator is waited for, however long it works
}
_FILE = re.compile(r"(\d{4})_(contract_)?[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migrations folder."""

    version: int
    name: str
    contracting: bool
    sql: str


def migrations(folder: Traversable = FOLDER) -> list[Migration]:
    """Return every migration of a folder (default: what this release carries), in order."""
    found = []
    for entry in folder.iterdir():
        match = _FILE.fullmatch(entry.name)
        if match:
            text = entry.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), entry.name, bool(match[2]), text))
    return sorted(found, key=lambda migration: migration.version)


def required_version() -> int:
    """Return the schema this release needs: its newest migration that only adds."""
    return max(migration.version for migration in migrations() if not migration.contracting)


async def applied_version(statements: Statements) -> int:
    """Return the newest migration a database has; 0 for one that was never migrated."""
    present = await statements.fetch_row(SQL["has_migrations"])
    if present is None or not present["present"]:
        return 0
    row = await statements.fetch_row(SQL["applied_version"])
    return 0 if row is None else int(row["version"])


async def migrate(
    dsn: str, *, contract: bool = False, dry_run: bool = False, folder: Traversable = FOLDER
) -> Sequence[str]:
    """Bring the database up to date and return the names applied (or that would be).

    Waits for another migrator. Raises `Unavailable` when the database cannot be reached, goes
    away, or lets nobody have a table; what was applied until then stays, and the rest is for the
    next attempt.
    """
    carried = [one for one in migrations(folder) if contract or not one.contracting]
    async with _connected(dsn) as connection:
        if dry_run:
            return [one.name for one in await _waiting(connection, carried)]
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await connection.execute(f"set lock_timeout = {int(LOCK_TIMEOUT * 1000)}")
        await connection.execute(
            "create table if not exists schema_migrations ("
            " version integer primary key, name text not null,"
            " applied_at timestamptz not null default now())"
        )
        waiting = await _waiting(connection, carried)
        for one in waiting:
            await _apply(connection, one)
        return [one.name for one in waiting]


async def wait_until_reachable(dsn: str) -> None:
    """Ask once a second until the database answers; raise `Unavailable` after `PATIENCE`."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                if await _is_reachable(dsn):
                    return
                await asyncio.sleep(PAUSE)
    except TimeoutError:
        raise Unavailable(f"migrate: no answer within {PATIENCE:.0f} s") from None


async def _is_reachable(dsn: str) -> bool:
    try:
        async with _connected(dsn):
            return True
    except Unavailable:
        return False


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        settings = PostgresSettings(url=SecretStr(dsn), connect_timeout=5)
        connection = await Opener(settings, _SESSION).open()
        try:
            yield connection
        finally:
            await connection.close(timeout=5)
    except TROUBLE as error:
        if is_ours(error):
            raise
        raise Unavailable(f"migrate: {type(error).__name__}") from error


async def _waiting(
    connection: asyncpg.Connection, carried: Sequence[Migration]
) -> Sequence[Migration]:
    """Return what the database lacks of `carried`; writes nothing."""
    if not await connection.fetchval(SQL["has_migrations"].sql):
        return carried
    rows = await connection.fetch("select version from schema_migrations")
    done = {row["version"] for row in rows}
    return [one for one in carried if one.version not in done]


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into schema_migrations (version, name) values ($1, $2)",
                migration.version,
                migration.name,
            )
    except asyncpg.LockNotAvailableError as error:
        held = f"{migration.name}: a lock was not free within {LOCK_TIMEOUT} s; try again"
        raise Unavailable(f"migrate: {held}") from error
