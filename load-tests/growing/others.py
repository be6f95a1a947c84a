"""What a server's start and memory cost as clients, keys and revocations become many."""

import asyncio
import os
import statistics
import time
import urllib.request
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis

from growing.ground import Ground
from growing.plans import AROUND
from keyturn import paths
from keyturn.crypto.jose import generate, public_jwk, thumbprint
from worker import Worker

MIB = 2**20
ASKED = 50
PATIENCE = 300.0
SETTLED = 8
"""Looks at the memory, a second apart, that must agree."""
RETIRE = """
insert into signing_keys (kid, state, public_jwk) values ($1, 'retired', $2::text::jsonb)
"""


async def of_clients(ground: Ground, count: int) -> dict[str, Any]:
    """Register so many clients in all, and start a server."""
    await ground.sql.execute(AROUND["clients"].sql, 1, count)
    await ground.sql.execute("vacuum analyze clients")
    return {"part": "clients", "clients": count, **await asyncio.to_thread(_started, ground)}


async def of_keys(ground: Ground, count: int) -> dict[str, Any]:
    """Publish so many retired keys beside the living ones, and ask a server for all."""
    there = await ground.sql.fetchval("select count(*) from signing_keys where state = 'retired'")
    for _ in range(count - there):
        key = generate()
        document = orjson.dumps(public_jwk(key)).decode()
        await ground.sql.execute(RETIRE, thumbprint(key), document)
    return {"part": "keys", "retired_keys": count, **await asyncio.to_thread(_jwks, ground)}


async def of_revocations(ground: Ground, count: int) -> dict[str, Any]:
    """Have so many revocations in force; start a server that has to copy them all to Valkey."""
    await ground.sql.execute("truncate revocations")
    redis = Redis.from_url(str(ground.pair.redis_url))
    await redis.flushall()
    empty = await _memory(redis)
    await ground.sql.execute(AROUND["revocations"].sql, count)
    await ground.sql.execute("vacuum analyze revocations")
    size = await ground.sql.fetchval("select pg_total_relation_size('revocations')")
    began = time.perf_counter()
    # A machine that is crowded by the measurement itself must not look like a Redis that is away.
    with ground.serve(KEYTURN_REDIS__TIMEOUT="1") as worker:
        ready = time.perf_counter() - began
        await _copied(redis, count)
        copied = time.perf_counter() - began
        found = {
            "ready_s": round(ready, 2),
            "copied_s": round(copied, 2),
            "resident_mib": resident(worker),
            "valkey_mib": round((await _memory(redis) - empty) / MIB, 1),
            "table_bytes_each": round(size / count),
        }
    await redis.aclose()
    return {"part": "revocations", "revocations": count, **found}


async def _copied(redis: "Redis", count: int) -> None:
    """Wait until some set of the server has all of them."""
    async with asyncio.timeout(PATIENCE):
        while await _largest(redis) < count:  # noqa: ASYNC110 (Valkey's state)
            await asyncio.sleep(0.05)


async def _largest(redis: "Redis") -> int:
    keys = [key async for key in redis.scan_iter(_type="zset")]
    return max([int(await redis.zcard(key)) for key in keys], default=0)


async def _memory(redis: "Redis") -> int:
    return int((await redis.info("memory"))["used_memory"])


def _started(ground: Ground) -> dict[str, Any]:
    began = time.perf_counter()
    with ground.serve() as worker:
        ready = time.perf_counter() - began
        return {"ready_s": round(ready, 2), "resident_mib": _settled(worker)}


def _settled(worker: Worker) -> float:
    """Return the resident memory once it has stayed the same for a while: all is loaded."""
    held = [0.0]
    while len(set(held[-SETTLED:])) > 1 or len(held) < SETTLED:
        time.sleep(1)
        held.append(resident(worker))
    return held[-1]


def _jwks(ground: Ground) -> dict[str, Any]:
    with ground.serve() as worker:
        url = f"http://127.0.0.1:{worker.port}{paths.JWKS}"
        took, body = [], b""
        for _ in range(ASKED):
            began = time.perf_counter()
            with urllib.request.urlopen(url, timeout=10) as answer:
                body = answer.read()
            took.append((time.perf_counter() - began) * 1000)
        return {
            "jwks_keys": len(orjson.loads(body)["keys"]),
            "jwks_bytes": len(body),
            "jwks_p50_ms": round(statistics.median(took), 2),
            "resident_mib": resident(worker),
        }


def resident(worker: Worker) -> float:
    """Return the resident memory of a server in MiB."""
    pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / MIB, 1)
