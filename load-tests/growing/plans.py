"""How PostgreSQL goes about every hot statement, and the page that says so."""

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import asyncpg

from growing import rows
from growing.hot import HOT
from keyturn.db.queries import Query, load_queries
from machine import machine_line

PAGE = Path(__file__).parents[2] / "docs" / "query-plans.md"
AROUND = load_queries("growing", "around.sql")

PREFACE = """\
Every statement of the hot paths, as the server prepares it, on {held}:
what requests of applications, browsers and APIs run, and what jobs run. The plans are generic ones,
made without knowing a value, as on the server's connections. What is shown is the second of two
executions, each rolled back. Times are of a shared machine: look at nodes and buffers. A test
compares this page with the named queries, and finds any scan of a whole large table.
"""

COUNTS = """
select relname, n_live_tup from pg_stat_user_tables where n_live_tup > 999 order by 2 desc, 1
"""

EXAMPLES = """
with one as (
  select * from sessions
   where client_id = 'benchmark' and revoked_at is null and expires_at > now() + interval '1 hour'
     and idle_expires_at > now() and scopes @> '{orders.read}' and dpop_jkt is null
   limit 1
), signed_in as (
  select * from logins where ended_at is null and idle_expires_at > now() limit 1
)
select quote_literal(one.id) || '::uuid' as sid,
       quote_literal(one.user_id) || '::uuid' as user,
       quote_literal(token_hash) || '::bytea' as token,
       quote_literal(next_hash) || '::bytea' as child,
       quote_literal(sha256('another')) || '::bytea' as other,
       generation::text as generation,
       quote_literal(gen_random_uuid()) || '::uuid' as new,
       quote_literal(repeat('0', 32)) || '::uuid' as zero,
       quote_literal(lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0')
                     || repeat('0', 20)) || '::uuid' as live,
       quote_literal(signed_in.id) || '::uuid' as login,
       quote_literal(signed_in.user_id) || '::uuid' as login_user,
       quote_literal(value_hash) || '::bytea' as value,
       (select quote_literal(email_key) from users where id = one.user_id) as email,
       (select quote_literal(handle_hash) || '::bytea' from authorization_requests limit 1)
         as request,
       (select quote_literal(code_hash) || '::bytea' from authorization_codes limit 1) as code,
       (select quote_literal(user_id) || '::uuid' from authorization_codes limit 1) as code_user,
       (select quote_literal(device_code_hash) || '::bytea' from device_authorizations limit 1)
         as device,
       (select quote_literal(user_code_hash) || '::bytea' from device_authorizations limit 1)
         as typed
  from one, signed_in
"""


def named_queries() -> Iterator[Query]:
    """Yield every named query of the product."""
    source = resources.files("keyturn")
    for file in sorted(Path(str(source)).rglob("*.sql")):
        if file.parent.name != "migrations":
            package = ".".join(("keyturn", *file.relative_to(str(source)).parent.parts))
            yield from load_queries(package, file.name).values()


async def surround(sql: asyncpg.Connection, sessions: int) -> None:
    """Fill the other tables as so many sessions would have them filled."""
    users, seed = rows.users_of(sessions), rows.SEED
    for table, count, *more in (
        ("revocations", sessions // 100),
        ("authorization_requests", sessions // 100),
        ("authorization_codes", sessions // 50, users, seed),
        ("consents", users // 20, seed),
        ("device_authorizations", sessions // 500, users, seed),
        ("replays", sessions // 100),
        ("creations", sessions // 1000),
        ("logout_deliveries", sessions // 1000),
        ("step_ups", sessions // 1000),
        ("registrations", sessions // 1000),
        ("audit_events", sessions // 100, seed),
    ):
        if not await sql.fetchval(f"select exists (select from {table})"):
            await sql.execute(AROUND[str(table)].sql, count, *more)
            rows.say(f"{count:,} {table}")
    await sql.execute(AROUND["clients"].sql, 1, min(10_000, sessions // 100))
    await sql.execute("analyze")


async def explain(url: str) -> Mapping[str, str]:
    """Return the plan of every hot statement, by its name: a generic one, executed twice."""
    generic = {"plan_cache_mode": "force_generic_plan"}
    sql = await asyncpg.connect(url, statement_cache_size=0, server_settings=generic)
    try:
        found = await sql.fetchrow(EXAMPLES)
        if found is None:
            raise RuntimeError("no live session beside a live login: nothing to explain with")
        examples = {name: value or "null" for name, value in found.items()}
        queries = {query.operation: query for query in named_queries()}
        return {
            name: await _plan(sql, queries[name], given.format(**examples))
            for name, given in HOT.items()
        }
    finally:
        await sql.close()


async def _plan(sql: asyncpg.Connection, query: Query, given: str) -> str:
    arguments = f"({given})" if given else ""
    await sql.execute(f"prepare hot as {query.sql}")
    for _ in range(2):  # the first one brings pages in
        undo = sql.transaction()
        await undo.start()
        lines = await sql.fetch(f"explain (analyze, buffers) execute hot{arguments}")
        await undo.rollback()
    await sql.execute("deallocate hot")
    return "\n".join(row[0] for row in lines)


def page(plans: Mapping[str, str], counts: Mapping[str, int], command: str) -> str:
    """Return the document."""
    purposes = {query.operation: query.purpose for query in named_queries()}
    held = ", ".join(f"{count:,} {table}" for table, count in counts.items())
    parts = [
        "# Query plans\n",
        f"Written by `{command}`; do not edit. {machine_line()}.\n",
        PREFACE.format(held=held),
    ]
    for name, plan in plans.items():
        parts.append(f"## {name}\n\n{purposes[name]}\n\n```\n{plan}\n```\n")
    return "\n".join(parts)


async def counts(sql: asyncpg.Connection) -> Mapping[str, int]:
    """Return how many rows the larger tables have."""
    found = await sql.fetch(COUNTS)
    return {row["relname"]: row["n_live_tup"] for row in found}
