"""What becomes of a connection in trouble: nothing is left behind on the server, or in a queue."""

import asyncio
import gc
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from keyturn.db.connection import Opener, one_host_each
from keyturn.db.pool import Database
from keyturn.db.queries import Query
from keyturn.errors import Unavailable
from keyturn.settings_postgres import PostgresSettings
from keyturn.telemetry.metrics import Metrics
from support.disturbed import socket_of
from support.proxy import Proxy

ENDLESS = Query("endless", "A statement that does not end by itself.", "select pg_sleep(600)")
QUICK = Query("quick", "A statement.", "select 1 as one")
RAISE = "do $$ begin raise exception using errcode = '{}'; end $$"
PATIENCE = 30


@asynccontextmanager
async def pool(url, **settings):
    """A pool without a deadline on the server: as a commit that waits for a standby is."""
    chosen = PostgresSettings(url=SecretStr(url), **settings)
    database = Database(chosen, Metrics(), {"statement_timeout": "0"})
    try:
        yield database
    finally:
        await database.close()


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_a_statement_that_was_given_up_ends_on_the_server_too(database_url):
    admin = await asyncpg.connect(database_url)

    async def nobody_sleeps():
        return not await admin.fetchval(
            "select count(*) from pg_stat_activity"
            " where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()"
            " and datname = current_database()"
        )

    async with pool(database_url, statement_timeout=0.05, pool_max=1) as database:
        with pytest.raises(Unavailable):
            await database.fetch_row(ENDLESS)
        await until(nobody_sleeps)
        assert (await database.fetch_row(QUICK))["one"] == 1, "its place is free again"
    await admin.close()


async def test_nor_does_a_caller_who_left_leave_one_behind(database_url):
    async with pool(database_url, pool_max=1) as database:
        leaving = asyncio.create_task(database.fetch_row(ENDLESS))

        async def sleeps():
            return bool(await watcher.fetchval(COUNT))

        async def is_over():
            return not await sleeps()

        watcher = await asyncpg.connect(database_url)
        await until(sleeps)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await until(is_over)
        await watcher.close()


COUNT = (
    "select count(*) from pg_stat_activity where query = 'select pg_sleep(600)'"
    " and datname = current_database() and state = 'active'"
)


async def test_who_gave_up_waiting_is_forgotten(database_url):
    async with pool(database_url, pool_max=1, pool_wait=0.01) as database:
        line = await database.acquire()
        for _ in range(20):
            with pytest.raises(Unavailable):
                await database.acquire()
        gc.collect()
        assert len(database._turns._waiting) == 0
        database.release(line)


async def test_who_waits_for_a_place_gets_that_of_one_who_could_not_open(database_url):
    async with pool("postgresql://x@127.0.0.1:9/x", pool_max=1, pool_wait=30) as database:
        asking = [asyncio.create_task(database.acquire()) for _ in range(3)]
        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in answers} == {Unavailable}


@pytest.mark.parametrize("state", ["XX000", "58030", "55000", "25P02", "26000", "0A000", "42501"])
async def test_a_server_in_a_strange_state_is_unavailable_and_its_connection_is_dropped(
    database_url, state
):
    odd = Query("odd", "Fail as told.", RAISE.format(state))
    async with pool(database_url, pool_max=1) as database:
        await database.fetch_row(QUICK)
        with pytest.raises(Unavailable, match="odd: "):
            await database.execute(odd)
        assert database.idle() == 0


@pytest.mark.parametrize("state", ["22P02", "23505", "42601"])
async def test_a_mistake_of_ours_is_told_as_it_is(database_url, state):
    mistake = Query("mistake", "Fail as told.", RAISE.format(state))
    async with pool(database_url, pool_max=1) as database:
        with pytest.raises(asyncpg.PostgresError) as caught:
            await database.execute(mistake)
        assert caught.value.sqlstate == state
        assert database.idle() == 1


async def test_a_host_that_hangs_does_not_hide_the_next_one(database_url):
    """A machine that lost its power answers nothing; the standby promoted for it is asked."""
    asked = []
    silent = await asyncio.start_server(lambda *wire: asked.append(wire), "127.0.0.1", 0)
    name = database_url.partition("@/")[2].partition("?")[0]
    async with silent, Proxy.to(socket_of(database_url), postgres=True) as alive:
        hosts = f"127.0.0.1:{silent.sockets[0].getsockname()[1]},127.0.0.1:{alive.port}"
        settings = PostgresSettings(
            url=SecretStr(f"postgresql://keyturn@{hosts}/{name}?sslmode=disable"),
            connect_timeout=0.2,
        )
        opener = Opener(settings)
        first = await opener.open()
        assert await first.fetchval("select current_database()") == name
        second = await opener.open()
        assert len(asked) == 1, "who answered last is asked first"
        await first.close()
        await second.close()


@pytest.mark.parametrize(
    ("url", "each"),
    [
        (
            "postgresql://u:p@a:1,b:2/d?x=y",
            ["postgresql://u:p@a:1/d?x=y", "postgresql://u:p@b:2/d?x=y"],
        ),
        ("postgresql://u@/d?host=/run/x", ["postgresql://u@/d?host=/run/x"]),
        ("postgresql://a/d", ["postgresql://a/d"]),
    ],
)
def test_a_url_names_its_hosts(url, each):
    assert one_host_each(url) == each


async def test_statements_are_timed_finer_than_the_loop_counts(database_url):
    async with pool(database_url) as database:
        for _ in range(20):
            await database.fetch_row(QUICK)
        total = database.metrics.registry.get_sample_value(
            "keyturn_db_operation_duration_seconds_sum", {"operation": "other"}
        )
    assert abs(total * 1000 - round(total * 1000)) > 1e-5, "uvloop's clock goes by milliseconds"


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_F26_where_tls_is_demanded_and_not_offered_nothing_is_said_in_clear(
    database_url, mode
):
    parts = urlsplit(database_url)
    async with Proxy.to(socket_of(database_url), postgres=True) as proxy:
        url = f"postgresql://{parts.username}@127.0.0.1:{proxy.port}{parts.path}"
        async with pool(f"{url}?sslmode=disable") as database:
            assert (await database.fetch_row(QUICK))["one"] == 1
        assert proxy.statements, "so it is seen what is said in clear"
        proxy.statements.clear()
        async with pool(f"{url}?sslmode={mode}") as database:
            with pytest.raises(Unavailable):
                await database.fetch_row(QUICK)
        assert not proxy.statements
