"""How fast one worker is: refresh, client credentials, introspection, JWKS.

    python load-tests/benchmark.py [--quick] [--json]

One command: it starts a durable PostgreSQL and a Valkey of its own, seeds sessions, starts one
`keyturn serve`, loads it from this process, and stops everything. Every refresh rotates and
commits. README.md says what the printed figures mean, and what they do not.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import uvloop

import limits
import seed
from cpu import Cores
from keyturn.configuration import load_settings
from keyturn.crypto import opaque
from keyturn.db.migrate import migrate
from keyturn.dev.data_dir import DataDir
from keyturn.dev.supervisor import EmbeddedPair, PairOptions, embedded_pair
from report import Report, Scene, Storage
from stage import Stage
from traffic import Traffic
from worker import serving

ISSUER = "http://localhost:8080"
ENDLESS = 10**12
FOR_EVER = float("inf")
LEAVING_PATIENCE = 5.0
POLL = 0.02

WORKERS_LEFT = "select count(*) from pg_stat_activity where application_name = 'keyturn'"
STATISTICS = """
select n_tup_upd, n_tup_hot_upd, vacuum_count + autovacuum_count, pg_relation_size(relid)
  from pg_stat_user_tables
 where relname = 'sessions'
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to do."""

    sessions: int
    rotations: int
    others: int
    """Requests of each other kind."""
    rounds: int
    connections: int
    duration: float | None
    """Seconds of refreshing, instead of a number of rotations."""
    measuring: float
    """Seconds each limit is measured for, each time."""
    pin: bool

    @classmethod
    def of(cls, asked: argparse.Namespace) -> "Plan":
        """Read the command line; `--quick` shows that everything works, not how fast."""
        pin = not asked.no_pin
        if asked.quick:
            return cls(3000, 300, 50, 2, 8, None, 0.05, pin)
        return cls(
            sessions=asked.sessions,
            rotations=asked.rotations,
            others=asked.requests,
            rounds=asked.rounds,
            connections=asked.connections,
            duration=asked.duration,
            measuring=0.3,
            pin=pin,
        )

    def refresh_rounds(self) -> list[tuple[int, float]]:
        """Return how many rotations, or for how many seconds, each round runs."""
        if self.duration is not None:
            return [(ENDLESS, self.duration / self.rounds)] * self.rounds
        return [(count, FOR_EVER) for count in _parts(self.rotations, self.rounds)]

    def other_rounds(self) -> list[tuple[int, float]]:
        """Return the same of the other scenes that sign."""
        return [(count, FOR_EVER) for count in _parts(self.others, self.rounds)]


async def benchmark(plan: Plan) -> Report:
    """Start everything, measure, stop everything."""
    cores = Cores.divide(pin=plan.pin)
    options = PairOptions(durable=True, search_path=os.environ.get("PATH", os.defpath))
    async with embedded_pair(DataDir.temporary(os.environ), options) as pair:
        cores.keep_off(os.getpid(), *pair.pids.values())
        with tempfile.TemporaryDirectory(prefix="keyturn-benchmark-") as scratch:
            return await _measure(plan, cores, pair, Path(scratch) / "server.log")


async def _measure(plan: Plan, cores: Cores, pair: EmbeddedPair, log: Path) -> Report:
    url, postgres_pid, environ = pair.postgres_url, pair.pids["postgres"], environ_of(pair)
    await migrate(url)
    seeded = await seed.seed(load_settings(environ), plan.sessions)
    heap_before = await _quieten(url)
    warm_up = Scene("warm-up", plan.connections)
    with serving(environ, log, cores) as worker:
        stage = Stage(worker, postgres_pid, cores, plan.measuring)
        report = await _play(plan, stage, Traffic(seeded, plan.connections), warm_up)
    rotations = warm_up.requests + report.scene("refresh").requests
    report.storage = await _storage(url, plan.sessions, rotations, heap_before)
    report.updates = await limits.measure_updates(url, postgres_pid, 2 * plan.measuring)
    report.pinned = cores.pinned
    return report


async def _play(plan: Plan, stage: Stage, traffic: Traffic, warm_up: Scene) -> Report:
    """Drive every scene; refreshes last, and a few of them first, for tokens to introspect."""
    jwks, introspection, machine, refresh = (
        Scene(name, plan.connections)
        for name in ("jwks", "introspection", "client_credentials", "refresh")
    )
    await stage.play(warm_up, traffic.refreshes(), plan.others, FOR_EVER)
    await stage.play(jwks, traffic.jwks(), plan.others, FOR_EVER)
    await stage.play(introspection, traffic.introspections(), plan.others, FOR_EVER)
    shares = [
        await stage.share(machine, traffic.client_credentials(), plan.other_rounds()),
        await stage.share(refresh, traffic.refreshes(), plan.refresh_rounds()),
    ]
    if warm_up.errors:
        raise RuntimeError(f"the warm-up failed: {dict(warm_up.errors)}")
    signing = sum(stage.signatures) / len(stage.signatures)
    return Report([refresh, machine, introspection, jwks], shares[::-1], signing)


def environ_of(pair: EmbeddedPair) -> Mapping[str, str]:
    """Return the settings of the worker: the defaults, on loopback, with free ports."""
    if pair.redis_url is None:
        raise RuntimeError("load tests run with Redis: install the dev extra")
    return {
        "KEYTURN_ISSUER": ISSUER,
        "KEYTURN_SECRETS": f"1: {opaque.token_urlsafe(32)}",
        "KEYTURN_POSTGRES__URL": pair.postgres_url,
        "KEYTURN_REDIS__URL": pair.redis_url,
        "KEYTURN_SERVER__HOST": "127.0.0.1",
        "KEYTURN_SERVER__PORT": "0",
        "KEYTURN_SERVER__MANAGEMENT_HOST": "127.0.0.1",
        "KEYTURN_SERVER__MANAGEMENT_PORT": "0",
        "KEYTURN_SERVER__DRAIN_SECONDS": "0",
    }


async def _quieten(url: str) -> int:
    """Keep VACUUM away from the sessions, and return the bytes of their heap."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("alter table sessions set (autovacuum_enabled = false)")
        size: int = await connection.fetchval("select pg_relation_size('sessions')")
        return size
    finally:
        await connection.close()


async def _storage(url: str, sessions: int, rotations: int, heap_before: int) -> Storage:
    """Read the statistics once the worker's connections are gone: they hand them in as they go."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(LEAVING_PATIENCE):
            while await connection.fetchval(WORKERS_LEFT):  # noqa: ASYNC110 (PostgreSQL's state)
                await asyncio.sleep(POLL)
        row = await connection.fetchrow(STATISTICS)
    finally:
        await connection.close()
    if row is None:
        raise RuntimeError("PostgreSQL keeps no statistics of the sessions table")
    updates, hot_updates, vacuums, heap_after = row
    return Storage(
        sessions=sessions,
        rotations=rotations,
        updates=updates,
        hot_updates=hot_updates,
        heap_before=heap_before,
        heap_after=heap_after,
        vacuums=vacuums,
    )


def _parts(whole: int, parts: int) -> list[int]:
    """Divide a number into nearly equal ones."""
    return [whole * (one + 1) // parts - whole * one // parts for one in range(parts)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one `keyturn serve` worker.")
    parser.add_argument("--rotations", type=int, default=100_000, help="refreshes (100,000)")
    parser.add_argument("--duration", type=float, help="refresh for so many seconds instead")
    parser.add_argument("--sessions", type=int, default=10_000, help="sessions seeded (10,000)")
    parser.add_argument("--requests", type=int, default=10_000, help="of each other kind (10,000)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each signing scene (10)")
    parser.add_argument("--connections", type=int, default=16, help="kept alive (16)")
    parser.add_argument("--no-pin", action="store_true", help="let the scheduler place everybody")
    parser.add_argument("--quick", action="store_true", help="300 rotations: does it all work?")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    report = uvloop.run(benchmark(Plan.of(asked)))
    print(json.dumps(report.document()) if asked.json else report.text())
    failures = report.failures()
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
