"""Guessing limits on a real Valkey, and inside the process while there is none (CR-5, RL-2, RL-3).

Every rule is tried in both places: a limit that holds only while Redis is there is none.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import redis.asyncio

from keyturn.cache.client import Cache
from keyturn.clock import FixedClock, SystemClock
from keyturn.crypto.secrets import MasterSecrets
from keyturn.errors import InvalidCredentials, Throttled, Unavailable
from keyturn.settings_credentials import ThrottleSettings
from keyturn.settings_redis import RedisSettings
from keyturn.telemetry.metrics import Metrics
from keyturn.users.throttle import Throttle
from support.people import ELSEWHERE, HERE, ISSUER
from support.servers import private_valkey

ADA, BOB = "ada@example.com", "bob@example.com"
SECRETS = MasterSecrets({1: b"a master secret of a test, 32 bytes+"})
LIMITS = ThrottleSettings(
    account_attempts=5, address_attempts=8, global_attempts=20, client_attempts=3, memory_keys=1000
)


@dataclass
class Place:
    """Where the counters are, and how a test makes time pass there."""

    throttle: Throttle
    clock: FixedClock
    server: redis.asyncio.Redis | None

    async def attempt(self, account: str = ADA, address: str = HERE, end: str = "wrong") -> str:
        """Try once; return what came of it."""
        try:
            async with self.throttle.guess(account, address):
                if end != "right":
                    raise InvalidCredentials if end == "wrong" else Unavailable("test")
        except Throttled as refusal:
            return f"wait {refusal.retry_after}"
        except (InvalidCredentials, Unavailable):
            return end
        return "right"

    async def attempts(self, times: int, *args: str) -> list[str]:
        return [await self.attempt(*args) for _ in range(times)]

    async def wait(self, seconds: float) -> None:
        """Let time pass: on the server by bringing every moment and every expiry nearer."""
        self.clock.advance(timedelta(seconds=seconds))
        if self.server is None:
            return
        milliseconds = int(seconds * 1000)
        for key in await self.server.keys():
            if await self.server.type(key) == b"hash" and (
                free := await self.server.hget(key, "free")
            ):
                await self.server.hset(key, "free", int(free) - milliseconds)
            await self.server.pexpire(key, max(0, await self.server.pttl(key) - milliseconds))

    def lockouts(self) -> list[float | None]:
        """How often the limit of an account began to hold, and that of an address."""
        value = self.throttle.metrics.registry.get_sample_value
        return [value("keyturn_lockouts_total", {"scope": one}) for one in ("account", "address")]

    def refusals(self, rule: str) -> float | None:
        registry = self.throttle.metrics.registry
        return registry.get_sample_value("keyturn_throttled_total", {"rule": rule})


pytestmark = pytest.mark.moment(1)
"""Redis keeps its own time, in which a delay is a second at least."""

IN_REDIS = pytest.mark.parametrize("place", ["redis"], indirect=True)
IN_MEMORY = pytest.mark.parametrize("place", ["memory"], indirect=True)


@pytest.fixture(params=["redis", "memory"])
async def place(request, redis_url):
    clock, metrics = FixedClock(datetime(2026, 1, 1, tzinfo=UTC)), Metrics()
    url = redis_url if request.param == "redis" else None
    cache = Cache(RedisSettings(url=url, timeout=2.0), metrics, SystemClock())
    throttle = Throttle(cache, LIMITS, SECRETS, ISSUER, metrics, clock)
    async with redis.asyncio.from_url(redis_url) as server:
        yield Place(throttle, clock, server if url else None)
    await cache.close()


async def test_a_hundred_guesses_at_once_do_not_pass(place):
    results = await asyncio.gather(*(place.attempt() for _ in range(100)))
    assert results.count("wrong") == 5
    assert results.count("wait 1") == 95
    assert place.refusals("account") == 95


async def test_an_account_is_delayed_twice_as_long_each_time_and_never_locked(place):
    assert await place.attempts(5) == ["wrong"] * 5
    waits = []
    for number in range(11):
        address = f"198.51.100.{number}"
        refused = await place.attempt(ADA, address)
        seconds = int(refused.removeprefix("wait "))
        waits.append(seconds)
        await place.wait(seconds + 0.1)
        assert await place.attempt(ADA, address) == "wrong"
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


async def test_known_and_unknown_accounts_are_delayed_alike(place):
    """The limit never looks whether the account exists; two e-mails give one sequence."""
    first, second = await place.attempts(7, ADA), await place.attempts(7, BOB, ELSEWHERE)
    assert first == second == ["wrong"] * 5 + ["wait 1"] * 2


async def test_failures_are_forgotten_a_window_after_the_last_delay(place):
    await place.attempts(5)
    await place.wait(1 + LIMITS.window + 1)
    assert await place.attempts(6) == ["wrong"] * 5 + ["wait 1"]


async def test_a_success_clears_the_accounts_failures(place):
    assert await place.attempts(3) == ["wrong"] * 3
    assert await place.attempt(end="right") == "right"
    assert await place.attempts(5) == ["wrong"] * 5


async def test_the_moment_a_limit_begins_to_hold_is_counted_once(place):
    assert await place.attempt() == "wrong"
    assert await place.attempts(5, ADA, HERE, "right") == ["right"] * 5
    assert place.lockouts() == [0, 0]
    assert await place.attempts(7, ADA, HERE) == ["wrong"] * 5 + ["wait 1"] * 2
    assert place.lockouts() == [1, 0]
    assert await place.attempts(5, BOB, HERE) == ["wrong"] * 2 + [f"wait {LIMITS.window}"] * 3
    assert place.lockouts() == [1, 1]


async def test_a_success_does_not_clear_the_address(place):
    """Or whoever holds one account could guess at all others from there."""
    for number in range(8):
        assert await place.attempt(f"{number}@example.com") == "wrong"
        await place.attempt(BOB, HERE, "right")
    assert await place.attempt("nine@example.com") == f"wait {LIMITS.window}"
    assert place.refusals("address") > 0


async def test_an_address_may_sign_in_as_often_as_it_likes(place):
    assert await place.attempts(30, ADA, HERE, "right") == ["right"] * 30


async def test_an_addresss_window_ends(place):
    for number in range(8):
        await place.attempt(f"{number}@example.com")
    await place.wait(LIMITS.window / 2)
    assert await place.attempt("x@example.com") == f"wait {LIMITS.window // 2}"
    await place.wait(LIMITS.window / 2 + 1)
    assert await place.attempt("x@example.com") == "wrong"


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("203.0.113.7", "203.0.113.8", False),
        ("203.0.113.7", "::ffff:203.0.113.7", True),
    ],
)
async def test_an_ipv6_site_counts_as_one_address(place, first, second, alike):
    for number in range(8):
        await place.attempt(f"{number}@example.com", first)
    assert (await place.attempt("x@example.com", second) != "wrong") is alike


async def test_everybody_together_has_a_limit(place):
    for number in range(20):
        assert await place.attempt(f"{number}@example.com", f"203.0.113.{number}") == "wrong"
    assert await place.attempt(ADA, ELSEWHERE) == f"wait {LIMITS.window}"
    assert place.refusals("global") == 1


async def test_a_stranger_who_fails_on_purpose_does_not_keep_people_from_where_they_signed_in(
    place,
):
    assert await place.attempt(ADA, HERE, "right") == "right"
    assert (await place.attempts(6, ADA, ELSEWHERE))[-1] == "wait 1"
    assert await place.attempt(ADA, HERE, "right") == "right"
    for number in range(20):
        await place.attempt(f"{number}@example.com", f"198.51.100.{number + 100}")
    assert await place.attempt(BOB, ELSEWHERE) == f"wait {LIMITS.window}", "the flood is on"
    assert await place.attempt(ADA, HERE, "right") == "right"


async def test_an_address_that_signed_in_is_delayed_there_too(place):
    await place.attempt(ADA, HERE, "right")
    assert await place.attempts(6, ADA, HERE) == ["wrong"] * 5 + ["wait 1"]


async def test_an_attempt_nothing_was_learnt_from_does_not_count(place):
    assert await place.attempts(10, ADA, HERE, "away") == ["away"] * 10
    assert await place.attempts(6) == ["wrong"] * 5 + ["wait 1"]


async def test_a_caller_who_goes_away_stays_counted(place):
    """Else a guesser would hang up before each answer and be counted never."""

    async def hang_up(entered: asyncio.Event) -> None:
        async with place.throttle.guess(ADA, HERE):
            entered.set()
            await asyncio.Event().wait()

    for _ in range(5):
        entered = asyncio.Event()
        task = asyncio.create_task(hang_up(entered))
        await entered.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await place.attempt() == "wait 1"


async def test_client_secrets_are_counted_when_they_fail_and_never_lock_a_client_out(place):
    for _ in range(3):
        await place.throttle.client_failed("web", HERE)
    with pytest.raises(Throttled) as refusal:
        await place.throttle.client_failed("web", HERE)
    assert refusal.value.retry_after == LIMITS.window
    await place.throttle.client_failed("web", ELSEWHERE)
    assert await place.attempt() == "wrong", "passwords are counted apart"
    await place.wait(LIMITS.window + 1)
    await place.throttle.client_failed("web", HERE)


@IN_MEMORY
async def test_memory_is_bounded_in_the_process(place):
    place.throttle._memory.settings = LIMITS.model_copy(
        update={"memory_keys": 1000, "global_attempts": 10**6, "address_attempts": 10**6}
    )
    for number in range(3000):
        await place.attempt(f"{number}@example.com")
    assert len(place.throttle._memory._counters) == 1000


@IN_MEMORY
async def test_rl_3_no_flood_makes_the_process_forget_whom_it_delays(place):
    """Names of clients cost nothing to invent; accounts and addresses are limited altogether."""
    await place.attempts(5)
    for number in range(3000):
        with contextlib.suppress(Throttled):
            await place.throttle.client_failed(f"client {number}", ELSEWHERE)
        await place.attempt(f"{number}@example.com", f"2001:db8:0:{number:x}::1")
    assert await place.attempt() == "wait 1"
    assert len(place.throttle._memory_of_clients._counters) == LIMITS.memory_keys


async def test_a_flood_of_names_leaves_no_more_keys_than_the_global_limit_admits(place):
    for number in range(300):
        await place.attempt(f"{number}@example.com", f"2001:db8:0:{number:x}::1")
    held = (
        len(place.throttle._memory._counters)
        if place.server is None
        else await place.server.dbsize()
    )
    assert held <= 2 * LIMITS.global_attempts + 1


@IN_REDIS
async def test_a_flood_of_client_names_shares_counters(place):
    """Of 2,000 names under 65,536 counters about thirty pairs meet: names do not add keys."""
    for number in range(2000):
        await place.throttle.client_failed(f"client {number}", HERE)
    assert 1900 < await place.server.dbsize() < 2000


@IN_REDIS
async def test_no_email_and_no_address_stands_in_redis(place):
    await place.attempt()
    await place.attempt(ADA, HERE, "right")
    await place.attempt()
    await place.throttle.client_failed("web-client", HERE)
    keys = await place.server.keys()
    assert len(keys) == 5
    assert min([await place.server.pttl(key) for key in keys]) > 0
    dump = b" ".join(keys) + b" ".join([await place.server.dump(key) for key in keys])
    for word in (b"ada", b"example.com", HERE.encode(), b"203.0", b"web-client"):
        assert word not in dump


@IN_REDIS
async def test_junk_under_our_keys_falls_back_to_the_process(place):
    keys = place.throttle._keys(ADA, HERE)
    for key in (keys.account, keys.address, keys.everybody):
        await place.server.set(key, "junk")
    assert await place.attempts(6) == ["wrong"] * 5 + ["wait 1"]


async def test_rl_2_limits_hold_when_redis_stops_during_an_attack():
    metrics, clock = Metrics(), SystemClock()
    async with private_valkey() as server:
        cache = Cache(RedisSettings(url=server.url, timeout=0.5), metrics, clock)
        throttle = Throttle(cache, LIMITS, SECRETS, ISSUER, metrics, clock)
        place = Place(throttle, FixedClock(datetime(2026, 1, 1, tzinfo=UTC)), None)
        assert await place.attempts(6) == ["wrong"] * 5 + ["wait 1"]
        await server.stop()
        results = await asyncio.gather(*(place.attempt() for _ in range(100)))
        assert results.count("wrong") == 5, "one more budget, not none and not every one"
        assert await place.attempt(BOB, ELSEWHERE) == "wrong", "others may still try"
        assert await place.attempt(BOB, ELSEWHERE, "right") == "right"
    await cache.close()
