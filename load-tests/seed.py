"""Make many signed-in people directly in the database, and write their refresh tokens to a file.

    python load-tests/seed.py --sessions 100000 --tokens tokens.json

Settings come from where `keyturn serve` takes them (`KEYTURN_...`, or `--config`), and the master
secret must be the server's: tokens are made by the product's own codec. The file is a JSON object
with the two clients and the tokens; whoever reads it is signed in as everybody, so its mode is
0600. Not for a database whose people are real.
"""

import argparse
import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from keyturn.clients import rules, statements
from keyturn.clients import secrets as client_secrets
from keyturn.clients.definition import ClientDefinition
from keyturn.configuration import load_settings
from keyturn.crypto import opaque
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.connection import Opener
from keyturn.db.pool import Database
from keyturn.errors import Refusal, SettingsRefused
from keyturn.sessions.refresh_token import SECRET_SIZE, RefreshToken, RefreshTokenCodec
from keyturn.settings import Settings
from keyturn.telemetry.metrics import Metrics

PEOPLE = "benchmark"
"""The client whose sessions refresh: `grace: 0`, so that every request rotates."""
MACHINE = "benchmark-machine"
"""The client that gets tokens for itself and introspects those of the people."""

AUDIENCE = "https://api.benchmark.example"
SCOPES = ("orders.read", "orders.write")
CLIENTS = (
    ClientDefinition(
        id=PEOPLE,
        kind="public",
        grant_types=("refresh_token",),
        scopes=SCOPES,
        audiences=(AUDIENCE,),
        grace=0,
    ),
    ClientDefinition(
        id=MACHINE,
        kind="confidential",
        grant_types=("client_credentials",),
        scopes=SCOPES,
        audiences=(AUDIENCE,),
        introspects=(AUDIENCE,),
    ),
)
BATCH = 10_000

USERS = ("id", "email", "email_key", "name", "email_verified")
SESSIONS = (
    "id",
    "user_id",
    "client_id",
    "scopes",
    "audiences",
    "token_hash",
    "next_hash",
    "idle_lifetime",
    "idle_expires_at",
    "expires_at",
    "auth_time",
    "amr",
    "device",
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What a load generator needs to know."""

    client_id: str
    machine_id: str
    machine_secret: str = field(repr=False)
    tokens: list[str] = field(repr=False)

    def split(self, count: int) -> tuple["Seeded", "Seeded"]:
        """Return so many of the sessions, and the others."""
        return replace(self, tokens=self.tokens[:count]), replace(self, tokens=self.tokens[count:])

    def write(self, file: Path) -> None:
        """Write everything to a new file that only its owner may read."""
        write_private(file, asdict(self))


def write_private(file: Path, content: dict[str, Any]) -> None:
    """Write JSON to a new file that only its owner may read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(orjson.dumps(content))


@dataclass(frozen=True, slots=True)
class Factory:
    """Makes rows of sessions."""

    codec: RefreshTokenCodec
    now: datetime
    absolute: timedelta
    idle: timedelta

    def session(self, user_id: UUID) -> tuple[str, tuple[Any, ...]]:
        """Return the first token of a new session, and its row."""
        expires_at = self.now + self.absolute
        token = RefreshToken(
            key_id=self.codec.secrets.current_id,
            session_id=opaque.session_id(expires_at),
            generation=0,
            secret=opaque.token_bytes(SECRET_SIZE),
        )
        row = (
            token.session_id,
            user_id,
            PEOPLE,
            list(SCOPES),
            [AUDIENCE],
            token.hash,
            self.codec.child(token).hash,
            self.idle,
            self.now + self.idle,
            expires_at,
            self.now,
            ["pwd"],
            "Benchmark",
        )
        return self.codec.encode(token, PEOPLE), row


def person() -> tuple[UUID, tuple[Any, ...]]:
    """Return a new user's id and row."""
    user_id = opaque.random_uuid()
    email = f"{user_id}@benchmark.example"
    return user_id, (user_id, email, email, "Benchmark", False)


async def seed(settings: Settings, count: int) -> Seeded:
    """Register the two clients and make `count` users with a session each, and their tokens.

    Doing it again adds more people and gives the machine another secret.
    """
    secret = client_secrets.generate()
    await register(settings, CLIENTS, secret)
    connection = await Opener(settings.postgres).open()
    try:
        await connection.execute("set statement_timeout = 0")  # a server's is for requests
        factory = Factory(
            codec=RefreshTokenCodec(MasterSecrets(settings.master_values())),
            now=await connection.fetchval("select now()"),
            absolute=timedelta(seconds=settings.sessions.absolute_lifetime),
            idle=timedelta(seconds=settings.sessions.idle_lifetime),
        )
        tokens = [
            token for size in _batches(count) for token in await _copy(connection, factory, size)
        ]
        await connection.execute("analyze users, sessions")
    finally:
        await connection.close()
    return Seeded(PEOPLE, MACHINE, secret, tokens)


async def register(settings: Settings, clients: Sequence[ClientDefinition], secret: str) -> None:
    """Register clients, or define them anew; those that have a secret get this one."""
    database = Database(settings.postgres, Metrics())
    try:
        async with statements.writing(database) as tx:
            for described in clients:
                definition = rules.complete(described, rules.Limits.of(settings))
                if not await statements.insert(tx, definition):
                    await statements.redefine(tx, definition)
                if described.kind == "confidential":
                    digest = client_secrets.digest(secret)
                    await statements.set_secret(tx, described.id, digest, None)
            await statements.announce(tx, [one.id for one in clients])
    finally:
        await database.close()


async def _copy(connection: asyncpg.Connection, factory: Factory, count: int) -> list[str]:
    people = [person() for _ in range(count)]
    sessions = [factory.session(user_id) for user_id, _ in people]
    await connection.copy_records_to_table(
        "users", records=[row for _, row in people], columns=USERS
    )
    await connection.copy_records_to_table(
        "sessions", records=[row for _, row in sessions], columns=SESSIONS
    )
    return [token for token, _ in sessions]


def _batches(count: int) -> Iterator[int]:
    while count > 0:
        yield min(count, BATCH)
        count -= BATCH


def main() -> None:
    parser = argparse.ArgumentParser(description="Make many signed-in people in the database.")
    parser.add_argument("--sessions", type=int, default=10_000, help="how many (10,000)")
    parser.add_argument("--tokens", type=Path, required=True, help="file to write, must not exist")
    parser.add_argument("--config", type=Path, help="YAML settings, as of `keyturn serve`")
    asked = parser.parse_args()
    if asked.tokens.exists():
        parser.error(f"{asked.tokens} exists; it may hold somebody's tokens")
    try:
        seeded = asyncio.run(seed(load_settings(os.environ, asked.config), asked.sessions))
        seeded.write(asked.tokens)
    except SettingsRefused as refusal:
        parser.exit(2, f"{refusal}\n")
    except Refusal as refusal:
        parser.exit(1, f"{refusal.sentence} ({refusal.detail})\n")
    print(f"{len(seeded.tokens)} sessions of client {seeded.client_id}: {asked.tokens}")


if __name__ == "__main__":
    main()
