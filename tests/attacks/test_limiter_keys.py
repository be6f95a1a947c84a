"""Whoever invents accounts, addresses and clients by the million fills no memory (RL-3).

In the process the ledgers hold `throttle.memory_keys` counters each, the least recently used go
first. In Redis the limit on everybody bounds accounts and addresses, and clients share 65,536
counters. Each control takes the bound away, and everything is kept.
"""

import time
from collections import Counter

import pytest
import redis.asyncio

from attacks import limiter_keys
from attacks.limiter_keys import fail_as_client, fail_to_sign_in, ledger_of, limiter, resident
from attacks.stand import address
from keyturn.settings_credentials import ThrottleSettings
from keyturn.users.throttle import CLIENT_BUCKET, Throttle
from support.servers import private_valkey

MILLION = 1_000_000
SLICE = 5_000
BUCKETS = 16**CLIENT_BUCKET
UNLIMITED = 2 * MILLION
"""Of attempts altogether: no limit on everybody protects the memory then."""

ENTRY = 600
"""Bytes a counter takes in the process at most, its key included."""

MIB = 2**20
ATTEMPTS = {"accounts": fail_to_sign_in, "clients": fail_as_client}


async def through_the_limiter(kind: str, most: int) -> tuple[int, Counter[str]]:
    """Count a few thousand attempts; return how many counters are held, and outcomes."""
    settings = ThrottleSettings(memory_keys=most, global_attempts=UNLIMITED)
    async with limiter(settings) as throttle:
        tally = Counter(
            [await ATTEMPTS[kind](throttle, number, address(number)) for number in range(SLICE)]
        )
        return len(throttle._memory._counters) + len(throttle._memory_of_clients._counters), tally


@pytest.mark.parametrize("kind", ATTEMPTS)
async def test_the_ledger_of_a_process_holds_so_many_counters_and_no_more(kind):
    held, tally = await through_the_limiter(kind, 1000)
    assert (held, tally) == (1000, {"counted": SLICE})


@pytest.mark.parametrize(("kind", "least"), [("accounts", 2 * SLICE), ("clients", SLICE // 2)])
async def test_without_its_bound_it_would_hold_them_all(kind, least):
    held, _ = await through_the_limiter(kind, UNLIMITED)
    assert held > least


def million(
    throttle: Throttle, settings: ThrottleSettings, kind: str
) -> tuple[int, int, Counter[str]]:
    """Count a million in a ledger; return its counters, their memory, and outcomes."""
    ledger, before = ledger_of(settings), resident()
    if kind == "accounts":
        like = throttle._keys("ada@example.com", "203.0.113.7")
        tally = limiter_keys.guesses_in_process(ledger, like, iter(range(MILLION)))
    else:
        key = throttle._key("client", "somebody", CLIENT_BUCKET)
        tally = limiter_keys.clients_in_process(
            ledger, key, settings.client_attempts, iter(range(MILLION))
        )
    return len(ledger._counters), resident() - before, tally


@pytest.mark.long
@pytest.mark.parametrize("kind", ATTEMPTS)
async def test_a_million_keys_in_a_process_take_the_memory_of_its_ledger(kind):
    settings = ThrottleSettings(global_attempts=UNLIMITED)
    began = time.perf_counter()
    async with limiter(settings) as throttle:
        held, size, tally = million(throttle, settings, kind)
    print(f"a million {kind} in {time.perf_counter() - began:.0f} s: {held:,} counters in the")
    print(f"process, {size / MIB:.1f} MiB; {dict(tally)}")
    assert held == settings.memory_keys
    assert size < settings.memory_keys * ENTRY


@pytest.mark.long
@pytest.mark.parametrize("limits", ["default", "none on everybody"])
async def test_a_million_accounts_in_valkey_take_what_the_limit_on_everybody_lets_through(limits):
    """The control without that limit shows what it is for."""
    settings = ThrottleSettings(**({} if limits == "default" else {"global_attempts": UNLIMITED}))
    async with (
        private_valkey() as server,
        redis.asyncio.from_url(server.url) as client,
        limiter(settings) as throttle,
    ):
        like, began = throttle._keys("ada@example.com", "203.0.113.7"), time.perf_counter()
        before = (await client.info("memory"))["used_memory"]
        tally = await limiter_keys.guesses_in_redis(client, settings, like, iter(range(MILLION)))
        keys, size = await left_behind(client, before)
    seconds = time.perf_counter() - began
    print(f"a million accounts in {seconds:.0f} s, limits: {limits}: {keys:,} keys in Valkey,")
    print(f"{size / MIB:.1f} MiB; {dict(tally)}")
    if limits == "default":
        windows = 1 + seconds // settings.window
        assert keys <= 2 * settings.global_attempts * windows + 1
        assert size < 2 * settings.global_attempts * windows * ENTRY
    else:
        assert keys > MILLION


@pytest.mark.long
async def test_a_million_clients_in_valkey_share_their_counters():
    settings = ThrottleSettings()
    async with (
        private_valkey() as server,
        redis.asyncio.from_url(server.url) as client,
        limiter(settings) as throttle,
    ):
        key, began = throttle._key("client", "somebody", CLIENT_BUCKET), time.perf_counter()
        before = (await client.info("memory"))["used_memory"]
        tally = await limiter_keys.clients_in_redis(client, settings, key, iter(range(MILLION)))
        keys, size = await left_behind(client, before)
    print(f"a million clients in {time.perf_counter() - began:.0f} s: {keys:,} keys in Valkey,")
    print(f"{size / MIB:.1f} MiB; {dict(tally)}")
    assert keys <= BUCKETS
    assert size < BUCKETS * ENTRY


async def left_behind(client: redis.asyncio.Redis, before: int) -> tuple[int, int]:
    """Return how many keys there are and their memory, bytes; each ends by itself."""
    size = (await client.info("memory"))["used_memory"] - before
    sample = [await client.randomkey() for _ in range(200)]
    lasting = [key for key in sample if await client.pttl(key) == -1]  # -2: gone meanwhile
    assert lasting == []
    return await client.dbsize(), size
