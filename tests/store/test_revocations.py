"""The table, the copy in Redis and the copier between them, with their races."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import pytest
import redis.asyncio

from keyturn.db.queries import Query
from keyturn.errors import Unavailable
from keyturn.revocation import record
from keyturn.revocation.cache import BATCH
from keyturn.revocation.copy import MICROSECONDS, Copy, Mark, Outcome
from keyturn.revocation.record import LIFETIME, Horizon
from support.revoking import INTERVAL, KEY, TRUST, process

SID = "019f3c1e-0000-7000-8000-000000000001"
HOUR_AGO = "update revocations set revoked_at = revoked_at - interval '1 hour'"


def sql(text):
    return Query("test", "A statement of this test.", text)


@pytest.fixture
async def one(database_url, redis_url):
    async with process(database_url, redis_url) as running:
        yield running


@pytest.fixture
async def server(redis_url):
    """The same Redis, as its operator sees it."""
    async with redis.asyncio.from_url(redis_url, protocol=2, decode_responses=True) as client:
        yield client


async def members(server):
    return {member for member in await server.zrange(KEY, 0, -1) if ":" in member}


async def add_rows(process, count, prefix="bulk"):
    await process.database.execute(
        sql(
            "insert into revocations select 'sid', $1 || n, clock_timestamp(),"
            " now() + interval '1 hour' from generate_series(1, $2::int) n"
        ),
        prefix,
        count,
    )


def held_up(mark):
    """The same reading, a little longer ago than a claim may rest on."""
    return Mark(mark.text, str(int(mark.read_at) - int(1.1 * INTERVAL * MICROSECONDS)).encode())


# The table


async def test_a_revocation_is_in_force_once_its_transaction_has_committed(one):
    await one.revoke(SID, announce=False)
    assert not await one.accepts(SID)
    assert await one.accepts("another")


async def test_a_revocation_whose_transaction_fails_never_was(one):
    async def fail():
        async with one.database.transaction() as tx:
            await record.write(tx, "sid", [SID])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await one.accepts(SID)


async def test_a_token_ends_alone_and_a_session_with_all_its_tokens(one):
    await one.revocations.revoke_token("token-1")
    assert (await one.revocations.look_up(SID, "token-1")).revoked
    assert not (await one.revocations.look_up(SID, "token-2")).revoked
    assert (await one.revocations.look_up(None, "token-1")).revoked
    await one.revoke(SID)
    assert (await one.revocations.look_up(SID, "token-2")).revoked


async def test_a_session_and_a_token_of_one_name_are_different_things(one):
    await one.revocations.revoke_token(SID)
    assert not (await one.revocations.look_up(SID, "another")).revoked


async def test_revoking_again_changes_nothing(one):
    await one.revoke(SID)
    before = await one.database.fetch_row(sql("select * from revocations"))
    await one.revoke(SID)
    rows = await one.database.fetch(sql("select * from revocations"))
    assert [tuple(row) for row in rows] == [tuple(before)]


async def test_a_revocation_outlives_every_access_token(one):
    await one.revoke(SID)
    row = await one.database.fetch_row(
        sql("select expires_at - revoked_at as life from revocations")
    )
    assert abs(row["life"] - LIFETIME).total_seconds() < 1


@pytest.mark.parametrize(("setting", "then"), [("off", "on"), ("local", "on"), ("on", "on")])
async def test_a_revocation_commits_synchronously_also_where_rotations_do_not(one, setting, then):
    async with one.database.transaction() as tx:
        await tx.fetch_row(sql(f"select set_config('synchronous_commit', '{setting}', true)"))
        await record.write(tx, "sid", [SID])
        row = await tx.fetch_row(sql("select current_setting('synchronous_commit') as level"))
    assert row["level"] == then


async def test_a_stricter_commit_than_ours_is_left_alone(one):
    async with one.database.transaction() as tx:
        await tx.fetch_row(sql("select set_config('synchronous_commit', 'remote_apply', true)"))
        await record.write(tx, "sid", [SID])
        row = await tx.fetch_row(sql("select current_setting('synchronous_commit') as level"))
    assert row["level"] == "remote_apply"


async def test_transactions_that_end_the_same_sessions_in_other_orders_do_not_lock_each_other(one):
    ids = [f"session-{n}" for n in range(50)]

    async def end(order):
        async with one.database.transaction() as tx:
            await record.write(tx, "sid", order)

    await asyncio.gather(*(end(order) for order in (ids, ids[::-1], ids, ids[::-1])))
    row = await one.database.fetch_row(sql("select count(*) from revocations"))
    assert row["count"] == 50


async def test_expired_revocations_are_purged_in_batches_and_others_stay(one):
    await add_rows(one, 5, "old")
    await one.database.execute(
        sql("update revocations set revoked_at = now() - interval '2 h', expires_at = now()")
    )
    await add_rows(one, 3, "new")
    assert [await record.purge_expired(one.database, 2) for _ in range(4)] == [2, 2, 1, 0]
    row = await one.database.fetch_row(sql("select count(*) from revocations"))
    assert row["count"] == 3


async def test_the_copier_reads_by_an_index_in_its_order(one, database_url):
    """Else each page would sort all that is left."""
    await add_rows(one, 5000)
    connection = await asyncpg.connect(database_url)
    await connection.execute("analyze revocations; set plan_cache_mode = force_generic_plan")
    await connection.execute(f"prepare page as {record.SQL['since'].sql}")
    plan = await connection.fetch("explain execute page(null, null, null, null)")
    await connection.close()
    text = "\n".join(row[0] for row in plan)
    assert "Index Scan using revocations_revoked_at" in text
    assert "Presorted Key: revoked_at" in text


async def test_a_process_that_has_asked_the_table_may_believe_an_older_copy_within_the_bound(one):
    """Redis did not answer meanwhile. It may say no and then yes again, but not for longer."""
    await one.settle()
    await one.revoke(SID, announce=False)
    assert await one.accepts(SID)
    while not one.redis.breaker.is_open:
        one.redis.breaker.failed()
    assert not await one.accepts(SID)
    one.redis.breaker.succeeded()
    assert await one.accepts(SID)
    one.clock.advance(timedelta(seconds=TRUST))
    assert not await one.accepts(SID)


# The revoker's own entries


async def test_the_revoker_lists_its_own_at_once_without_claiming_completeness(one, server):
    await one.revoke(SID)
    assert await members(server) == {f"sid:{SID}"}
    assert await server.zscore(KEY, "upto") is None
    assert one.lookups("hit") == 0
    assert not await one.accepts(SID)
    assert one.lookups("hit") == 1


async def test_a_revoker_with_a_slow_clock_does_not_shorten_what_the_copier_wrote(one, server):
    await one.revoke(SID, announce=False)
    await one.settle()
    expiry = await server.zscore(KEY, f"sid:{SID}")
    await one.cache.add("sid", [SID], one.clock.now() - LIFETIME)
    assert await server.zscore(KEY, f"sid:{SID}") == expiry


async def test_many_sessions_ended_at_once_are_all_announced(one, server):
    ids = [f"session-{n}" for n in range(BATCH * 2 + 500)]
    await one.revocations.announce("sid", ids)
    assert await members(server) == {f"sid:{one}" for one in ids}


# The copier


async def test_the_copier_moves_upto_to_the_databases_time(one, server):
    await one.settle()
    row = await one.database.fetch_row(sql("select extract(epoch from now())::float8 as now"))
    upto = await server.zscore(KEY, "upto")
    assert 0 <= row["now"] - upto / MICROSECONDS < 10


async def test_an_announcement_that_was_lost_is_mended_by_the_next_round(one, server):
    await one.settle()
    await one.revoke(SID, announce=False)
    assert await members(server) == set()
    await one.copier.run_round()
    assert await members(server) == {f"sid:{SID}"}
    row = await one.database.fetch_row(
        sql("select (extract(epoch from expires_at) * 1000000)::bigint as at from revocations")
    )
    assert await server.zscore(KEY, f"sid:{SID}") == row["at"]


async def test_only_what_its_revoker_could_not_announce_counts_as_late(one):
    def observed():
        name = "keyturn_revocation_propagation_seconds_count"
        return one.metrics.registry.get_sample_value(name)

    await one.settle()
    await one.revoke("announced")
    assert observed() == 1
    await one.copier.run_round()
    assert observed() == 1
    await one.revoke("not announced", announce=False)
    await one.copier.run_round()
    assert observed() == 2


async def test_what_has_expired_is_trimmed_and_upto_is_not(one, server):
    await one.settle()
    await server.zadd(KEY, {"sid:long ago": 1_000_000})
    await one.copier.run_round()
    assert await members(server) == set()
    assert await server.zscore(KEY, "upto") is not None


async def test_what_is_settled_is_not_read_again(one, server):
    """Removed behind its back, which nothing but an operator does, a member stays away."""
    one.copier.overlap = 0
    await one.settle()
    await one.revoke(SID)
    await one.copier.run_round()
    await server.zrem(KEY, f"sid:{SID}")
    await one.copier.run_round()
    assert await members(server) == set()


async def test_a_set_that_was_rolled_back_is_gone_on_with_from_there(one, server, redis_url):
    """A replica that lagged was promoted: what we wrote to the old primary is not in it."""
    await one.settle()
    async with redis.asyncio.from_url(redis_url, protocol=2) as raw:
        lagging = await raw.dump(KEY)
        await one.revoke(SID)
        assert await one.copier.run_round()
        await raw.restore(KEY, 0, lagging, replace=True)
    assert await members(server) == set()
    assert await one.copier.run_round()
    assert await members(server) == {f"sid:{SID}"}


async def test_the_last_seconds_are_read_again_whoever_leads(one, server, database_url, redis_url):
    await one.settle()
    await one.revoke(SID)
    await one.copier.run_round()
    await server.zrem(KEY, f"sid:{SID}")
    async with process(database_url, redis_url) as other:
        await other.copier.run_round()
    assert await members(server) == {f"sid:{SID}"}


@pytest.mark.parametrize(
    "damage",
    [
        ("FLUSHALL",),
        ("DEL", KEY),
        ("ZREM", KEY, "upto"),
        ("ZREM", KEY, "settled"),
        ("SET", KEY, "junk"),
        ("LPUSH", KEY, "junk"),
        ("ZADD", KEY, "inf", "upto"),
        ("ZADD", KEY, "-inf", "upto"),
        ("ZADD", KEY, "-5", "upto"),
        ("ZADD", KEY, "3e15", "upto"),
        ("ZADD", KEY, "1e300", "upto"),
        ("ZADD", KEY, "3e15", "settled"),
    ],
    ids=" ".join,
)
async def test_a_set_that_lost_its_claim_is_made_anew_with_everything_in_it(one, server, damage):
    if damage[0] == "LPUSH":
        await server.delete(KEY)
    else:
        await one.settle()
    await one.revoke("old", announce=False)
    await one.database.execute(sql(HOUR_AGO))
    await one.revoke("new", announce=False)
    if damage[0] == "SET":
        await server.delete(KEY)
    await server.execute_command(*damage)
    assert await one.copier.run_round()
    assert await members(server) == {"sid:old", "sid:new"}
    assert await server.ttl(KEY) == -1
    assert await server.keys("*") == [KEY]


async def test_a_full_copy_takes_more_rows_than_fit_one_command(one, server):
    await add_rows(one, 2 * BATCH + 7)
    assert await one.copier.run_round()
    assert len(await members(server)) == 2 * BATCH + 7


async def test_a_mass_revocation_is_copied_whole_into_the_set_that_is_there(one, server):
    await one.settle()
    await server.zadd(KEY, {"sid:of somebody else": 4e15})
    await add_rows(one, 2 * BATCH + 7)
    assert await one.copier.run_round()
    assert len(await members(server)) == 2 * BATCH + 8


async def test_what_is_revoked_during_a_full_copy_comes_with_the_next_round(one, server):
    one.copier.overlap = 0

    async def meanwhile(query):
        if query.name == "since":
            one.database.meanwhile = None
            await add_rows(one, 2 * BATCH, prefix="aaa")

    await add_rows(one, 3, prefix="zzz")
    one.database.meanwhile = meanwhile
    assert await one.copier.run_round()
    assert await one.copier.run_round()
    assert len(await members(server)) == 2 * BATCH + 3


# What comes to light long after its time: a commit that waits for a standby. Nothing is read twice
# here (`overlap`), so that it makes no difference how long ago that was.


@asynccontextmanager
async def unseen(process, sid=SID):
    """A revocation that is written and not committed for the length of the block."""
    process.copier.overlap = 0
    async with process.database.transaction() as tx:
        await record.write(tx, "sid", [sid])
        yield


async def test_what_comes_to_light_after_its_time_was_copied_is_copied_then(one, server):
    async with unseen(one):
        await one.settle()
        await one.settle()
        assert await members(server) == set()
    await one.copier.run_round()
    assert await members(server) == {f"sid:{SID}"}


async def test_while_something_waits_to_come_to_light_the_copy_is_trusted(one):
    async with unseen(one):
        await one.settle()
        await one.revoke("another", announce=False)
        await one.settle()
        assert not await one.asks_postgresql()
        assert not await one.accepts("another")


async def test_what_comes_to_light_after_a_full_copy_is_copied(one, server):
    async with unseen(one):
        await server.flushdb()
        assert await one.copier.run_round()
    await one.copier.run_round()
    assert await members(server) == {f"sid:{SID}"}


async def test_what_comes_to_light_under_another_leader_is_copied(
    one, server, database_url, redis_url
):
    async with process(database_url, redis_url) as other:
        other.copier.overlap = 0
        async with unseen(one):
            await one.settle()
        assert await other.copier.run_round()
    assert await members(server) == {f"sid:{SID}"}


async def test_what_a_revoker_could_not_confirm_and_did_not_repeat_is_copied(one):
    """It was answered 503; when it tries again the session is over, and it announces nothing."""
    async with unseen(one):
        await one.settle()
    async with one.database.transaction() as again:
        await record.write(again, "sid", [SID])
    assert await one.accepts(SID)
    assert await one.copier.run_round()
    assert not await one.accepts(SID)
    assert not await one.asks_postgresql(SID)


async def test_a_writer_whose_start_is_hidden_settles_nothing(one, database_url, redis_url, server):
    """Another role's transaction: that it writes can be seen, since when it does not."""
    login = f"{database_url}{'&' if '?' in database_url else '?'}role=pg_read_all_data"
    async with process(login, redis_url) as other:
        other.copier.overlap = 0
        async with unseen(one):
            await other.settle()
            assert await members(server) == set()
        assert await other.copier.run_round()
    assert await members(server) == {f"sid:{SID}"}


# Many at once: in parts, each of which may be the last that arrives


@dataclass
class HeldUp:
    """The set, from which the first `late` readings come too late to rest a claim on."""

    copy: Copy
    late: int

    def __getattr__(self, name):
        return getattr(self.copy, name)

    async def read(self):
        mark = await self.copy.read()
        self.late -= 1
        return mark if self.late < 0 else held_up(mark)


async def test_a_pass_too_long_to_be_believed_is_followed_by_a_short_one(one, server):
    await one.settle()
    await add_rows(one, 2 * BATCH + 7)
    pages = 0

    async def count(query):
        nonlocal pages
        pages += query.name == "since"

    one.database.meanwhile = count
    one.copier.copy = HeldUp(one.copier.copy, late=1)
    assert await one.copier.run_round()
    assert pages == 3 + 1
    assert len(await members(server)) == 2 * BATCH + 7


async def test_a_round_that_is_always_too_late_gives_up_and_is_counted(one, server):
    await one.settle()
    before = await server.zscore(KEY, "upto")
    one.copier.copy = HeldUp(one.copier.copy, late=100)
    await one.revoke(SID, announce=False)
    assert not await one.copier.run_round()
    assert one.copies("late") == 1
    assert await server.zscore(KEY, "upto") == before
    assert await members(server) == {f"sid:{SID}"}


async def test_after_a_round_cut_off_in_the_middle_the_next_goes_on(one, server):
    """What came to light since, older than the parts that had arrived, is not skipped."""
    pages = 0

    async def cut(query):
        nonlocal pages
        pages += query.name == "since"
        if pages == 3:
            raise Unavailable("cut")

    await one.settle()
    async with unseen(one):
        await add_rows(one, 3 * BATCH)
        one.database.meanwhile = cut
        with pytest.raises(Unavailable):
            await one.copier.run_round()
        assert len(await members(server)) == 2 * BATCH
    one.database.meanwhile = None
    assert await one.copier.run_round()
    assert len(await members(server)) == 3 * BATCH + 1


@pytest.mark.parametrize("moves", [True, False], ids=["settled moves", "settled stands still"])
async def test_a_replica_promoted_between_two_parts_is_not_taken_for_complete(
    one, server, redis_url, moves
):
    """It has the mark of the last round, and not the part that was written since."""
    async with AsyncExitStack() as stack:
        raw = await stack.enter_async_context(redis.asyncio.from_url(redis_url, protocol=2))
        if not moves:
            await stack.enter_async_context(unseen(one))
        await one.settle()
        lagging = await raw.dump(KEY)
        await add_rows(one, 2 * BATCH)
        pages = 0

        async def promote(query):
            nonlocal pages
            pages += query.name == "since"
            if pages == 2:
                one.database.meanwhile = None
                await raw.restore(KEY, 0, lagging, replace=True)

        one.database.meanwhile = promote
        assert not await one.copier.run_round()
        assert one.copies("overtaken") == 1
        assert await one.copier.run_round()
        assert len(await members(server)) == 2 * BATCH


@pytest.mark.long
@pytest.mark.parametrize("count", [100_000, 1_000_000])
async def test_a_mass_revocation_takes_one_round_and_seconds_later_rounds_are_short_again(
    one, count
):
    """Committed at once, announced by nobody: the worst a sweep could do to the copier."""
    lag = 0.0

    async def watch_loop():
        nonlocal lag
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.001)
            lag = max(lag, time.monotonic() - began)

    async def timed_round():
        began = time.monotonic()
        assert await one.copier.run_round()
        return time.monotonic() - began

    await one.settle()
    for part in range(count // 20_000):
        await add_rows(one, 20_000, prefix=f"{part}-")
    watching = asyncio.create_task(watch_loop())
    rounds = [await timed_round() for _ in range(6)]
    await asyncio.sleep(one.copier.overlap / MICROSECONDS)
    rounds.append(await timed_round())
    watching.cancel()
    print(f"{count} rows: rounds of {[round(took, 3) for took in rounds]} s, loop lag {lag:.3f} s")
    assert rounds[-1] < INTERVAL
    assert lag < INTERVAL


# Races within one round: between reading and writing


@pytest.mark.parametrize(
    "damage", [("FLUSHALL",), ("ZADD", KEY, "5000000", "upto"), ("SET", KEY, "junk")]
)
async def test_a_round_that_was_overtaken_claims_nothing(one, server, damage):
    await one.settle()

    async def meanwhile(_query):
        one.database.meanwhile = None
        await server.execute_command(*damage)

    one.database.meanwhile = meanwhile
    assert not await one.copier.run_round()
    await one.tick()
    assert await one.asks_postgresql()
    assert await one.copier.run_round()


async def test_two_copiers_at_once_cannot_both_claim(one, database_url, redis_url):
    """A leader that lost its lock without noticing."""
    await one.settle()
    async with process(database_url, redis_url) as other:

        async def meanwhile(_query):
            one.database.meanwhile = None
            assert await other.copier.run_round()

        one.database.meanwhile = meanwhile
        assert not await one.copier.run_round()


async def test_a_staged_set_that_was_evicted_half_way_is_not_put_in_place(one, server):
    await add_rows(one, 2 * BATCH)
    pages = 0

    async def meanwhile(query):
        nonlocal pages
        pages += query.name == "since"
        if pages == 2:
            staged = [key for key in await server.keys("*") if key != KEY]
            await server.delete(*staged)

    one.database.meanwhile = meanwhile
    assert not await one.copier.run_round()
    assert await server.keys("*") == []
    one.database.meanwhile = None
    assert await one.copier.run_round()
    assert len(await members(server)) == 2 * BATCH


async def test_a_claim_that_was_held_up_since_its_reading_is_refused(one, server):
    """A frozen copier, or a packet that waited in a network: the mark is still the one read."""
    await one.settle()
    copy = Copy(one.redis, KEY, INTERVAL)
    mark = await copy.read()
    before = await server.zscore(KEY, "upto")
    horizon = Horizon(int(before) + 1, int(before))
    assert await copy.claim(held_up(mark), horizon) is Outcome.LATE
    assert await server.zscore(KEY, "upto") == before
    assert await copy.claim(mark, horizon) is Outcome.COPIED
    assert await server.zscore(KEY, "upto") == before + 1


async def test_revokers_a_copier_and_flushes_at_once_lose_nothing(
    one, server, database_url, redis_url
):
    """Whatever is revoked, announced or not, is refused after the commit plus one round."""
    ended: list[str] = []
    async with process(database_url, redis_url) as checker:

        async def revoke(number):
            for n in range(15):
                await one.revoke(f"{number}-{n}", announce=n % 2 == 0)
                ended.append(f"{number}-{n}")

        async def flush():
            for _ in range(10):
                await server.flushdb()
                await asyncio.sleep(0)

        async def copy_and_check():
            while len(ended) < 60:
                committed = tuple(ended)
                if await one.copier.run_round():
                    await checker.tick()
                    for sid in committed:
                        assert not await checker.accepts(sid), sid

        await asyncio.gather(*(revoke(n) for n in range(4)), flush(), copy_and_check())
        for _ in range(2):
            await one.copier.run_round()
            await checker.tick()
        assert not await checker.asks_postgresql("somebody else")
        assert [sid for sid in ended if await checker.accepts(sid)] == []
    assert await members(server) == {f"sid:{sid}" for sid in ended}


# What a check costs


async def test_a_check_costs_no_statement_while_the_cache_is_trusted_and_one_otherwise(one):
    assert await one.asks_postgresql()
    assert one.lookups("untrusted") == 1
    await one.settle()
    assert not await one.asks_postgresql()
    assert one.lookups("miss") == 1


async def test_a_process_without_traffic_trusts_the_cache_from_its_first_token_on(one):
    """It has only looked twice a second."""
    await one.settle()
    for _ in range(20):
        await one.copier.run_round()
        await one.tick()
    assert not await one.asks_postgresql()


async def test_a_check_that_finds_the_entry_needs_no_trust(one):
    await one.revoke(SID)
    assert not await one.asks_postgresql(SID)


async def test_without_redis_every_check_is_one_statement_and_no_error(database_url):
    async with process(database_url, None) as alone:
        await alone.revoke(SID)
        assert not await alone.accepts(SID)
        assert await alone.asks_postgresql()
        assert alone.lookups("error") == 0
        errors = alone.metrics.redis_errors._children
        assert {one._value.get() for one in errors.values()} == {0}
