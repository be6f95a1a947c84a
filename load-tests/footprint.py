"""What a session and a refresh cost PostgreSQL and Redis in bytes: scaling.py reckons with it.

    python load-tests/footprint.py [--sessions 50000] [--record docs/figures/footprint.json]

One command: it starts a PostgreSQL that syncs to disk and a Valkey, seeds sessions, and rotates
them by the product's own statement. Bytes are the same on every machine; seconds are this one's.
"""

import argparse
import asyncio
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import redis.asyncio
import uvloop

import cpu
import seed
from keyturn.configuration import load_settings
from keyturn.crypto import opaque
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.migrate import migrate
from keyturn.db.queries import load_queries
from keyturn.dev.data_dir import DataDir
from keyturn.dev.supervisor import EmbeddedPair, PairOptions, embedded_pair
from keyturn.sessions.refresh_token import RefreshToken, RefreshTokenCodec
from machine import machine_line, record

ROTATE = load_queries("keyturn.sessions", "sessions.sql")["rotate"].sql
PARTS = """
select 'sessions' as part, pg_relation_size('sessions') as bytes union all
select indexrelid::regclass::text, pg_relation_size(indexrelid) from pg_index
 where indrelid = 'sessions'::regclass
"""
HAND_IN = "select pg_stat_force_next_flush()"
WRITTEN = """
select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8,
       (select wal_fpi from pg_stat_wal)::int8,
       (select sum(fsyncs) from pg_stat_io where object = 'wal')::int8
"""
LINES = (1, 10, 40)
COMMAND = "load-tests/footprint.py --record docs/figures/footprint.json"
REVOCATIONS = 100_000
PATIENCE = "60"
"""Seconds that seeding may take over a statement: the default is for requests."""


@dataclass(frozen=True, slots=True)
class Rotations:
    """Every session once or more, as the statement takes them, in a random order."""

    codec: RefreshTokenCodec
    tokens: list[RefreshToken]

    def turns(self, count: int) -> Iterator[tuple[Any, ...]]:
        """Yield the parameters of so many rotations; each session's next token takes its place."""
        for place in random.sample(range(len(self.tokens)), count):
            token = self.tokens[place]
            child = self.codec.child(token)
            self.tokens[place] = child
            audience = [seed.AUDIENCE]
            after = (child.hash, self.codec.child(child).hash)
            held = (token.session_id, token.hash, list(seed.SCOPES), audience, audience)
            yield *held, None, opaque.EXPIRY_MARGIN * 0, *after


@dataclass(frozen=True, slots=True)
class Cost:
    """What some rotations wrote and took."""

    lines: int
    rotations: int
    seconds: float
    wal_bytes: float
    page_images: int
    syncs: int
    postgres_us: float

    def row(self, what: str) -> dict[str, Any]:
        """Return the figures of one rotation."""
        return {
            "what": what,
            "connections": self.lines,
            "per_second": round(self.rotations / self.seconds),
            "wal_bytes": round(self.wal_bytes / self.rotations),
            "page_images": round(self.page_images / self.rotations, 3),
            "syncs": round(self.syncs / self.rotations, 3),
            "postgres_us": round(self.postgres_us, 1),
        }


async def measure(sessions: int, rotations: int) -> list[dict[str, Any]]:
    """Return sizes of a session by part, then costs of rotations, of a connection, of Redis."""
    options = PairOptions(durable=True, search_path=os.environ.get("PATH", os.defpath))
    async with embedded_pair(DataDir.temporary(os.environ), options) as pair:
        await migrate(pair.postgres_url)
        secrets = {1: opaque.token_urlsafe(32)}
        environ = {
            "KEYTURN_ISSUER": "http://localhost:8080",
            "KEYTURN_SECRETS": f"1: {secrets[1]}",
            "KEYTURN_POSTGRES__URL": pair.postgres_url,
            "KEYTURN_POSTGRES__STATEMENT_TIMEOUT": PATIENCE,
        }
        settings = load_settings(environ)
        seeded = await seed.seed(settings, sessions)
        codec = RefreshTokenCodec(MasterSecrets(settings.master_values()))
        turns = Rotations(codec, [codec.decode(one, seed.PEOPLE) for one in seeded.tokens])
        rows = await _sizes(pair.postgres_url, sessions)
        rows += await _rotating(pair, turns, rotations)
        return [*rows, *await _remembered(pair)]


async def _sizes(url: str, sessions: int) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(url)
    try:
        parts = await connection.fetch(PARTS)
    finally:
        await connection.close()
    return [{"what": f"size of {part}", "bytes": round(size / sessions, 1)} for part, size in parts]


async def _rotating(pair: EmbeddedPair, turns: Rotations, count: int) -> list[dict[str, Any]]:
    """Rotate right after a checkpoint, when every page is written whole, and then without one."""
    pid, rows = pair.pids["postgres"], []
    pool = [await asyncpg.connect(pair.postgres_url) for _ in range(max(LINES))]
    try:
        await pool[0].execute("checkpoint")
        rows.append((await _cost(pool[:10], pid, turns, count)).row("rotation, after a checkpoint"))
        await _cost(pool[:10], pid, turns, len(turns.tokens))
        for lines in LINES:
            cost = await _cost(pool[:lines], pid, turns, count)
            rows.append(cost.row("rotation"))
        rows.append(
            {"what": "backend, private memory", "bytes": _private(pool[0].get_server_pid())}
        )
    finally:
        for connection in pool:
            await connection.close()
    return rows


async def _cost(pool: Sequence[asyncpg.Connection], pid: int, turns: Rotations, count: int) -> Cost:
    waiting, before = list(turns.turns(count)), await _written(pool)
    used, began = cpu.family_seconds(pid), time.perf_counter()
    await asyncio.gather(*(_rotate(one, waiting) for one in pool))
    seconds, used = time.perf_counter() - began, cpu.family_seconds(pid) - used
    written = [now - then for now, then in zip(await _written(pool), before, strict=True)]
    return Cost(len(pool), count, seconds, *written, used / count * 1e6)


async def _written(pool: Sequence[asyncpg.Connection]) -> tuple[float, int, int]:
    """Return bytes, page images and syncs of the WAL so far; all hand in their part first."""
    for one in pool:
        await one.execute(HAND_IN)
    return tuple(await pool[0].fetchrow(WRITTEN))


async def _rotate(connection: asyncpg.Connection, waiting: list[tuple[Any, ...]]) -> None:
    statement = await connection.prepare(ROTATE)
    while waiting:
        if not await statement.fetch(*waiting.pop()):
            raise RuntimeError("a rotation found no row")


def _private(pid: int) -> int:
    """Return the bytes of a process that are nobody else's."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = [line.split() for line in lines if line.startswith("Private_")]
    return sum(int(kilobytes) for _, kilobytes, _ in sizes) * 1024


async def _remembered(pair: EmbeddedPair) -> list[dict[str, Any]]:
    """Return what a revocation takes in Redis: a member of one sorted set."""
    cache = redis.asyncio.from_url(pair.redis_url)
    try:
        members = {f"sid:{opaque.random_uuid()}": n for n in range(REVOCATIONS)}
        await cache.zadd("revocations", members)
        taken = await cache.memory_usage("revocations", samples=0)
    finally:
        await cache.aclose()
    return [{"what": "revocation in Redis", "bytes": round(taken / REVOCATIONS, 1)}]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure bytes and writes of one refresh.")
    parser.add_argument("--sessions", type=int, default=50_000, help="sessions seeded (50,000)")
    parser.add_argument("--rotations", type=int, default=10_000, help="of each kind (10,000)")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args()
    rows = uvloop.run(measure(asked.sessions, asked.rotations))
    print(machine_line(), *rows, sep="\n")
    if asked.record:
        record(asked.record, COMMAND, rows)


if __name__ == "__main__":
    main()
