"""What nothing can beat on this machine, in this minute: one signature, one single-row UPDATE.

    python load-tests/limits.py

A refresh is one RSA-2048 signature, one UPDATE of one row, and what the server adds. Machines
drift by tens of per cent from minute to minute, so the benchmark measures these limits in its own
run and shows its figures beside them. Alone, this starts a PostgreSQL of its own.
"""

import argparse
import asyncio
import os
import time
from dataclasses import dataclass, field

import asyncpg
import uvloop
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

import cpu
from keyturn.crypto.jose import SigningKey, generate, thumbprint, to_der
from keyturn.dev.data_dir import DataDir
from keyturn.dev.supervisor import PairOptions, embedded_pair

SIGNED_BYTES = 700
"""What is signed of a typical access token: header and claims, base64url."""
BLOCK = 20
LINES = 10
"""Connections of the plain UPDATE: as many as a server holds by default (`postgres.pool_max`)."""

PLAIN_TABLE = """
drop table if exists benchmark_plain;
create table benchmark_plain (id integer primary key, n integer not null) with (fillfactor = 80);
insert into benchmark_plain select id, 0 from generate_series(0, 9999) as id;
"""
PLAIN_UPDATE = "update benchmark_plain set n = n + 1 where id = $1"
ROWS = 10_000


def _new_key() -> SigningKey:
    private_key = generate()
    return SigningKey.from_der(to_der(private_key), thumbprint(private_key))


@dataclass(frozen=True, slots=True)
class Signer:
    """An RSA-2048 key that went through the product's import, and its signing call."""

    key: SigningKey = field(default_factory=_new_key)

    def microseconds(self, seconds: float) -> float:
        """Return the mean CPU µs of one signature, signing for so long in this thread.

        The call is that of `SigningKey.sign`, without its base64. The mean, not the best: it is
        compared with means.
        """
        private_key, padding, digest = self.key.private_key, PKCS1v15(), SHA256()
        payload, signed = b"x" * SIGNED_BYTES, 0
        began, until = time.thread_time(), time.perf_counter() + seconds
        while time.perf_counter() < until:
            for _ in range(BLOCK):
                private_key.sign(payload, padding, digest)
            signed += BLOCK
        return (time.thread_time() - began) / signed * 1e6


@dataclass(frozen=True, slots=True)
class PlainUpdates:
    """Single-row updates by primary key, each its own transaction, the commit waited for."""

    per_second: float
    postgres_microseconds: float


async def measure_updates(url: str, postgres_pid: int, seconds: float) -> PlainUpdates:
    """Update rows of a table of two integers over ten connections for so long; drop it then."""
    connections = [await asyncpg.connect(url) for _ in range(LINES)]
    try:
        await connections[0].execute(PLAIN_TABLE)
        before, began = cpu.family_seconds(postgres_pid), time.perf_counter()
        until = began + seconds
        counts = await asyncio.gather(
            *(_update(line, number, until) for number, line in enumerate(connections))
        )
        took = time.perf_counter() - began
        used = cpu.family_seconds(postgres_pid) - before
        await connections[0].execute("drop table benchmark_plain")
    finally:
        for connection in connections:
            await connection.close()
    return PlainUpdates(sum(counts) / took, used / sum(counts) * 1e6)


async def _update(connection: asyncpg.Connection, first: int, until: float) -> int:
    """Update rows that no other connection touches, one after the other."""
    statement = await connection.prepare(PLAIN_UPDATE)
    updates = 0
    while time.perf_counter() < until:
        await statement.fetch((first + updates * LINES) % ROWS)
        updates += 1
    return updates


async def _measure(seconds: float, *, pin: bool) -> None:
    cores = cpu.Cores.divide(pin=pin)
    options = PairOptions(valkey=False, search_path=os.environ.get("PATH", os.defpath))
    async with embedded_pair(DataDir.temporary(os.environ), options) as pair:
        pid = pair.pids["postgres"]
        with cores.on_server_core():
            microseconds = Signer().microseconds(seconds)
        cores.keep_off(os.getpid(), pid)
        updates = await measure_updates(pair.postgres_url, pid, seconds)
    print(describe(microseconds, updates))


def describe(signing: float, updates: PlainUpdates) -> str:
    """Return both limits as the lines that are printed."""
    per_core, per_second = 1e6 / signing, updates.per_second
    return (
        f"limit: one RSA-2048 signature {signing:.0f} µs CPU, {per_core:,.0f}/s on one core\n"
        f"limit: one plain single-row UPDATE {updates.postgres_microseconds:.0f} µs CPU of"
        f" PostgreSQL, {per_second:,.0f}/s over {LINES} connections"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one signature and one plain UPDATE.")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each of the two (2)")
    parser.add_argument("--no-pin", action="store_true", help="let the scheduler place everybody")
    asked = parser.parse_args()
    uvloop.run(_measure(asked.seconds, pin=not asked.no_pin))


if __name__ == "__main__":
    main()
