"""How PostgreSQL goes about our statements once the tables are large: by an index, in small parts.

The pool asks for generic plans, which are made without knowing a single value.
"""

import json
import re

import asyncpg
import pytest

from keyturn.authorizations.codes import SQL as AUTHORIZATIONS
from keyturn.jobs.census import SQL as CENSUS
from keyturn.logins.logins import SQL as LOGINS
from keyturn.logouts.queue import SQL as LOGOUTS
from keyturn.revocation.record import SQL as REVOCATIONS
from keyturn.sessions.end import FIRST
from keyturn.sessions.purge import SQL as SESSIONS

QUERIES = {
    f"{room}: {query.name}": query
    for room, queries in (
        ("sessions", SESSIONS),
        ("revocations", REVOCATIONS),
        ("logins", LOGINS),
        ("logouts", LOGOUTS),
        ("authorizations", AUTHORIZATIONS),
        ("census", CENSUS),
    )
    for query in queries.values()
}
# In no order on disk, and old by their ids but not by their expiry: the worst a batch can meet.
MANY = """
insert into sessions (id, user_id, client_id, scopes, audiences, token_hash, next_hash,
                      idle_lifetime, idle_expires_at, expires_at, auth_time)
select ('0000' || substr(md5(n::text), 5))::uuid, gen_random_uuid(), 'web', '{}', '{}', sha256('a'),
       sha256('b'), '1 day', now() + interval '1 day', now() + interval '1 day', now()
  from generate_series(1, 10000) n;
insert into revocations select 'sid', id::text, now(), now() + interval '1 hour' from sessions;
insert into users (id, email, email_key)
select gen_random_uuid(), n::text, n::text from generate_series(1, 10000) n;
insert into logins (id, user_id, value_hash, auth_time, amr, remembered, idle_lifetime,
                    idle_expires_at, expires_at)
select gen_random_uuid(), id, sha256(email::bytea), now(), '{}', false, '1 day',
       now() + interval '1 day', now() + interval '1 day'
  from users;
insert into authorization_requests (handle_hash, browser_hash, request, expires_at)
select value_hash, value_hash, '{}', expires_at from logins;
insert into authorization_codes (code_hash, client_id, redirect_uri, user_id, login_id, scopes,
                                 audiences, id_token_claims, auth_time, amr, remembered, expires_at)
select value_hash, 'web', '', user_id, id, '{}', '{}', '{}', now(), '{}', false, expires_at
  from logins;
insert into device_authorizations (device_code_hash, user_code_hash, client_id, scopes, audiences,
                                   poll_interval, expires_at, decision, decided_at, user_id, auth_time, amr)
select value_hash, value_hash, 'web', '{}', '{}', '5 s', expires_at, 'approved', now(), user_id, now(), '{}'
  from logins;
insert into replays select value_hash, expires_at from logins;
insert into creations select value_hash, value_hash, 1, value_hash, '', expires_at from logins;
insert into step_ups select id, now() from sessions;
insert into consents (user_id, client_id, scopes) select id, 'web', '{}' from users;
insert into clients (id, name, kind, auth_method, grant_types, scopes, audiences)
select 'client-' || n, '', 'public', 'none', '{}', '{}', '{}' from generate_series(1, 10000) n;
insert into logout_deliveries (session_id, client_id, user_id)
select id, 'client-' || substr(id::text, 5, 2), user_id from sessions;
analyze sessions, revocations, users, logins, authorization_requests, authorization_codes, consents,
        clients, logout_deliveries, step_ups, device_authorizations, replays, creations
"""


@pytest.fixture(scope="module")
async def large(databases):
    """A connection like the pool's, to tables that the planner takes for large ones."""
    async with databases.fresh() as url:
        generic = {"plan_cache_mode": "force_generic_plan"}
        connection = await asyncpg.connect(url, statement_cache_size=0, server_settings=generic)
        await connection.execute(MANY)
        yield connection
        await connection.close()


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_no_statement_reads_a_large_table_from_end_to_end(large, query):
    count = len(set(re.findall(r"\$\d+", query.sql)))
    given = f"({', '.join(['null'] * count)})" if count else ""
    plan = await explained(large, query, given)
    assert not re.search(r"Seq Scan on (?!pg_)", plan), plan


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("end_some_of_client", f"('{FIRST}', 100, 'admin', 'web')"),
        ("end_some_before", f"('{FIRST}', 100, 'admin', 'infinity')"),
        ("purge_expired", f"('{FIRST}', '00010000-0000-0000-0000-000000000000', 100)"),
    ],
)
async def test_a_part_of_a_sweep_looks_at_its_own_rows_only(large, name, args):
    await large.execute(f"prepare part as {SESSIONS[name].sql}")
    async with large.transaction():
        [row] = await large.fetch(f"explain (analyze, format json) execute part{args}")
    await large.execute("deallocate part")
    [explained] = json.loads(row[0])
    seen = [node["Actual Rows"] for node in nodes(explained["Plan"]) if "Scan" in node["Node Type"]]
    assert max(seen) == 100, row[0]


async def test_a_claim_looks_at_one_row_of_each_client_however_many_wait(large):
    await large.execute(f"prepare part as {LOGOUTS['claim'].sql}")
    async with large.transaction():
        [row] = await large.fetch(
            "explain (analyze, format json) execute part('{}', 16, '{10 s}', '1 day')"
        )
    await large.execute("deallocate part")
    [explained] = json.loads(row[0])
    scans = [node for node in nodes(explained["Plan"]) if "Index" in node["Node Type"]]
    assert max(node["Actual Rows"] for node in scans) == 1, row[0]
    assert explained["Plan"]["Actual Rows"] == 16


def nodes(plan):
    """Every node of a plan, from the top."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


async def test_a_count_of_what_is_left_by_the_purge_reads_no_table_though_most_of_it_is_over(large):
    """As after an outage of the job: the planner then expects to find some at once, anywhere."""
    undo = large.transaction()
    await undo.start()
    for table in ("replays", "creations", "device_authorizations", "authorization_codes", "logins"):
        await large.execute(f"update {table} set expires_at = now() - random() * interval '2 days'")
    await large.execute(
        "update revocations set revoked_at = now() - random() * interval '2 hours';"
        "analyze revocations, replays, creations, device_authorizations, authorization_codes, logins"
    )
    plan = await explained(large, CENSUS["expired"], "(1000, '50 minutes', '12 hours', '10 s')")
    await undo.rollback()
    assert not re.search(r"Seq Scan on (?!pg_)", plan), plan


async def explained(connection, query, given):
    """Return the plan of a query."""
    await connection.execute(f"prepare one as {query.sql}")
    plan = await connection.fetch(f"explain execute one{given}")
    await connection.execute("deallocate one")
    return "\n".join(row[0] for row in plan)
