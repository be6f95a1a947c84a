"""The purge of what has expired, alone and beside refreshes."""

import asyncio
import time
from typing import Any

import asyncpg

from growing.ground import Ground
from growing.refreshing import quantile, refresh
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.db.pool import Database
from keyturn.sessions.purge import purge_expired
from keyturn.telemetry.metrics import Metrics
from traffic import Traffic
from worker import Worker

EXPIRE = """
update sessions
   set id = (lpad(to_hex((extract(epoch from now() - interval '2 hours') * 1000)::bigint), 12, '0')
               || substr(replace(id::text, '-', ''), 13))::uuid,
       expires_at = now() - interval '3 hours'
 where id in (select id from sessions
               where id > (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0')
                             || repeat('0', 20))::uuid
                 and client_id <> 'benchmark'
               order by id limit $1)
"""
"""The next ones to expire are old now, by their ids, too; none of those that are refreshed."""


async def purge(ground: Ground) -> tuple[int, float]:
    """Run the product's purge of sessions; return how many are gone and the seconds it took."""
    settings = load_settings(ground.environ)
    database = Database(settings.postgres.direct(), Metrics())
    began, gone = time.perf_counter(), 0
    try:
        batch = settings.jobs.purge_batch
        async for deleted in purge_expired(database, SystemClock().now(), batch):
            gone += deleted
    finally:
        await database.close()
    return gone, time.perf_counter() - began


async def expire(sql: asyncpg.Connection, count: int) -> None:
    """Let so many sessions be over that would have been soon."""
    await sql.execute(EXPIRE, count)


async def beside_refreshes(ground: Ground, worker: Worker, traffic: Traffic) -> dict[str, Any]:
    """Refresh for as long as a purge lasts, and as long without one."""
    purging = asyncio.create_task(purge(ground))
    during: list[float] = []
    while not purging.done():
        during += await refresh(worker, traffic, 200)
    gone, seconds = await purging
    quiet = await refresh(worker, traffic, len(during))
    return {
        "purged": gone,
        "purged_per_second": round(gone / seconds),
        "p99_during_purge_ms": quantile(during, 0.99),
        "p99_after_purge_ms": quantile(quiet, 0.99),
    }
