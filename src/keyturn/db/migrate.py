"""Apply the numbered migrations, one process at a time, each in a transaction of its own.

Migrations are plain additive SQL: release N-1 keeps running on schema N. A file named
`NNNN_contract_*.sql` takes something away and waits for `--contract`. Killed anywhere, a second
start goes on where the first one stopped.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import asyncpg

from keyturn.db.pool import Statements
from keyturn.db.queries import load_queries
from keyturn.db.trouble import TROUBLE
from keyturn.errors import Unavailable

SQL = load_queries(__package__, "schema.sql")

LOCK = 0x6B657974
"""The advisory lock of everything that changes the schema."""

LOCK_TIMEOUT = "2s"
"""A migration that waits longer gives up, rather than make every reader queue behind it."""

_FILE = re.compile(r"(\d{4})_(contract_)?[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migrations folder."""

    version: int
    name: str
    contracting: bool
    sql: str


def migrations() -> list[Migration]:
    """Return every migration this release carries, in order."""
    folder = resources.files("keyturn.db").joinpath("migrations")
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


async def migrate(dsn: str, *, contract: bool = False, dry_run: bool = False) -> Sequence[str]:
    """Bring the database up to date and return the names applied (or that would be).

    Waits for another migrator. Raises `Unavailable` when the database cannot be reached.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=5, statement_cache_size=0)
    except TROUBLE as error:
        raise Unavailable(f"migrate: {type(error).__name__}") from error
    try:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        return await _apply(connection, contract=contract, dry_run=dry_run)
    finally:
        await connection.close(timeout=5)


async def wait_until_reachable(dsn: str, *, attempts: int = 60) -> None:
    """Ask once a second until the database answers; raise `Unavailable` after `attempts`."""
    for _ in range(attempts):
        try:
            connection = await asyncpg.connect(dsn, timeout=1)
        except TROUBLE:
            await asyncio.sleep(1)
        else:
            await connection.close()
            return
    raise Unavailable(f"migrate: no answer in {attempts} attempts")


async def _apply(connection: asyncpg.Connection, *, contract: bool, dry_run: bool) -> Sequence[str]:
    await connection.execute(
        "create table if not exists schema_migrations ("
        " version integer primary key, name text not null,"
        " applied_at timestamptz not null default now())"
    )
    rows = await connection.fetch("select version from schema_migrations")
    done = {row["version"] for row in rows}
    waiting = [
        migration
        for migration in migrations()
        if migration.version not in done and (contract or not migration.contracting)
    ]
    for migration in [] if dry_run else waiting:
        async with connection.transaction():
            await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into schema_migrations (version, name) values ($1, $2)",
                migration.version,
                migration.name,
            )
    return [migration.name for migration in waiting]
