"""What a status list of a million sessions costs, and what its claim costs a refresh.

    python load-tests/status_list.py [--sessions 1048576] [--quick]

One command: it starts a PostgreSQL and a Valkey of its own, fills one list with sessions, revokes
more and more of them, at random places, and for each share starts one `keyturn serve` and asks it
for the list. Then access tokens are signed with and without the claim. README.md says what the
figures mean.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx2
import uvloop

from cpu import Cores
from keyturn.db.migrate import migrate
from keyturn.dev.data_dir import DataDir
from keyturn.dev.supervisor import PairOptions, embedded_pair
from keyturn.status_lists.index import SIZE
from status_claim import cost_of_the_claim
from surroundings import environ_of
from worker import Worker, serving

SHARES = (0.0, 0.01, 0.1, 0.5)
PATH = "/oauth2/status/0"
ASKED = 300
PATIENCE = 120.0
FILL = """
insert into sessions (id, user_id, client_id, scopes, audiences, token_hash, next_hash,
                      idle_lifetime, idle_expires_at, expires_at, auth_time)
select gen_random_uuid(), gen_random_uuid(), 'web', '{orders.read}', '{https://api.example}',
       sha256('a'), sha256('b'), '1 day', now() + interval '1 day', now() + interval '1 day', now()
  from generate_series(1, $1)
"""
REVOKE = """
insert into revocations (kind, id, revoked_at, expires_at)
select 'sid', id::text, now() - random() * interval '50 minutes', now() + interval '1 hour'
  from sessions
 where ((hashint8(status_index)::bigint & 2147483647) % 100000) < $1::float8 * 100000
on conflict do nothing
"""
"""Each share holds the smaller ones; by a hash, so that the bits look like no pattern."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: bytes, MiB, milliseconds."""

    revoked: int
    identity: int
    gzipped: int
    memory: float
    read: float
    first: float
    cached: float
    worst: float
    unchanged: float
    meanwhile: float


async def measure(asked: argparse.Namespace) -> Sequence[Row]:
    """Start everything, measure every share, stop everything."""
    options = PairOptions(durable=False, search_path=os.environ.get("PATH", os.defpath))
    async with embedded_pair(DataDir.temporary(os.environ), options) as pair:
        with tempfile.TemporaryDirectory(prefix="keyturn-status-list-") as scratch:
            await migrate(pair.postgres_url)
            sql = await asyncpg.connect(pair.postgres_url)
            await sql.execute(FILL, asked.sessions, timeout=PATIENCE * 5)
            await sql.execute("analyze sessions")
            _say(f"{asked.sessions:,} sessions are there")
            # No Redis: its copier would read the same rows at the same time.
            environ = {k: v for k, v in environ_of(pair).items() if "REDIS" not in k}
            rows = [await _of_share(environ, sql, share, Path(scratch)) for share in SHARES]
            await sql.close()
            return rows


async def _of_share(
    environ: Mapping[str, str], sql: asyncpg.Connection, share: float, scratch: Path
) -> Row:
    await sql.execute(REVOKE, share, timeout=PATIENCE * 5)
    await sql.execute("analyze revocations")
    revoked = await sql.fetchval("select count(*) from revocations")
    _say(f"{revoked:,} of them are revoked")
    with serving(environ, scratch / f"{share}.log", Cores.divide(pin=False)) as worker:
        url = f"http://127.0.0.1:{worker.port}"
        async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE) as client:
            return await _ask(worker, client, revoked)


async def _ask(worker: Worker, client: httpx2.AsyncClient, revoked: int) -> Row:
    before = _resident(worker.pid)
    plain = {"accept-encoding": "identity"}
    others = asyncio.create_task(_keys_meanwhile(client))
    first, answer = await _timed(client, plain)
    meanwhile = await _stopped(others)
    cached = [(await _timed(client, plain))[0] for _ in range(ASKED)]
    known = {**plain, "if-none-match": answer.headers["etag"]}
    unchanged = [(await _timed(client, known))[0] for _ in range(ASKED)]
    packed = await client.get(PATH, headers={"accept-encoding": "gzip"})
    return Row(
        revoked=revoked,
        identity=int(answer.headers["content-length"]),
        gzipped=int(packed.headers["content-length"]),
        memory=(_resident(worker.pid) - before) / 2**20,
        read=_reading(worker) * 1000,
        first=first,
        cached=statistics.median(cached),
        worst=max(cached),
        unchanged=statistics.median(unchanged),
        meanwhile=meanwhile,
    )


def _say(progress: str) -> None:
    print(f"{time.strftime('%X')} {progress}", file=sys.stderr)


async def _timed(
    client: httpx2.AsyncClient, headers: dict[str, str], path: str = PATH
) -> tuple[float, httpx2.Response]:
    began = time.perf_counter()
    answer = await client.get(path, headers=headers)
    took = (time.perf_counter() - began) * 1000
    if answer.status_code not in {200, 304}:
        raise RuntimeError(f"{path} was answered {answer.status_code}")
    return took, answer


async def _keys_meanwhile(client: httpx2.AsyncClient) -> float:
    """Ask for the keys again and again; return the longest that took."""
    longest = 0.0
    try:
        while True:
            longest = max(longest, (await _timed(client, {}, "/.well-known/jwks.json"))[0])
            await asyncio.sleep(0.001)
    except asyncio.CancelledError:
        return longest


async def _stopped(task: "asyncio.Task[float]") -> float:
    task.cancel()
    return await task


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _reading(worker: Worker) -> float:
    """Return the seconds in which the server read everything, by its own metric."""
    wanted = 'keyturn_status_list_read_seconds_sum{what="everything"}'
    url = f"http://127.0.0.1:{worker.management_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(wanted):
                return float(line.rpartition(" ")[2])
    raise RuntimeError("the server shows no such metric")


def told(rows: Sequence[Row]) -> str:
    """Return the table."""
    head = (
        f"{'revoked':>9} {'bytes':>8} {'gzip':>8} {'memory':>8} {'read':>8} {'first':>8}"
        f" {'cached':>8} {'worst':>8} {'304':>8} {'others':>8}\n"
        f"{'':9} {'':8} {'':8} {'MiB':>8}" + f" {'ms':>8}" * 6
    )
    lines = [
        f"{one.revoked:9,} {one.identity:8,} {one.gzipped:8,} {one.memory:8.1f} {one.read:8.0f}"
        f" {one.first:8.0f} {one.cached:8.2f} {one.worst:8.1f} {one.unchanged:8.2f}"
        f" {one.meanwhile:8.1f}"
        for one in rows
    ]
    return "\n".join([head, *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a status list of a million sessions.")
    parser.add_argument("--sessions", type=int, default=SIZE)
    parser.add_argument("--quick", action="store_true", help="does it work? 3,000 sessions")
    asked = parser.parse_args()
    if asked.quick:
        asked.sessions = 3000
    rows = uvloop.run(measure(asked))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{asked.sessions:,} sessions; {os.cpu_count()} cores, load average at the end {load}\n")
    print(told(rows))
    print(cost_of_the_claim())


if __name__ == "__main__":
    main()
