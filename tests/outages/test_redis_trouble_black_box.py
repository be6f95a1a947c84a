"""Redis stopped, frozen, flushed, restarted empty, evicting, cut off: seen through two replicas.

Nothing is accepted that was revoked more than 2.5 s ago, and nobody alive is refused. A checker
asks both replicas about everything that was ever ended here, all the time, through every fault.
The rules themselves are taken apart in `test_redis_trouble`; here are whole servers.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import pytest
import redis.asyncio

from support.api import GATEWAY, Api, Person, SignedIn
from support.disturbed import Disturbed, disturbed
from support.patience import DATABASE

BOUND = 2.5
PATIENCE = 30.0
REPLICAS = (0, 1)
CHECKS = 200
REFRESHES = 60
LOOKUPS = re.compile(
    r'^keyturn_revocation_cache_lookups_total{result="(\w+)"} (\S+)$', re.MULTILINE
)


@dataclass
class Checker:
    """Asks about everything that ended, and about one session that lives."""

    world: Disturbed
    person: Person
    alive: SignedIn
    ended: list[tuple[SignedIn, float]] = field(default_factory=list)
    accepted_for: float = 0.0
    """The longest time after its end that a session was still accepted."""
    old: int = 0
    """Checks of what had ended longer ago than the bound."""
    refused_alive: int = 0
    wanted: bool = True

    @property
    def api(self) -> Api:
        return self.world.api

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Check for the length of the block."""
        self.wanted, self.accepted_for, self.old = True, 0.0, 0
        checking = asyncio.create_task(self.run())
        try:
            yield
        finally:
            self.wanted = False
            await checking

    async def run(self) -> None:
        """Check until not wanted any more."""
        while self.wanted:
            for on in REPLICAS:
                self.refused_alive += not await self.api.is_active(self.alive.access_token, on=on)
                for device, at in self.ended[-6:]:
                    await self.check(device, at, on)
            await asyncio.sleep(0.1)

    async def check(self, device: SignedIn, at: float, on: int) -> bool:
        """Ask one replica about one ended session; return whether it still accepts."""
        age = time.monotonic() - at
        accepts = await self.api.is_active(device.access_token, on=on)
        self.old += age > BOUND
        if accepts:
            self.accepted_for = max(self.accepted_for, age)
        return accepts

    async def end(self, on: int) -> SignedIn:
        """Sign in, and out again at one replica."""
        device = await self.api.sign_in(self.person, on=on)
        assert await self.api.is_active(device.access_token, on=1 - on)
        answer = await self.api.post("/auth/logout", device.credential, on=on)
        assert answer.status_code == 204
        self.ended.append((device, time.monotonic()))
        return device

    async def until_refused(self) -> None:
        """Wait until both replicas refuse everything that has ended so far."""
        for device, at in self.ended[-6:]:
            for on in REPLICAS:
                while await self.check(device, at, on):
                    assert self.accepted_for < BOUND, f"replica {on} accepts for too long"

    async def until_old(self, ended_at: float) -> None:
        """Wait until checks were made of what ended then, longer after it than the bound."""
        while time.monotonic() < ended_at + BOUND:
            await asyncio.sleep(0.02)
        asked = self.old
        async with asyncio.timeout(PATIENCE):
            while self.old < asked + 2 * len(REPLICAS):
                await asyncio.sleep(0.02)

    async def until_trusted(self) -> None:
        """Wait until both replicas answer from the copy."""
        for on in REPLICAS:
            async with asyncio.timeout(PATIENCE):
                while not await self.is_trusted(on):
                    await asyncio.sleep(0.02)

    async def is_trusted(self, on: int) -> bool:
        """Whether a check of the living is answered by the copy: a miss that is believed."""
        before = await self.lookups(on)
        assert await self.api.is_active(self.alive.access_token, on=on)
        after = await self.lookups(on)
        return after["untrusted"] == before["untrusted"] and after["miss"] > before["miss"]

    async def lookups(self, on: int) -> dict[str, float]:
        """Return a replica's look-ups by result; the proxies must not wait meanwhile."""
        url = f"{self.api.replicas[on].management_url}/metrics"
        page = (await self.api.callers[on].get(url)).text
        return {result: float(value) for result, value in LOOKUPS.findall(page)}


@pytest.fixture(scope="module")
async def checker():
    async with disturbed(2, **DATABASE) as world:
        person = await world.api.person()
        checker = Checker(world, person, await world.api.sign_in(person))
        await checker.end(0)
        yield checker


async def command(world: Disturbed, *words):
    async with redis.asyncio.from_url(world.valkey.url, protocol=2) as client:
        return await client.execute_command(*words)


async def revocations_key(world: Disturbed) -> bytes | None:
    keys = await command(world, "KEYS", "*revocations")
    return keys[0] if keys else None


# What happens to Redis; each leaves it as it was


@asynccontextmanager
async def stopped(world: Disturbed):
    await world.valkey.stop()
    try:
        yield
    finally:
        await world.valkey.start()


@asynccontextmanager
async def frozen(world: Disturbed):
    world.valkey.freeze()
    try:
        yield
    finally:
        world.valkey.thaw()


@asynccontextmanager
async def flushed(world: Disturbed):
    await command(world, "FLUSHALL")
    yield


@asynccontextmanager
async def restarted_empty(world: Disturbed):
    await world.valkey.restart()
    yield


@asynccontextmanager
async def evicting(world: Disturbed):
    """Too little memory, and somebody who fills it: the set is thrown out again and again."""
    used = int((await command(world, "INFO", "memory"))["used_memory"])
    await command(world, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await command(world, "CONFIG", "SET", "maxmemory", str(used + 1_000_000))
    thrown_out, enough = asyncio.Event(), asyncio.Event()
    filling = asyncio.create_task(fill(world, thrown_out, enough))
    try:
        async with asyncio.timeout(PATIENCE):
            await thrown_out.wait()
        yield
    finally:
        enough.set()
        await filling
        await command(world, "CONFIG", "SET", "maxmemory", "0")


async def fill(world: Disturbed, thrown_out: asyncio.Event, enough: asyncio.Event) -> None:
    """Fill until told: a cancellation may be lost in the driver, which waits by `wait_for`."""
    async with redis.asyncio.from_url(world.valkey.url, protocol=2) as client:
        for number in count():
            if enough.is_set():
                return
            await client.set(f"filler:{number}", "x" * 300_000)
            if not await client.keys("*revocations"):
                thrown_out.set()
            await asyncio.sleep(0.01)


@asynccontextmanager
async def cut_off(world: Disturbed):
    """The first replica cannot reach Redis: what it commits, it cannot announce."""
    await world.redis_wires[0].refuse()
    try:
        yield
    finally:
        await world.redis_wires[0].mend()


FAULTS = (stopped, frozen, flushed, restarted_empty, evicting, cut_off)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_F14_with_redis_in_trouble_nothing_revoked_is_accepted_and_nobody_is_lost(
    checker, fault
):
    api = checker.api
    await checker.until_trusted()
    async with checker.at_work():
        async with fault(checker.world):
            ended = [await checker.end(on) for on in REPLICAS]
            await checker.until_refused()
            await check_life_goes_on(checker)
        ended.append(await checker.end(0))
        await checker.until_refused()
        await checker.until_trusted()
        # A copy that was cut off a moment ago may lack what ended since: within the bound only.
        await checker.until_old(checker.ended[-1][1])
    for device in ended:
        for on in REPLICAS:
            assert not await api.is_active(device.access_token, on=on)
            answer = await api.refresh(device, on=on)
            assert answer.json()["error"] == "invalid_grant"
    print(f"{fault.__name__}: accepted for {checker.accepted_for:.2f} s, {checker.old} old checks")
    assert checker.accepted_for < BOUND
    assert checker.refused_alive == 0


async def check_life_goes_on(checker: Checker) -> None:
    """Signing in, staying signed in and being somebody need no Redis."""
    api = checker.api
    for on in REPLICAS:
        device = await api.sign_in(checker.person, on=on)
        assert (await api.refresh(device, on=1 - on)).status_code == 200
        assert (await api.get("/auth/me", on=on, headers=device.bearer)).status_code == 200


async def test_F14_without_redis_only_what_is_alive_is_exchanged(checker):
    """RFC 8693: a gateway gets nothing for what has ended, whoever remembers that it has."""
    api, gateway = checker.api, await checker.api.client(GATEWAY)

    async def exchange(device: SignedIn) -> str:
        kind = "urn:ietf:params:oauth:token-type:access_token"
        fields = {"subject_token": device.access_token, "subject_token_type": kind}
        answer = await api.token(gateway, grant_type=GATEWAY["grant_types"][0], **fields)
        return answer.json().get("error", "none")

    async with stopped(checker.world):
        gone = await checker.end(1)
        await checker.until_refused()
        assert await exchange(gone) == "invalid_request"
        assert await exchange(checker.alive) == "none"
    await checker.until_trusted()
    assert await exchange(gone) == "invalid_request"
    assert await exchange(checker.alive) == "none"


async def test_F14_an_announcement_cut_after_the_commit_arrives_by_the_copier(checker):
    """The other replica trusts the copy, which lacks the entry: the copier brings it in time."""
    world, api = checker.world, checker.api
    await checker.until_trusted()
    await world.redis_wires[0].refuse()
    missing = 0
    for _ in range(5):
        device = await checker.end(0)
        key = await revocations_key(world)
        assert key is not None, "invalid: the set is not there at all"
        missing += await command(world, "ZSCORE", key, f"sid:{device.session_id}") is None
        await checker.until_refused()
    await world.redis_wires[0].mend()
    print(f"{missing} of 5 announcements were seen missing; {checker.accepted_for:.2f} s at most")
    assert missing > 0, "invalid: no announcement was ever lost"
    assert checker.accepted_for < BOUND
    await checker.until_trusted()
    for device, _ in checker.ended[-5:]:
        assert not await api.is_active(device.access_token, on=1)
        key = await revocations_key(world)
        assert await command(world, "ZSCORE", key, f"sid:{device.session_id}") is not None


async def test_F14_a_check_costs_no_statement_while_the_cache_is_trusted_and_one_otherwise(
    checker,
):
    """Counted on the wire. Jobs of the process speak too, a few times: not once for each check."""
    world = checker.world
    await checker.until_trusted()
    trusted, believed = await statements_of_checks(checker)
    await world.valkey.stop()
    try:
        while await checker.is_trusted(0):
            await asyncio.sleep(0.02)
        alone, _ = await statements_of_checks(checker)
    finally:
        await world.valkey.start()
    print(f"trusted {trusted.total()} statements, alone {alone.total()}, of {CHECKS} checks each")
    ((text, times), *jobs) = alone.most_common()
    assert times == CHECKS
    assert "from revocations" in text
    assert trusted.pop(text, 0) == CHECKS - believed, "Redis came too late for these alone"
    assert believed > CHECKS / 2, "invalid: the copy was hardly trusted"
    assert all(times < CHECKS / 2 for _, times in [*trusted.items(), *jobs])
    await checker.until_trusted()


async def statements_of_checks(checker: Checker) -> tuple[Counter, float]:
    """Return what passed to PostgreSQL while one replica answered many checks; how many a copy did."""
    wire, token = checker.world.wire, checker.alive.access_token
    before = (await checker.lookups(0))["miss"]
    wire.statements.clear()
    for _ in range(CHECKS):
        assert await checker.api.is_active(token)
    asked = Counter(wire.statements)
    return asked, (await checker.lookups(0))["miss"] - before


async def test_REL_2_a_refresh_costs_one_statement_and_nothing_of_redis(checker):
    """Heard on the wires: besides the jobs, which speak a few times a second, nobody says more."""
    world, api = checker.world, checker.api
    devices = [await api.seed("app", checker.person) for _ in range(REFRESHES)]
    world.wire.statements.clear()
    world.redis_wires[0].commands.clear()
    for number, device in enumerate(devices):
        if number % 2:
            answer = await api.refresh(device)
        else:
            answer = await api.post("/auth/refresh", device.credential)
        assert answer.status_code == 200
    statements = Counter(world.wire.statements)
    commands = Counter(world.redis_wires[0].commands)
    print(f"{statements.total()} statements, {commands.total()} commands, {REFRESHES} refreshes")
    ((update, times),) = [(text, times) for text, times in statements.items() if "sessions" in text]
    assert (update.split()[:2], times) == (["update", "sessions"], REFRESHES)
    del statements[update]
    assert statements.total() < REFRESHES / 2
    assert [words for words in commands if not is_of_a_job(words)] == []
    assert commands.total() < REFRESHES / 2


def is_of_a_job(words: tuple[bytes, ...]) -> bool:
    """Whether the probe, a look at the copy (no session in it) or the copier says this."""
    match [word.decode() for word in words]:
        case ["PING"] | ["ZMSCORE", _, "upto"]:
            return True
        case ["EVALSHA" | "EVAL", _, "1", key, *_]:
            return key.endswith(":revocations")
    return False
