"""Refreshes through a real server, each round beside the plain UPDATE of the same minute."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

import limits
import seed
import wire
from benchmark import WORKERS_LEFT
from cpu import family_seconds
from growing.ground import Ground
from keyturn.clients import secrets as client_secrets
from keyturn.configuration import load_settings
from keyturn.crypto import opaque
from keyturn.crypto.secrets import MasterSecrets
from keyturn.sessions.refresh_token import SECRET_SIZE, RefreshToken, RefreshTokenCodec
from traffic import Traffic
from worker import Worker

CONNECTIONS = 4
"""Few: latency under a queue says how long the queue is."""
PLAIN_SECONDS = 1.0
PATIENCE = 60.0
MICRO = 1e6

SAMPLE = """
select id, generation
  from sessions tablesample system (least(100, $2::float8 * 100))
 where client_id = $1 and revoked_at is null and dpop_jkt is null
   and least(expires_at, idle_expires_at) > now() + interval '1 hour'
"""
HAND_OUT = """
update sessions set token_hash = one.token, next_hash = one.child
  from unnest($1::uuid[], $2::bytea[], $3::bytea[]) as one (id, token, child)
 where sessions.id = one.id
"""
STATISTICS = """
select n_tup_upd as updates, n_tup_hot_upd as hot_updates, pg_relation_size(relid) as heap,
       pg_indexes_size(relid) as indexes
  from pg_stat_user_tables where relname = 'sessions'
"""


@dataclass(slots=True)
class Rounds:
    """What several rounds measured."""

    latencies: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    """CPU µs of PostgreSQL for each refresh, round by round."""
    plain: list[float] = field(default_factory=list)
    """The same of a plain UPDATE right after it."""

    def described(self) -> dict[str, Any]:
        """Return the figures: medians of the rounds, quantiles of all latencies."""
        ratios = [one / other for one, other in zip(self.postgres, self.plain, strict=True)]
        return {
            "refreshes": len(self.latencies),
            "p50_ms": quantile(self.latencies, 0.5),
            "p99_ms": quantile(self.latencies, 0.99),
            "postgres_us": round(statistics.median(self.postgres)),
            "plain_update_us": round(statistics.median(self.plain)),
            "to_plain_update": round(statistics.median(ratios), 2),
        }


async def tokens(ground: Ground, count: int) -> seed.Seeded:
    """Register the clients, and hand out real tokens of so many live sessions, taken at random."""
    settings = load_settings(ground.environ)
    secret = client_secrets.generate()
    await seed.register(settings, seed.CLIENTS, secret)
    codec = RefreshTokenCodec(MasterSecrets(settings.master_values()))
    made = [_token(codec, row) for row in await _sample(ground.sql, count)]
    hashes = [one.hash for one in made], [codec.child(one).hash for one in made]
    await ground.sql.execute(HAND_OUT, [one.session_id for one in made], *hashes)
    given = [codec.encode(one, seed.PEOPLE) for one in made]
    return seed.Seeded(seed.PEOPLE, seed.MACHINE, secret, given)


async def _sample(sql: asyncpg.Connection, count: int) -> Sequence[asyncpg.Record]:
    """Look at ten times as many rows, so that few of the chosen share a page."""
    total = await sql.fetchval("select reltuples from pg_class where oid = 'sessions'::regclass")
    found = await sql.fetch(SAMPLE, seed.PEOPLE, 10 * count / total)
    if not found:
        raise RuntimeError("no live session to refresh")
    return found[:: max(1, len(found) // count)][:count]


def _token(codec: RefreshTokenCodec, row: asyncpg.Record) -> RefreshToken:
    secret = opaque.token_bytes(SECRET_SIZE)
    return RefreshToken(codec.secrets.current_id, row["id"], row["generation"], secret)


async def rounds(ground: Ground, worker: Worker, traffic: Traffic, count: int, each: int) -> Rounds:
    """Refresh so many times in each of `count` rounds; fail on any answer but a 200."""
    found = Rounds()
    for _ in range(count):
        before = family_seconds(ground.postgres_pid)
        latencies = await refresh(worker, traffic, each)
        found.postgres.append((family_seconds(ground.postgres_pid) - before) / each * MICRO)
        found.latencies += latencies
        url, pid = ground.pair.postgres_url, ground.postgres_pid
        plain = await limits.measure_updates(url, pid, PLAIN_SECONDS)
        found.plain.append(plain.postgres_microseconds)
    return found


async def refresh(
    worker: Worker, traffic: Traffic, most: int, seconds: float = float("inf")
) -> list[float]:
    """Refresh until a number or a time is up; return how long each took."""
    run = wire.Run(most, time.perf_counter() + seconds)
    await wire.drive(worker.port, run, traffic.refreshes())
    if run.errors:
        raise RuntimeError(f"refreshes failed: {dict(run.errors)}")
    return run.latencies


async def statistics_of(sql: asyncpg.Connection) -> dict[str, int]:
    """Return what PostgreSQL counted of the sessions, once those who refreshed have left."""
    async with asyncio.timeout(PATIENCE):
        while await sql.fetchval(WORKERS_LEFT):  # noqa: ASYNC110 (PostgreSQL's state)
            await asyncio.sleep(0.05)
    await sql.execute("select pg_stat_force_next_flush()")
    return dict(await sql.fetchrow(STATISTICS))


def quantile(latencies: Sequence[float], share: float) -> float:
    """Return a quantile in milliseconds."""
    ordered = sorted(latencies)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)
