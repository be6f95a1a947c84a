"""What a run of refreshes did to the sessions table, by PostgreSQL's own statistics."""

import asyncio
from dataclasses import dataclass

import asyncpg

POLL = 0.1
PATIENCE = 30.0
"""A connection that stays open hands in its statistics when it has been idle for ten seconds."""

STATISTICS = """
select n_tup_upd, n_tup_hot_upd, vacuum_count + autovacuum_count, pg_relation_size(relid)
  from pg_stat_user_tables
 where relname = 'sessions'
"""


@dataclass(frozen=True, slots=True)
class Storage:
    """What PostgreSQL's statistics say of the sessions table once everybody has left."""

    sessions: int
    rotations: int
    updates: int
    hot_updates: int
    heap_before: int
    heap_after: int
    vacuums: int

    @property
    def hot_ratio(self) -> float:
        """Updates that touched no index and left nothing that only VACUUM can clear."""
        return self.hot_updates / self.updates if self.updates else 0.0

    def failures(self) -> list[str]:
        """Return which of the promises about storage did not hold."""
        found = []
        if self.updates != self.rotations:
            found.append(f"{self.updates} updates for {self.rotations} rotations")
        if self.hot_updates != self.updates:
            found.append(f"{self.updates - self.hot_updates} updates were not HOT")
        if self.heap_after != self.heap_before:
            found.append(f"the heap went from {self.heap_before} to {self.heap_after} bytes")
        if self.vacuums:
            found.append("the sessions were vacuumed during the run")
        return found

    def line(self) -> str:
        """Return the figures as one line."""
        return (
            f"n_tup_hot_upd / n_tup_upd = {self.hot_updates:,} / {self.updates:,}"
            f" = {self.hot_ratio:.4f}; {self.rotations:,} rotations of {self.sessions:,} sessions,"
            f" {self.vacuums} vacuums; pg_relation_size {self.heap_before:,} before,"
            f" {self.heap_after:,} after"
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The statistics at one moment."""

    updates: int
    hot_updates: int
    vacuums: int
    heap: int


async def quieten(url: str) -> Snapshot:
    """Keep VACUUM away from the sessions, and return what was until now."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("alter table sessions set (autovacuum_enabled = false)")
        return await _look(connection)
    finally:
        await connection.close()


async def read(url: str, before: Snapshot, sessions: int, rotations: int) -> Storage:
    """Return what happened since, once every connection has handed in its statistics."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(PATIENCE):
            now = await _look(connection)
            while now.updates - before.updates < rotations:
                await asyncio.sleep(POLL)
                now = await _look(connection)
    finally:
        await connection.close()
    return Storage(
        sessions=sessions,
        rotations=rotations,
        updates=now.updates - before.updates,
        hot_updates=now.hot_updates - before.hot_updates,
        heap_before=before.heap,
        heap_after=now.heap,
        vacuums=now.vacuums - before.vacuums,
    )


async def _look(connection: asyncpg.Connection) -> Snapshot:
    row = await connection.fetchrow(STATISTICS)
    if row is None:
        raise RuntimeError("PostgreSQL keeps no statistics of the sessions table")
    return Snapshot(*row)
