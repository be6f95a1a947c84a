"""A million callers nobody has seen before, counted by the limiter's own rules.

A few thousand come through the limiter itself. A million come straight to its ledgers and scripts
under keys that are spelt as the limiter spells them, without the five digests that each attempt
costs: what is asked is what they leave behind.
"""

import resource
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import redis.asyncio

from keyturn.cache.client import Cache
from keyturn.clock import SystemClock
from keyturn.crypto.secrets import MasterSecrets
from keyturn.errors import InvalidCredentials, Throttled
from keyturn.settings_credentials import ThrottleSettings
from keyturn.settings_redis import RedisSettings
from keyturn.telemetry.metrics import Metrics
from keyturn.users.throttle import COUNT, KNOWN_FOR, RESERVE, Throttle
from keyturn.users.throttle_memory import Admitted, GuessKeys, MemoryLedger

ISSUER = "https://id.example"
BATCH = 1000
SPREAD = 2654435761
"""Knuth's multiplier: numbers in order fall into buckets out of order."""


@asynccontextmanager
async def limiter(settings: ThrottleSettings) -> AsyncIterator[Throttle]:
    """Build one as a process has it that has no Redis."""
    metrics, clock = Metrics(), SystemClock()
    cache = Cache(RedisSettings(), metrics, clock)
    secrets = MasterSecrets({1: b"a master secret of a test, 32 bytes+"})
    yield Throttle(cache, settings, secrets, ISSUER, metrics, clock)


async def fail_to_sign_in(throttle: Throttle, number: int, address: str) -> str:
    """Guess at an account of its own from an address of its own; return what came of it."""
    try:
        async with throttle.guess(f"{number}@example.com", address):
            raise InvalidCredentials("account: unknown")  # noqa: TRY301 - as the rule it stands for
    except InvalidCredentials:
        return "counted"
    except Throttled as held:
        return held.detail


async def fail_as_client(throttle: Throttle, number: int, address: str) -> str:
    """Show a wrong secret of a client that does not exist; return what came of it."""
    try:
        await throttle.client_failed(f"client-{number}", address)
    except Throttled as held:
        return held.detail
    return "counted"


def guess_keys(like: GuessKeys, number: int) -> GuessKeys:
    """Return the keys of an attempt nobody made before, spelt as those of a real one."""

    def own(key: str) -> str:
        return f"{key[:-32]}{number:032x}"

    return GuessKeys(
        own(like.account),
        own(like.account_here),
        own(like.known),
        own(like.address),
        like.everybody,
    )


def client_key(like: str, number: int) -> str:
    """Return the key of a client and an address nobody named before."""
    return f"{like[:-4]}{number * SPREAD >> 16 & 0xFFFF:04x}"


def guesses_in_process(
    ledger: MemoryLedger, like: GuessKeys, numbers: Iterator[int]
) -> Counter[str]:
    """Count every attempt; return what came of them."""
    tally: Counter[str] = Counter()
    for number in numbers:
        verdict = ledger.reserve(guess_keys(like, number))
        tally["counted" if isinstance(verdict, Admitted) else verdict.rule] += 1
    return tally


def clients_in_process(
    ledger: MemoryLedger, like: str, most: int, numbers: Iterator[int]
) -> Counter[str]:
    """Count every failure; return what came of them."""
    tally: Counter[str] = Counter()
    for number in numbers:
        tally["client" if ledger.count(client_key(like, number), most) else "counted"] += 1
    return tally


def ledger_of(settings: ThrottleSettings) -> MemoryLedger:
    """Return an empty one, as the limiter makes it."""
    return MemoryLedger(settings, SystemClock(), KNOWN_FOR.total_seconds())


async def guesses_in_redis(
    client: redis.asyncio.Redis, settings: ThrottleSettings, like: GuessKeys, numbers: Iterator[int]
) -> Counter[str]:
    """Run the limiter's script for every attempt, a thousand a round trip."""
    script, tally = await client.script_load(RESERVE), Counter[str]()
    window, longest = settings.window * 1000, settings.longest_delay * 1000
    limits = (settings.account_attempts, longest, window)
    limits += (settings.address_attempts, settings.global_attempts)
    while some := list(islice(numbers, BATCH)):
        pipe = client.pipeline(transaction=False)
        for number in some:
            keys = guess_keys(like, number)
            five = (keys.account, keys.account_here, keys.known, keys.address, keys.everybody)
            pipe.evalsha(script, 5, *five, *limits)
        tally.update(told[0].decode() or "counted" for told in await pipe.execute())
    return tally


async def clients_in_redis(
    client: redis.asyncio.Redis, settings: ThrottleSettings, like: str, numbers: Iterator[int]
) -> Counter[str]:
    """Run the limiter's script for every failure of a client."""
    script, tally = await client.script_load(COUNT), Counter[str]()
    limits = (settings.client_attempts, settings.window * 1000)
    while some := list(islice(numbers, BATCH)):
        pipe = client.pipeline(transaction=False)
        for number in some:
            pipe.evalsha(script, 1, client_key(like, number), *limits)
        tally.update("client" if wait else "counted" for wait in await pipe.execute())
    return tally


def resident() -> int:
    """Return the memory this process holds now, bytes."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()
