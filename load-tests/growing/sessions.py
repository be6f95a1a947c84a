"""One number of sessions: storage, refreshes beside a plain UPDATE, growth, purge, VACUUM."""

import asyncio
from typing import Any

from growing import purging, refreshing, rows, storage
from growing.ground import Ground
from traffic import Traffic

ROUNDS = 6
EACH = 500
STARTED = 2.0
"""Seconds after which the jobs of a server have run for the first time."""


async def measure(ground: Ground, sessions: int, *, quick: bool) -> dict[str, Any]:
    """Return every figure of so many sessions."""
    each, expired = (
        (100, sessions // 20) if quick else (EACH, min(20_000, max(500, sessions // 50)))
    )
    kept = await storage.by_part(ground.sql)
    gone, alone = await purging.purge(ground)
    rows.say(f"{gone:,} purged in {alone:.1f} s")
    after_purge = await storage.vacuum(ground.sql)
    seeded = await refreshing.tokens(ground, min(10_000, sessions // 4))
    await storage.vacuum(ground.sql)
    traffic = Traffic(seeded, refreshing.CONNECTIONS)
    before = await refreshing.statistics_of(ground.sql)
    with ground.serve(KEYTURN_JOBS__PURGE_INTERVAL="86400") as worker:
        await asyncio.sleep(STARTED)
        await refreshing.refresh(worker, traffic, each)
        found = await refreshing.rounds(ground, worker, traffic, ROUNDS, each)
    after = await refreshing.statistics_of(ground.sql)
    vacuumed = await storage.vacuum(ground.sql)
    with ground.serve(KEYTURN_JOBS__PURGE_INTERVAL="86400") as worker:
        await asyncio.sleep(STARTED)
        await purging.expire(ground.sql, expired)
        beside = await purging.beside_refreshes(ground, worker, traffic)
    return {
        "part": "sessions",
        **kept,
        **found.described(),
        "updates": after["updates"] - before["updates"],
        "hot_updates": after["hot_updates"] - before["hot_updates"],
        "heap_grown": after["heap"] - before["heap"],
        "indexes_grown": after["indexes"] - before["indexes"],
        "purged_alone_per_second": round(gone / alone),
        **beside,
        "vacuum_after_refreshes_s": vacuumed,
        "vacuum_after_purge_s": after_purge,
    }


def failures(row: dict[str, Any]) -> list[str]:
    """Return which of the promises about storage did not hold."""
    found = []
    if row["bytes_in_all"] >= storage.MOST_BYTES:
        found.append(f"{row['bytes_in_all']} bytes a session")
    if row["updates"] != row["hot_updates"]:
        found.append(f"{row['updates'] - row['hot_updates']} updates were not HOT")
    if row["heap_grown"] or row["indexes_grown"]:
        grown = row["heap_grown"], row["indexes_grown"]
        found.append("refreshes made the table grow: {} bytes, its indexes {}".format(*grown))
    return [f"{row['sessions']:,} sessions: {one}" for one in found]
