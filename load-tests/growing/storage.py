"""What a session takes on disk, by part, and what VACUUM costs."""

import time
from collections.abc import Mapping
from typing import Any

import asyncpg

MOST_BYTES = 700
"""Of a session, with indexes and all."""

PARTS = """
select part, pg_relation_size(relation, fork) as bytes
  from (select 'heap' as part, 'sessions'::regclass as relation, 'main' as fork
        union all
        select 'free space and visibility', 'sessions', unnest(array['fsm', 'vm'])
        union all
        select indexrelid::regclass::text, indexrelid, 'main'
          from pg_index where indrelid = 'sessions'::regclass
        union all
        select 'TOAST', reltoastrelid, 'main'
          from pg_class where oid = 'sessions'::regclass) as parts
"""


async def by_part(sql: asyncpg.Connection) -> Mapping[str, Any]:
    """Return the bytes of a session by part, and of all parts."""
    rows = await sql.fetchval("select count(*) from sessions")
    parts: dict[str, float] = {}
    for part, size in await sql.fetch(PARTS):
        parts[part] = parts.get(part, 0) + size / rows
    return {
        "sessions": rows,
        "bytes": {part: round(size, 1) for part, size in parts.items()},
        "bytes_in_all": round(sum(parts.values())),
    }


async def vacuum(sql: asyncpg.Connection) -> float:
    """Return the seconds of a VACUUM of the sessions."""
    began = time.perf_counter()
    await sql.execute("vacuum sessions")
    return round(time.perf_counter() - began, 2)
