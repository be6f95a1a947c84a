"""Redis stopped, frozen, flushed, evicting, rolled back, full of junk, late: who is accepted?

Nothing that was revoked more than 2.5 s ago, ever. Process clocks stand still here until a test
moves them, PostgreSQL and Valkey are real; the last test lets everything run in real time.
"""

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import pytest
import redis.asyncio
from pydantic import SecretStr

from keyturn.cache.client import Cache
from keyturn.clock import SystemClock
from keyturn.db.connection import Opener
from keyturn.db.migrate import migrate
from keyturn.db.queries import Query
from keyturn.errors import CacheUnavailable, Unavailable
from keyturn.settings_postgres import PostgresSettings
from keyturn.settings_redis import RedisSettings
from keyturn.telemetry.metrics import Metrics
from support.proxy import Proxy
from support.revoking import KEY, fixed_clock, process
from support.servers import private_postgres, private_valkey
from support.storm import Storm

SID = "019f3c1e-0000-7000-8000-000000000001"
DEADLINE = 0.05
PATIENCE = 30.0


@pytest.fixture
async def valkey():
    async with private_valkey() as server:
        yield server


@pytest.fixture
async def one(database_url, valkey):
    async with process(database_url, valkey.url) as running:
        yield running


async def command(server, *words):
    async with redis.asyncio.from_url(server.url, protocol=2) as client:
        return await client.execute_command(*words)


async def breaks(process, ids=(SID,)):
    """Revoke with the announcement cut: the commit is done, Redis never hears of it."""
    for sid in ids:
        await process.revoke(sid, announce=False)


# Safety, fault by fault


async def test_the_bound_itself_a_dead_copier_and_a_cut_announcement(one):
    """The worst honest case: copied, then revoked at once, then nobody copies any more."""
    await one.settle()
    await breaks(one)
    accepted_until = 0.0
    for step in range(30):
        if await one.accepts(SID):
            accepted_until = step / 10
        one.clock.advance(timedelta(seconds=0.1))
        await one.cache.watch()
    assert accepted_until < 2.5
    assert not await one.accepts(SID)
    assert await one.asks_postgresql()


@pytest.mark.parametrize("words", [("FLUSHALL",), ("DEL", KEY), ("ZREM", KEY, "upto")])
async def test_a_flushed_set_is_not_believed_for_a_moment(one, valkey, words):
    await one.settle()
    await breaks(one)
    await command(valkey, *words)
    assert not await one.accepts(SID)
    assert await one.copier.run_round()
    await one.tick()
    assert not await one.accepts(SID)


async def test_a_redis_restarted_empty_is_not_believed_until_it_has_everything(one, valkey):
    await one.settle()
    await one.revoke(SID)
    await valkey.restart()
    assert not await one.accepts(SID)
    await _recover(one)
    assert not await one.accepts(SID)
    assert not await one.asks_postgresql(SID)


async def test_REL_4_a_stopped_redis_costs_a_statement_and_nothing_else(one, valkey):
    await one.settle()
    await valkey.stop()
    await one.revoke(SID)
    assert not await one.accepts(SID)
    assert await one.accepts("somebody else")
    assert await one.asks_postgresql()
    with pytest.raises(CacheUnavailable):
        await one.copier.run_round()


async def test_REL_4_a_frozen_redis_costs_a_statement_and_the_answers_are_right(
    database_url, valkey
):
    async with process(database_url, valkey.url, timeout=DEADLINE) as one:
        await _settled(one)
        valkey.freeze()
        try:
            await one.revoke(SID)
            assert not await one.accepts(SID)
            assert await one.accepts("somebody else")
        finally:
            valkey.thaw()
        await _recover(one)
        assert not await one.accepts(SID)


async def test_a_frozen_redis_that_thaws_with_old_data_is_not_believed(one, valkey):
    """Its `upto` may move before our first question, by a write that waited in its socket."""
    await one.settle()
    await breaks(one)
    one.clock.advance(timedelta(seconds=60))
    await command(valkey, "ZINCRBY", KEY, 1, "upto")
    assert not await one.accepts(SID)


async def test_an_evicting_redis_loses_the_claim_with_the_entries(database_url):
    settings = {"maxmemory": "3mb", "maxmemory-policy": "allkeys-lru", "maxmemory-samples": "10"}
    async with private_valkey(settings) as valkey, process(database_url, valkey.url) as one:
        await one.settle()
        await breaks(one)
        async with redis.asyncio.from_url(valkey.url, protocol=2) as client:
            # Which key goes is partly chance: the clock of its LRU is coarse.
            for n in range(20_000):
                await client.set(f"filler:{n}", "x" * 10_000)
                if n % 500 == 499 and not await client.exists(KEY):
                    break
            assert await client.exists(KEY) == 0
        assert not await one.accepts(SID)
        assert one.lookups("untrusted") == 1


@pytest.mark.parametrize(
    "junk",
    [
        ("SET", KEY, "junk"),
        ("LPUSH", KEY, "a", "b"),
        ("HSET", KEY, "upto", "5"),
        ("SADD", KEY, "x"),
    ],
    ids=lambda words: words[0],
)
async def test_junk_under_the_key_is_survived_and_replaced(one, valkey, junk):
    await one.settle()
    await breaks(one)
    await command(valkey, "DEL", KEY)
    await command(valkey, *junk)
    assert not await one.accepts(SID)
    await one.revoke("another")
    assert not await one.accepts("another")
    assert await one.accepts("somebody else")
    await one.settle()
    assert not await one.accepts(SID)
    assert not await one.asks_postgresql("somebody else")


async def test_a_read_only_redis_is_not_believed_for_longer_than_it_moves(one, valkey):
    """Made a replica of nobody: it answers, and refuses writes."""
    await one.settle()
    await command(valkey, "REPLICAOF", "127.0.0.1", "1")
    await one.revoke(SID)
    for _ in range(4):
        await one.tick()
        with pytest.raises(CacheUnavailable):
            await one.copier.run_round()
    assert not await one.accepts(SID)
    await command(valkey, "REPLICAOF", "NO", "ONE")
    await one.settle()
    assert not await one.asks_postgresql()


async def test_a_promoted_replica_that_lags_is_not_believed_until_it_is_mended(
    database_url, free_tcp_port_factory
):
    """Everything of the last minute is missing from it, `upto` included."""
    ports = [str(free_tcp_port_factory()) for _ in range(2)]
    async with AsyncExitStack() as stack:
        primary, replica = [
            await stack.enter_async_context(
                private_valkey({"port": port, "repl-diskless-sync-delay": "0"})
            )
            for port in ports
        ]
        one = await stack.enter_async_context(process(database_url, primary.url))
        other = await stack.enter_async_context(process(database_url, replica.url))
        await one.settle()
        await command(replica, "REPLICAOF", "127.0.0.1", ports[0])
        await _until(lambda: _holds_the_set(replica))
        await command(replica, "REPLICAOF", "127.0.0.1", "1")  # replication breaks off
        await one.settle()
        await one.revoke(SID)
        assert not await one.asks_postgresql("somebody else")
        await command(replica, "REPLICAOF", "NO", "ONE")
        # The same process, now connected to the promoted one.
        other.cache.freshness = one.cache.freshness
        other.clock.ticks = one.clock.ticks
        assert not await other.accepts(SID)
        assert await other.asks_postgresql()
        await other.copier.run_round()
        await other.tick()
        assert not await other.accepts(SID)
        assert not await other.asks_postgresql("somebody else")


async def test_REL_4_a_write_cut_after_the_commit_is_mended_within_one_round(database_url, valkey):
    async with Proxy.to(_socket(valkey)) as wire:
        url = f"redis://127.0.0.1:{wire.port}"
        async with process(database_url, url) as revoker, process(database_url, valkey.url) as one:
            await one.settle()
            await wire.refuse()
            await revoker.revoke(SID)
            assert await command(valkey, "ZSCORE", KEY, f"sid:{SID}") is None
            assert not await revoker.accepts(SID)
            await one.copier.run_round()
            assert not await one.accepts(SID)


async def test_F14_what_waited_for_a_standby_is_refused_when_it_comes_to_light(valkey):
    """Its row is as old as the standby has been away, and the copy was complete all the time."""
    async with private_postgres({"synchronous_standby_names": "away"}) as postgres:
        url = f"{postgres.url}&synchronous_commit=local"  # revocations ask for more by themselves
        await migrate(url)
        async with process(url, valkey.url) as one:
            one.copier.overlap = 0
            revoking = asyncio.create_task(one.revoke(SID, announce=False))
            await _until(lambda: _ends_a_wait_for_a_standby(one, "false"))
            await one.settle()
            assert await one.accepts(SID)
            assert not await one.asks_postgresql(SID)
            await _until(lambda: _ends_a_wait_for_a_standby(one, "pg_cancel_backend(pid)"))
            await revoking
            assert await one.copier.run_round()
            assert not await one.accepts(SID)


async def _ends_a_wait_for_a_standby(one, how):
    text = f"select {how} from pg_stat_activity where wait_event = 'SyncRep'"
    return bool(await one.database.fetch(Query("waiting", "", text)))


async def test_REL_4_with_both_away_nobody_is_told_yes_or_no(database_url, valkey):
    async with process(database_url, valkey.url) as one:
        await one.settle()
        await one.database.close()
        one.database._opener = Opener(
            PostgresSettings(url=SecretStr("postgresql://127.0.0.1:1/nobody"))
        )
        assert await one.accepts("somebody else")
        one.clock.advance(timedelta(seconds=5))
        with pytest.raises(Unavailable):
            await one.accepts("somebody else")
        await valkey.stop()
        with pytest.raises(Unavailable):
            await one.accepts("somebody else")


# Everything at once, in real time


async def _storm(database_url, seconds, seed):
    async with AsyncExitStack() as stack:
        settings = {"maxmemory": "8mb", "maxmemory-policy": "allkeys-lru"}
        valkey = await stack.enter_async_context(private_valkey(settings))
        wire = await stack.enter_async_context(Proxy.to(_socket(valkey)))
        storm = Storm(valkey, wire, seed=seed)
        for name in ("leader", "checker", "wired"):
            url = f"redis://127.0.0.1:{wire.port}" if name == "wired" else valkey.url
            opened = process(database_url, url, SystemClock(), timeout=DEADLINE)
            setattr(storm, name, await stack.enter_async_context(opened))
        await storm.rage(seconds)
        valkey.thaw()
        return storm


async def test_through_a_storm_nothing_revoked_long_ago_is_accepted(database_url):
    storm = await _storm(database_url, seconds=5, seed=1)
    assert storm.accepted_late == []
    assert storm.checks > 50
    assert storm.lookups("miss") > 0, "the cache was never trusted: nothing was proven"
    assert storm.refused_others == 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
async def test_through_long_storms_nothing_revoked_long_ago_is_accepted(database_url, seed):
    storm = await _storm(database_url, seconds=60, seed=seed)
    print(f"{storm.checks} checks, {len(storm.ended)} revocations, faults {storm.faults}")
    assert storm.accepted_late == []
    assert storm.lookups("miss") > 0, "the cache was never trusted: nothing was proven"
    assert storm.refused_others == 0


# The client: deadlines, the breaker, and answers that come late


async def test_an_answer_that_came_too_late_is_not_taken_for_the_next_one(valkey):
    async with Proxy.to(_socket(valkey)) as wire:
        cache = _cache(f"redis://127.0.0.1:{wire.port}", breaker_failures=1000)
        for n in range(3):
            await cache.execute("SET", f"key:{n}", f"value:{n}")
        for round_ in range(5):
            wire.hold("answers")
            results = await asyncio.gather(
                *(cache.execute("GET", "key:0") for _ in range(8)), return_exceptions=True
            )
            assert all(isinstance(result, CacheUnavailable) for result in results)
            wire.release()
            for n in range(3):
                assert await cache.execute("GET", f"key:{n}") == f"value:{n}".encode(), round_
        await cache.close()


async def test_a_question_its_asker_gave_up_on_does_not_disturb_the_next_one(valkey):
    """A browser that hangs up cancels the task in the middle of the question."""
    cache = _cache(valkey.url, timeout=5.0)
    await cache.execute("SET", "a", "A")
    await cache.execute("SET", "b", "B")
    for turns in range(40):
        task = asyncio.create_task(cache.execute("GET", "a"))
        for _ in range(turns % 8):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert await cache.execute("GET", "b") == b"B"
    await cache.close()


async def test_each_call_ends_within_its_deadline_connecting_included(valkey):
    cache = _cache(valkey.url)
    valkey.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(CacheUnavailable):
            await cache.execute("PING")
        assert time.monotonic() - began < 10 * DEADLINE
    finally:
        valkey.thaw()
        await cache.close()


async def test_a_connection_that_takes_longer_than_a_call_is_kept_for_the_next_one(valkey):
    """Three answers must come before the first command is sent, and each takes half a deadline."""
    async with Proxy.to(_socket(valkey)) as wire:
        url = f"redis://127.0.0.1:{wire.port}/3?client_name=keyturn"
        cache = _cache(url, breaker_failures=1000, timeout=0.2)
        wire.delay = 0.1
        with pytest.raises(CacheUnavailable, match="timeout"):
            await cache.execute("PING")
        wire.delay = 0.15
        deadline, answers = time.monotonic() + 10, set()
        while not answers:
            assert time.monotonic() < deadline, "every call began anew"
            with suppress(CacheUnavailable):
                answers.add(await cache.execute("PING"))
        assert answers == {b"PONG"}
        await cache.close()


async def test_while_the_breaker_is_open_trouble_costs_under_five_milliseconds(valkey):
    cache = _cache(valkey.url, breaker_pause=60.0)
    valkey.freeze()
    try:
        for _ in range(3):
            with pytest.raises(CacheUnavailable):
                await cache.execute("PING")
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(CacheUnavailable, match="breaker"):
                await cache.execute("PING")
        assert (time.monotonic() - began) / 100 < 0.005
    finally:
        valkey.thaw()
        await cache.close()


async def test_a_redis_that_comes_back_is_used_again_after_a_pause(valkey):
    clock = fixed_clock()
    cache = _cache(valkey.url, clock, timeout=2.0)
    await cache.execute("PING")
    await valkey.stop()
    for _ in range(4):
        with pytest.raises(CacheUnavailable):
            await cache.execute("PING")
    await valkey.start()
    with pytest.raises(CacheUnavailable, match="breaker"):
        await cache.execute("PING")
    clock.advance(timedelta(seconds=1))
    assert await cache.execute("PING") == b"PONG"
    await cache.close()


async def test_a_refused_command_is_no_reason_to_stop_asking(valkey):
    cache = _cache(valkey.url, timeout=2.0)
    await cache.execute("SET", "text", "x")
    for _ in range(10):
        with pytest.raises(CacheUnavailable, match="reply"):
            await cache.zmscore("text", "member")
    assert await cache.execute("GET", "text") == b"x"
    await cache.close()


async def test_a_script_runs_also_after_the_server_forgot_it(valkey):
    cache = _cache(valkey.url, timeout=2.0)
    script = "return {KEYS[1], ARGV[1]}"
    assert await cache.eval(script, ["k"], ["v"]) == [b"k", b"v"]
    await cache.execute("SCRIPT", "FLUSH")
    assert await cache.eval(script, ["k"], ["v"]) == [b"k", b"v"]
    await cache.close()


async def test_trouble_never_tells_the_password():
    cache = _cache("redis://user:hunter2-very-secret@127.0.0.1:1/0")
    with pytest.raises(CacheUnavailable) as caught:
        await cache.execute("PING")
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r} {cache!r}"
    await cache.close()


async def test_a_server_that_speaks_something_else_is_unavailable():
    async def speak(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    cache = _cache(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=2.0)
    for _ in range(3):
        with pytest.raises(CacheUnavailable):
            await cache.execute("PING")
    await cache.close()
    server.close()


async def test_nodes_that_send_us_to_each_other_are_left_alone_like_one_that_is_dead():
    asked, ports = [], []

    async def send_away(reader, writer):
        here = ports.index(writer.get_extra_info("sockname")[1])
        while (await reader.readline()).startswith(b"*"):
            asked.append(here)
            words = [await reader.readline() for _ in range(4)]
            if b"CLUSTER" in words[1]:
                writer.write(b"*1\r\n*2\r\n:0\r\n:16383\r\n")  # a range that nobody has
            else:
                writer.write(b"-MOVED 7 127.0.0.1:%d\r\n" % ports[1 - here])
        writer.close()

    async with AsyncExitStack() as stack:
        for _ in range(2):
            server = await asyncio.start_server(send_away, "127.0.0.1", 0)
            ports.append((await stack.enter_async_context(server)).sockets[0].getsockname()[1])
        url = f"redis+cluster://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}"
        cache = _cache(url, fixed_clock(), timeout=2.0)
        for _ in range(3):
            with pytest.raises(CacheUnavailable, match="InCircles"):
                await cache.execute("ECHO", "x")
        questions = len(asked)
        with pytest.raises(CacheUnavailable, match="open"):
            await cache.execute("ECHO", "x")
        assert len(asked) == questions
        await cache.close()


async def test_more_callers_than_connections_wait_for_their_turn(valkey):
    cache = _cache(valkey.url, timeout=5.0)
    answers = await asyncio.gather(*(cache.execute("ECHO", n) for n in range(500)))
    assert answers == [str(n).encode() for n in range(500)]
    clients = await command(valkey, "INFO", "clients")
    assert int(clients["connected_clients"]) <= 64 + 2
    await cache.close()


def _cache(url, clock=None, **settings):
    values = {"timeout": DEADLINE, **settings}
    return Cache(RedisSettings(url=SecretStr(url), **values), Metrics(), clock or SystemClock())


def _socket(valkey):
    return valkey.url.removeprefix("unix://").replace("%2F", "/")


async def _holds_the_set(server):
    return await command(server, "EXISTS", KEY) == 1


async def _until(holds):
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.02)


async def _settled(one):
    await _until(lambda: _round_succeeds(one))
    await _until(lambda: _round_succeeds(one))


async def _round_succeeds(one):
    try:
        done = await one.copier.run_round()
    except CacheUnavailable:
        done = False
    await one.tick()
    return done


async def _recover(one):
    """Run rounds until the cache is trusted again."""
    await _settled(one)
    assert not await one.asks_postgresql("somebody else")
