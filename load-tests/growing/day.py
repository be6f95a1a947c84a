"""24 hours in minutes: each hour's rows are made, everything grows an hour older, jobs run.

A first day fills the tables; a second one like it must leave them as it found them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from redis.asyncio import Redis

from growing import refreshing, rows
from growing.ground import Ground
from growing.others import MIB, resident
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.db.pool import Database
from keyturn.db.queries import load_queries
from keyturn.jobs.purge import Purge
from keyturn.telemetry.metrics import Metrics
from traffic import Traffic
from worker import Worker

SQL = load_queries("growing", "day.sql")
TABLES = {
    "sessions": "sessions",
    "revocations": "",
    "logins": "logins",
    "authorization_requests": "requests",
    "authorization_codes": "codes",
    "device_authorizations": "devices",
    "replays": "replays",
    "creations": "creations",
}
"""What is written in a day, and by which statement; revocations come with ends of sessions."""
PROPORTIONS = {"devices": 0.02, "creations": 0.01, "logins": 0.3, "requests": 0.3, "codes": 0.3}
LASTING = {"sessions", "logins", "creations"}
"""Rows whose lifetime is told, since they last for hours."""
OLDER_ID = """id = (lpad(to_hex(('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint
 - 3600000), 12, '0') || substr(replace(id::text, '-', ''), 13))::uuid"""
MOST_GROWTH = 1.1
ALLOWED = {"rows": 100, "bytes": MIB, "held": 2}
"""What there may be more beside that: small tables grow page by page. Of memory, MiB."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the day is, how many people sign in in its busiest hour, and how many refresh."""

    hours: int = 24
    busiest: int = 3000
    refreshes: int = 200

    @classmethod
    def quick(cls) -> "Plan":
        """Return a day that shows that everything works."""
        return cls(3, 100, 20)

    def sign_ins(self, hour: int) -> int:
        """Return how many sign in: few at night."""
        return round(self.busiest * (0.2 + 0.8 * math.sin(math.pi * hour / self.hours) ** 2))


async def pass_days(ground: Ground, plan: Plan) -> dict[str, Any]:
    """Let two days pass, and compare what is stored and held after each."""
    redis = Redis.from_url(str(ground.pair.redis_url))
    with ground.serve(KEYTURN_JOBS__PURGE_INTERVAL="5") as worker:
        left = []
        for day in ("first", "second"):
            for hour in range(plan.hours):
                await _hour(ground, worker, plan, hour)
                rows.say(f"the {day} day: hour {hour + 1} of {plan.hours}")
            left.append(await _left(ground, worker, redis))
    await redis.aclose()
    return {"part": "day", "hours": plan.hours, "first_day": left[0], "second_day": left[1]}


async def _hour(ground: Ground, worker: Worker, plan: Plan, hour: int) -> None:
    count, lifetime = plan.sign_ins(hour), f"{plan.hours} hours"
    for name in filter(None, TABLES.values()):
        more = [lifetime] if name in LASTING else []
        share = round(count * PROPORTIONS.get(name, 1))
        text = SQL[name].sql.replace("$2", "$2::text::interval") if more else SQL[name].sql
        await ground.sql.execute(text, share, *more)
    await ground.sql.execute(SQL["end_sessions"].sql, count // 10)
    await ground.sql.execute("analyze sessions")
    traffic = Traffic(await refreshing.tokens(ground, plan.refreshes), refreshing.CONNECTIONS)
    await refreshing.refresh(worker, traffic, plan.refreshes)
    await _grow_older(ground.sql)
    await _purge(ground)
    await ground.sql.execute(f"vacuum analyze {', '.join(TABLES)}")


async def _grow_older(sql: asyncpg.Connection) -> None:
    """Let everything have happened an hour earlier; a session's id tells its expiry, too."""
    for table in TABLES:
        names = [row[0] for row in await sql.fetch(SQL["times"].sql, table)]
        changes = [f"{name} = {name} - interval '1 hour'" for name in names]
        changes += [OLDER_ID] if table == "sessions" else []
        await sql.execute(f"update {table} set {', '.join(changes)}")


async def _purge(ground: Ground) -> None:
    settings = load_settings(ground.environ)
    database = Database(settings.postgres.direct(), Metrics())
    try:
        await Purge(database, Metrics(), SystemClock(), settings.jobs.purge_batch).run()
    finally:
        await database.close()


async def _left(ground: Ground, worker: Worker, redis: "Redis") -> dict[str, Any]:
    found = await ground.sql.fetch(SQL["sizes"].sql, list(TABLES))
    return {
        "rows": {row["name"]: row["rows"] for row in found},
        "bytes": {row["name"]: row["bytes"] for row in found},
        "server_mib": resident(worker),
        "valkey_mib": round(int((await redis.info("memory"))["used_memory"]) / MIB, 1),
    }


def failures(row: Mapping[str, Any]) -> Sequence[str]:
    """Return what the second day left that the first had not: a leak."""
    first, second = row["first_day"], row["second_day"]
    found = [
        f"{table}: {first[what][table]:,} {what} after a day, {second[what][table]:,} after two"
        for what in ("rows", "bytes")
        for table in first[what]
        if second[what][table] > MOST_GROWTH * first[what][table] + ALLOWED[what]
    ]
    return found + [
        f"{name}: {first[name]} after a day, {second[name]} after two"
        for name in ("server_mib", "valkey_mib")
        if second[name] > MOST_GROWTH * first[name] + ALLOWED["held"]
    ]
