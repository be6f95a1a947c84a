"""Slow callers of every kind at once: each is let go of in time, and nobody else waits for them."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from attacks.slowloris import MANNERS, Slow, crowd, hold
from attacks.stand import standing
from support.api import Api, caller_of
from support.withheld import Withheld

TIMEOUT = 1.0
TIMEOUTS = {
    f"server__{name}_timeout": str(TIMEOUT) for name in ("header", "body", "idle", "answer")
}
LINGER = 1.0
"""Seconds the server waits for a refusal to be read (`web/limits.py`)."""

PATIENCE = 60.0


@pytest.fixture(scope="module")
async def slow_stand(databases, shared_redis_url) -> AsyncIterator[Api]:
    async with (
        databases.fresh(keyed=True) as url,
        standing(url, shared_redis_url, "https://localhost:8451", **TIMEOUTS) as api,
    ):
        yield api


def sockets_of(api: Api) -> int:
    """Return how many sockets the server has open."""
    found = 0
    for entry in Path(f"/proc/{api.replicas[0].process.pid}/fd").iterdir():
        try:
            found += entry.readlink().name.startswith("socket:")
        except FileNotFoundError:
            continue  # closed between the listing and the look
    return found


@dataclass
class Honest:
    """Somebody who refreshes all the while, over a connection kept and over new ones."""

    seconds: list[float] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)

    async def go_on(self, api: Api) -> None:
        device = await api.sign_in(await api.person())
        while True:
            async with caller_of(api.replicas[0]) as stranger:
                for caller in (api.callers[0], stranger):
                    began = time.perf_counter()
                    form = {"grant_type": "refresh_token", "refresh_token": device.refresh_token}
                    answer = await caller.post("/oauth2/token", data={**form, "client_id": "app"})
                    self.seconds.append(time.perf_counter() - began)
                    self.statuses.add(answer.status_code)
                    device.refresh_token = answer.json().get("refresh_token", "")

    @property
    def slowest(self) -> float:
        """The 99th percentile, ms."""
        return sorted(self.seconds)[len(self.seconds) * 99 // 100] * 1000


@asynccontextmanager
async def honest(api: Api) -> AsyncIterator[Honest]:
    """Have somebody go on meanwhile."""
    somebody = Honest()
    going = asyncio.create_task(somebody.go_on(api))
    try:
        yield somebody
    finally:
        going.cancel()
        await asyncio.wait([going])
    assert going.cancelled(), going.exception()


async def campaign(api: Api, each: int) -> tuple[list[Slow], Honest, int]:
    """Hold so many connections of each manner; return them, who was honest, the most sockets."""
    port, most = urlsplit(api.replicas[0].url).port or 0, 0

    def watch() -> None:
        nonlocal most
        most = max(most, sockets_of(api))

    def attack() -> list[Slow]:
        return list(hold(port, crowd(each), PATIENCE, watch))

    async with honest(api) as somebody:
        held = await asyncio.to_thread(attack)
    return held, somebody, most


def judge(held: list[Slow], bound: float) -> dict[str, float]:
    """Return how long each manner held on at most; every one was let go of in time."""
    for one in held:
        assert one.held is not None, f"never let go of: {one.manner}"
    longest = {
        manner: round(max(one.held or 0 for one in held if one.manner == manner), 1)
        for manner in MANNERS
    }
    assert all(seconds <= bound for seconds in longest.values()), (bound, longest)
    return longest


async def attacked(api: Api, each: int) -> None:
    """Attack, judge and tell."""
    before, withheld = sockets_of(api), Withheld(*api.replicas)
    held, somebody, most = await campaign(api, each)
    # Two turns of the attacker, and the kernel's own probes of a closed window, which back off.
    longest = judge(held, 2 * TIMEOUT + LINGER + 4 + withheld.seconds)
    assert somebody.seconds, "invalid: nobody asked meanwhile"
    print(f"{len(held)} slow connections; seconds held at most, by manner: {longest}")
    print(f"sockets of the server: {before} before, {most} at most, {sockets_of(api)} after")
    print(f"meanwhile {len(somebody.seconds)} refreshes, 99 % within {somebody.slowest:.0f} ms")
    assert somebody.statuses == {200}
    assert most <= before + len(held) + 4
    assert sockets_of(api) <= before + 4


async def test_every_slow_caller_is_let_go_of_in_time_and_keeps_nobody_out(slow_stand):
    await attacked(slow_stand, each=3)


@pytest.mark.long
async def test_nor_do_hundreds_of_them(slow_stand):
    await attacked(slow_stand, each=80)


@pytest.mark.long
async def test_more_connections_than_descriptors_are_survived(databases, shared_redis_url):
    """A server that may open 200 files meets 700 connections; soon after it answers as before."""
    async with (
        databases.fresh(keyed=True) as url,
        standing(url, shared_redis_url, "https://localhost:8452", **TIMEOUTS) as api,
    ):
        device = await api.sign_in(await api.person())
        resource.prlimit(api.replicas[0].process.pid, resource.RLIMIT_NOFILE, (200, 200))
        port, seen = urlsplit(api.replicas[0].url).port or 0, []

        def attack() -> list[Slow]:
            return list(
                hold(port, ["says nothing"] * 700, PATIENCE, lambda: seen.append(sockets_of(api)))
            )

        held = await asyncio.to_thread(attack)
        assert max(seen) > 150, "invalid: the server was never short of descriptors"
        assert all(one.held is not None for one in held)
        assert (await api.refresh(device)).status_code == 200
        print(f"700 connections at 200 descriptors: {max(seen)} sockets at most, all let go of")
