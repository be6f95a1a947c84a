"""Behind PgBouncer in transaction mode: two replicas share four connections of PostgreSQL.

Statements of one client meet statements of another on the same connection here: nothing may be
left on it, no race may be decided otherwise, and deadlines hold without a session to keep them.
`KEYTURN_TEST_POOLER=1` runs the whole black-box suite the same way.
"""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from keyturn import paths
from keyturn.db.pool import Database
from keyturn.db.queries import Query
from keyturn.dev.privileges import can_enter, server_account
from keyturn.errors import Unavailable
from keyturn.settings_postgres import PostgresSettings
from keyturn.telemetry.metrics import Metrics
from support import pooled, replicas
from support.api import Api, api_of
from support.pooled import POOL_SIZE, PgBouncer
from support.proxy import Proxy

pytestmark = pytest.mark.operations

ISSUER = "https://localhost:8449"
TABS = 40
PATIENCE = 30.0
SECONDS = 6.0
"""Until a change is seen by polling alone: 5 s, and the time it takes to ask."""

LEADERS = 1801812340
ENDLESS = Query("endless", "A statement that does not end by itself.", "select pg_sleep(600)")
PID = Query("pid", "Which connection of the server it was.", "select pg_backend_pid() as pid")
ECHO = Query("echo", "What was asked, as a number.", "select $1::int as said")
TEXT = Query("text", "What was asked, as a text.", "select ($1::int)::text as said")
SLEEPERS = (
    "select count(*) from pg_stat_activity where query like '%pg_sleep(600)%'"
    " and state = 'active' and pid <> pg_backend_pid() and datname = current_database()"
)


@dataclass(frozen=True)
class World:
    """Two replicas behind one pooler."""

    api: Api
    bouncer: PgBouncer
    url: str

    @property
    def behind(self) -> PostgresSettings:
        """How a program of ours would connect through the pooler."""
        direct = SecretStr(self.url)
        through = SecretStr(self.bouncer.url(self.url))
        return PostgresSettings(url=through, pooler="transaction", direct_url=direct)


@pytest.fixture(scope="module")
def pgbouncer(program):
    """The program, where the account of the servers can run it."""
    found = program("pgbouncer", "pgbouncer")
    if not can_enter(found.parent, server_account()):
        pytest.skip("pgbouncer is not installed, and what apt fetched lies where nobody may enter")
    return found


@pytest.fixture(scope="module")
async def world(databases, shared_redis_url, pgbouncer):
    async with (
        databases.fresh(keyed=True) as url,
        pooled.bouncer(pgbouncer, url) as bouncer,
    ):
        environ = replicas.settings(
            url,
            shared_redis_url,
            issuer=ISSUER,
            **(replicas.GENEROUS | pooled.through(bouncer, url)),
        )
        with replicas.replicas(environ, 2) as pair:
            async with api_of(environ, pair) as api:
                yield World(api, bouncer, url)


async def until(condition, within=PATIENCE):
    """Ask again until it is so; return the seconds that took."""
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() < began + within, "it never came to be"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


@asynccontextmanager
async def database(settings):
    opened = Database(settings, Metrics())
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def every_connection(world):
    """Hold all connections the pooler may have, each in a transaction of somebody else."""
    async with AsyncExitStack() as stack:
        for _ in range(POOL_SIZE):
            one = await asyncpg.connect(world.bouncer.url(world.url), statement_cache_size=0)
            stack.push_async_callback(one.close)
            await one.execute("begin")
        yield


async def test_a_person_signs_in_refreshes_and_leaves(world):
    api = world.api
    device = await api.sign_in(await api.person())
    device = await api.rotated(device, on=1)
    assert await api.is_active(device.access_token)
    left = await api.post("/auth/logout", device.credential, client="app", on=0)
    assert left.status_code == 204, left.text
    assert not await api.is_active(device.access_token, on=1)
    assert (await api.refresh(device)).status_code == 400


async def test_parallel_refreshes_of_one_token_have_one_answer(world):
    device = await world.api.sign_in(await world.api.person())
    answers = await asyncio.gather(
        *(world.api.refresh(device, on=number % 2) for number in range(TABS))
    )
    given = [one.json() for one in answers if one.status_code == 200]
    print(f"\n{len(answers)} refreshes at once, {len(given)} answered")
    assert {one.status_code for one in answers} <= {200, 503}
    assert len(given) >= TABS / 2
    assert len({one["refresh_token"] for one in given}) == 1
    assert (await world.api.row(device))["generation"] == 1


async def test_many_share_few_connections_and_leave_nothing_on_them(world):
    patient = world.behind.model_copy(update={"pool_wait": PATIENCE})
    async with database(patient) as opened:
        rows = await asyncio.gather(*(opened.fetch_row(PID) for _ in range(100)))
    used = {row["pid"] for row in rows}
    print(f"\n100 statements on {len(used)} connections of the server")
    assert 1 <= len(used) <= POOL_SIZE
    other = await asyncpg.connect(world.bouncer.url(world.url), statement_cache_size=0)
    for name in ("statement_timeout", "lock_timeout", "synchronous_commit", "plan_cache_mode"):
        async with other.transaction():
            now, usual = await other.fetchrow(
                "select current_setting(name), reset_val from pg_settings where name = $1", name
            )
        assert now == usual, name
    async with other.transaction():
        assert await other.fetchval("select count(*) from pg_prepared_statements") <= 1
    await other.close()


async def test_a_statement_costs_three_round_trips_and_one_more_the_first_time(world):
    """Begin, the statement, commit: what docs/postgres.md says a pooler costs."""
    sockets = pooled.sockets_of(world.bouncer.url(world.url))
    async with Proxy.to(f"{sockets}/.s.PGSQL.{pooled.PORT}", postgres=True) as proxy:
        name = urlsplit(world.url).path
        through = SecretStr(f"postgresql://keyturn@127.0.0.1:{proxy.port}{name}")
        async with database(world.behind.model_copy(update={"url": through})) as opened:
            for trips in (4, 3, 3):
                line = await opened.acquire()
                opened.release(line)
                before = proxy.questions.total()
                assert await opened.fetch_row(ECHO, trips) is not None
                assert proxy.questions.total() - before == trips


async def test_a_statement_is_parsed_where_it_runs(world):
    """On any connection of the server, whichever statement of whoever was there before."""
    async with database(world.behind.model_copy(update={"pool_wait": PATIENCE})) as opened:
        asked = [*range(200)]
        queries = [ECHO if number % 2 else TEXT for number in asked]
        rows = await asyncio.gather(
            *(opened.fetch_row(query, number) for query, number in zip(queries, asked, strict=True))
        )
        assert [int(row["said"]) for row in rows] == asked


async def test_a_row_that_somebody_holds_is_waited_for_no_longer_than_without_a_pooler(world):
    device = await world.api.sign_in(await world.api.person())
    async with world.api.sql.acquire() as sql, sql.transaction():
        await sql.execute("select from sessions where id = $1 for update", device.session_id)
        began = time.monotonic()
        answer = await world.api.refresh(device)
        took = time.monotonic() - began
        print(f"\n503 after {took:.2f} s")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert took >= 0.9, "the server's lock_timeout ended it"
    assert (await world.api.refresh(device)).status_code == 200


async def test_a_statement_that_does_not_end_is_ended_by_the_server(world):
    patient = world.behind.model_copy(update={"statement_timeout": 0.2})
    async with database(patient) as opened:
        with pytest.raises(Unavailable, match="QueryCanceledError"):
            await opened.fetch_row(ENDLESS)
        assert (await opened.fetch_row(PID)) is not None
    assert await world.api.sql.fetchval(SLEEPERS) == 0


async def test_a_statement_whose_caller_has_left_ends_on_the_server(world):
    async def sleeps():
        return await world.api.sql.fetchval(SLEEPERS) == 1

    async def is_over():
        return await world.api.sql.fetchval(SLEEPERS) == 0

    patient = world.behind.model_copy(update={"statement_timeout": 60.0})
    async with database(patient) as opened:
        leaving = asyncio.create_task(opened.fetch_row(ENDLESS))
        await until(sleeps)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await until(is_over)


async def test_when_all_connections_are_taken_callers_hear_503_in_time(world):
    device = await world.api.sign_in(await world.api.person())
    async with every_connection(world):
        began = time.monotonic()
        answer = await world.api.refresh(device)
        print(f"\n503 after {time.monotonic() - began:.2f} s")
        assert answer.status_code == 503
        assert time.monotonic() - began < 4

    async def works():
        return (await world.api.refresh(device)).status_code == 200

    await until(works)


async def test_a_server_that_takes_no_writes_is_not_served_from(world, databases):
    async with databases.fresh() as url:
        name = url.partition("@/")[2].partition("?")[0]
        await databases.admin.execute(
            f"alter database {name} set default_transaction_read_only = on"
        )
        through = world.behind.model_copy(update={"url": SecretStr(world.bouncer.url(url))})
        async with database(through) as opened:
            with pytest.raises(Unavailable, match="connect: DivisionByZeroError"):
                await opened.fetch_row(PID)


async def test_a_connection_that_is_ended_costs_no_refresh(world):
    device = await world.api.sign_in(await world.api.person())
    ended = await world.api.sql.fetchval(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
        " and backend_type = 'client backend'"
    )
    assert ended >= 1
    answers = [await world.api.refresh(device, on=number % 2) for number in range(8)]
    assert [one.status_code for one in answers] == [200] * 8


async def test_a_revocation_is_known_everywhere(world):
    device = await world.api.sign_in(await world.api.person())
    assert await world.api.is_active(device.access_token, on=1)
    done = world.api.keyturn("sessions", "revoke", "--session", str(device.session_id))
    assert done.returncode == 0, done.stderr
    assert await world.api.goes_inactive(device.access_token, on=1)


async def leaders(world):
    return await world.api.sql.fetch(
        "select objid, count(*) from pg_locks where locktype = 'advisory' and granted"
        " and database = (select oid from pg_database where datname = current_database())"
        " and classid = $1 group by objid",
        LEADERS,
    )


async def test_one_process_leads_each_job_on_a_connection_of_its_own(world):
    """A lock taken through the pooler would stay with a connection that others use."""
    held = []

    async def somebody_leads():
        held[:] = await leaders(world)
        return held

    await until(somebody_leads)
    assert all(row["count"] == 1 for row in held)
    before = world.api.metric("keyturn_refresh_rotations_total", result="rotated")
    await world.bouncer.stop()
    await world.bouncer.start()

    async def answers():
        device = await world.api.sql.fetchval("select 1")
        return device == 1 and all(one.is_ready() for one in world.api.replicas)

    print(f"\nready {await until(answers):.1f} s after the pooler's restart; {before:.0f} rotated")


async def test_a_client_changed_by_a_command_is_seen_within_seconds(world):
    api = world.api
    client = await api.client()
    person = await api.person()
    assert (await api.login(person, client=client)).status_code == 200
    done = api.keyturn("clients", "disable", client)
    assert done.returncode == 0, done.stderr

    async def refused():
        answers = [(await api.login(person, client=client, on=on)).status_code for on in (0, 1)]
        return 200 not in answers

    print(f"\nboth replicas refuse it after {await until(refused, SECONDS):.1f} s")


async def test_migrations_go_past_the_pooler(world):
    done = world.api.keyturn("migrate", "--json")
    assert (done.returncode, '"applied":[]' in done.stdout) == (0, True), done


async def test_new_keys_are_seen_within_seconds(world):
    api = world.api

    async def kids(on):
        return [key["kid"] for key in (await api.get(paths.JWKS, on=on)).json()["keys"]]

    before = await kids(0)
    done = api.keyturn("keys", "rotate", "--compromised")
    assert done.returncode == 0, done.stderr

    async def changed():
        now = [await kids(0), await kids(1)]
        return now[0] != before and now[0] == now[1]

    print(f"\nboth replicas publish them after {await until(changed, SECONDS):.1f} s")
    device = await api.sign_in(await api.person())
    assert await api.is_active(device.access_token, on=1)
