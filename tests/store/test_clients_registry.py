"""The copy of all clients that requests ask: what it costs, and how soon it knows."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from keyturn.clients.registry import CHANNEL, MAX_AGE, MOST_STALE, Registry
from keyturn.clock import FixedClock, SystemClock
from keyturn.db.listen import Listener
from keyturn.db.pool import Database
from keyturn.telemetry.metrics import Metrics
from support.patience import patient
from support.registered import JOB, WEB, Clients

SITE = "https://app.example"


@pytest.fixture
async def clients(database_url):
    async with Clients.of(database_url) as opened:
        yield opened


@pytest.fixture
async def still(database_url):
    """Clients whose registry is asked at a time that a test moves."""
    async with Clients.of(database_url, FixedClock(datetime(2026, 1, 1, tzinfo=UTC))) as opened:
        yield opened


def reads(clients):
    """Return how often the registry read the table, and forget it."""
    count = clients.database.watch.statements.count("changed_since")
    clients.database.watch.statements.clear()
    return count


async def until(condition, within=30.0):
    """Ask again until it is so."""
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.005)


async def test_a_known_client_costs_no_sql(clients):
    await clients.add()
    assert (await clients.registry.get("job")).id == "job"
    reads(clients)
    for _ in range(100):
        assert await clients.registry.get("job") is not None
    assert clients.database.watch.statements == []


async def test_a_flood_of_unknown_ids_costs_neither_sql_nor_memory(clients):
    await clients.registry.get("first")
    reads(clients)
    for number in range(10_000):
        assert await clients.registry.get(f"unknown-{number}") is None
    assert clients.database.watch.statements == []
    assert len(clients.registry._clients) == 0


async def test_a_thousand_callers_at_once_share_one_read(still):
    await still.add()
    reads(still)
    found = await asyncio.gather(*(still.registry.get("job") for _ in range(1000)))
    assert all(found)
    assert reads(still) == 1
    still.registry.clock.ticks += MAX_AGE
    await asyncio.gather(*(still.registry.get("job") for _ in range(1000)))
    assert reads(still) == 1


async def test_a_caller_who_hangs_up_does_not_end_the_read_for_the_others(still):
    await still.add()
    gate, reached = asyncio.Event(), asyncio.Event()

    async def hold(name):
        if name == "changed_since":
            reached.set()
            await gate.wait()

    still.database.watch.before = hold
    first = asyncio.create_task(still.registry.get("job"))
    second = asyncio.create_task(still.registry.get("job"))
    await reached.wait()
    first.cancel()
    gate.set()
    assert (await second).id == "job"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_without_being_told_a_change_is_seen_after_five_seconds(still):
    await still.add()
    assert await still.registry.get("job") is not None
    await still.administration.disable("job")
    still.registry.clock.ticks += MAX_AGE - 0.01
    assert await still.registry.get("job") is not None
    still.registry.clock.ticks += 0.01
    assert await still.registry.get("job") is None


async def test_ca_7_once_told_the_next_question_waits_for_the_answer(still):
    await still.add()
    assert await still.registry.get("job") is not None
    await still.administration.disable("job")
    still.registry.invalidate("job")
    assert await still.registry.get("job") is None
    assert not (await still.registry.find("job")).is_active


@dataclass(eq=False)
class LateDatabase(Database):
    """The real pool, whose first answer about clients is held back on its way."""

    read: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def fetch(self, query, *args):
        rows = await super().fetch(query, *args)
        self.read.set()
        await self.gate.wait()
        return rows


async def test_ca_7_a_read_that_began_before_the_change_does_not_count(clients):
    """The change commits and is announced while an older read is under way."""
    await clients.add()
    database = LateDatabase(clients.database.settings, Metrics())
    registry = Registry(database, SystemClock())
    early = asyncio.create_task(registry.get("job"))
    await database.read.wait()
    await clients.administration.disable("job")
    registry.invalidate("job")
    late = asyncio.create_task(registry.get("job"))
    await asyncio.sleep(0)
    database.gate.set()
    assert await late is None
    assert await early is None
    await database.close()


async def test_ca_7_postgresql_tells_every_process_at_once(database_url):
    """Far sooner than the five seconds without being told."""
    async with Clients.of(database_url) as acting, Clients.of(database_url) as serving:
        await acting.add()
        listener = Listener(patient(database_url))
        listener.on(CHANNEL, serving.registry.invalidate)
        tasks = [asyncio.create_task(one) for one in (listener.run(), serving.registry.run())]
        try:

            async def listening():
                return await acting.behind.fetchval(
                    "select count(*) from pg_stat_activity where query ilike 'listen%' or query = 'select 1'"
                )

            await until(listening)
            assert await serving.registry.get("job") is not None
            await acting.administration.disable("job")

            async def refused():
                return await serving.registry.get("job") is None

            await until(refused, within=1.0)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_only_what_changed_is_read_again(still):
    await still.add()
    await still.add(WEB)
    await still.registry.get("job")
    await still.behind.execute("update clients set updated_at = now() - interval '1 hour'")
    untouched = await still.registry.get("web")
    await still.behind.execute(
        "update clients set name = 'new', updated_at = now() where id = 'job'"
    )
    still.registry.invalidate()
    assert (await still.registry.get("job")).name == "new"
    assert await still.registry.get("web") is untouched


async def test_a_change_that_commits_late_is_not_missed(still, database_url):
    """It is dated when its transaction began, before a read that could not see it yet."""
    await still.add()
    async with still.behind.transaction():
        await still.behind.execute(
            "update clients set disabled_at = now(), updated_at = now() where id = 'job'"
        )
        assert await still.registry.get("job") is not None
        still.registry.clock.ticks += MAX_AGE
        assert await still.registry.get("job") is not None
    still.registry.clock.ticks += MAX_AGE
    assert await still.registry.get("job") is None


async def test_a_database_whose_clock_stepped_back_is_read_whole(still):
    await still.add()
    await still.registry.get("job")
    still.registry._read_at = datetime(2999, 1, 1, tzinfo=UTC)
    await still.administration.disable("job")
    still.registry.invalidate()
    assert await still.registry.get("job") is None


async def test_first_party_clients_and_origins_are_those_of_active_clients(still):
    await still.add(WEB, origins=[SITE])
    await still.add(WEB, id="another", origins=["https://other.example"])
    await still.add()
    registry = still.registry
    assert [client.id for client in await registry.first_party()] == ["another", "web"]
    assert registry.last_origins == {SITE, "https://other.example"}
    await still.administration.disable("web")
    registry.invalidate()
    assert [client.id for client in await registry.first_party()] == ["another"]
    assert registry.last_origins == {"https://other.example"}


async def test_what_the_last_copy_says_costs_no_read_however_old_it_is(still):
    registry = still.registry
    assert registry.last_origins is None
    await still.add(WEB, origins=[SITE])
    assert await registry.get("web") is not None
    await still.administration.disable("web")
    reads(still)
    registry.clock.ticks += 10 * MOST_STALE
    assert registry.last_active("web").id == "web"
    assert [client.id for client in registry.last_first_party] == ["web"]
    assert registry.last_origins == {SITE}
    assert still.database.watch.statements == []
    registry.invalidate()
    assert await registry.get("web") is None
    assert (registry.last_active("web"), registry.last_origins) == (None, frozenset())


async def test_while_it_runs_no_caller_ever_waits_for_a_read(clients):
    """The renewals are the job's: a caller in between finds the copy fresh each time."""
    await clients.add(JOB)
    clock = FixedClock(datetime.now(UTC))
    registry = Registry(clients.database, clock)
    running = asyncio.create_task(registry.run())
    try:

        async def read():
            return registry._fresh_until > clock.monotonic()

        await until(read)
        reads(clients)
        assert await registry.get("job") is not None
        assert reads(clients) == 0
        clock.ticks += 4.9
        registry._wanted.set()
        await until(lambda: renewed(registry, clock))
        reads(clients)
        clock.ticks += 0.2
        assert await registry.get("job") is not None
        assert reads(clients) == 0
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def renewed(registry, clock):
    return registry._fresh_until >= clock.monotonic() + MAX_AGE


@pytest.mark.timing
async def test_asking_costs_about_a_microsecond(clients):
    await clients.add()
    registry = Registry(clients.database, SystemClock())
    await registry.get("job")
    rounds = 20_000
    began = time.perf_counter()
    for _ in range(rounds):
        await registry.get("job")
    each = (time.perf_counter() - began) / rounds
    print(f"{each * 1e6:.2f} us each")
    assert each < 5e-6
