"""Two replicas on a Redis of several servers, people who use them all the time, and what they saw."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, cycle, takewhile

import httpx2
from redis.exceptions import OutOfMemoryError

from support import replicas
from support.api import Api, Person, SignedIn, api_of
from support.redis_topologies import Clustered, Node, Watched
from support.servers import Databases

BOUND = 2.5
"""Seconds after which nothing that was revoked may be accepted."""

ON = (0, 1)
PATIENCE = 180.0
FROZEN = 3.0
"""Seconds; the peers of a server give it up after one (`redis_topologies.DOWN_AFTER`)."""
LOOKUPS = re.compile(
    r'^keyturn_revocation_cache_lookups_total{result="(\w+)"} (\S+)$', re.MULTILINE
)


@dataclass
class Traffic:
    """Sign-ins, refreshes, checks and sign-outs at both replicas; `seen` counts the answers."""

    api: Api
    person: Person
    alive: SignedIn
    ended: list[tuple[SignedIn, float]] = field(default_factory=list)
    seen: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    accepted_for: float = 0.0
    """The longest time after its end that a session was still accepted."""
    old: int = 0
    """Checks of what had ended longer ago than the bound."""
    refused_alive: int = 0
    _wanted: bool = False

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Let it flow for the length of the block, and a check of old revocations longer."""
        self.seen, self.took, self.old, self.accepted_for = Counter(), [], 0, 0.0
        self.refused_alive, self._wanted = 0, True
        async with asyncio.TaskGroup() as people:
            for habit in (self._refresh, self._check, self._come_and_go):
                people.create_task(habit())
            try:
                yield
                began, asked = time.monotonic(), self.old
                while time.monotonic() < began + BOUND or self.old < asked + 4:
                    assert time.monotonic() < began + PATIENCE, "nothing old was ever checked"
                    await asyncio.sleep(0.05)
            finally:
                self._wanted = False

    def says(self) -> str:
        """Return the counts, for the record."""
        slow = sorted(self.took)[int(len(self.took) * 0.99)] * 1000
        failed = sum(times for status, times in self.seen.items() if status >= 400)
        return (
            f"{self.seen.total()} requests, {failed} failed, p99 {slow:.0f} ms,"
            f" {self.old} checks of old revocations, accepted for {self.accepted_for:.2f} s at most"
        )

    def check(self) -> None:
        """Nobody was lost, nobody was let in."""
        assert [status for status in self.seen if status >= 400] == [], self.seen
        assert self.refused_alive == 0
        assert self.accepted_for < BOUND

    async def until_trusted(self) -> float:
        """Wait until both replicas answer from the copy; return the seconds that took."""
        began = time.monotonic()
        for on in ON:
            before = await self._lookups(on)
            while True:
                await self._is_active(self.alive, on)
                after = await self._lookups(on)
                if after["untrusted"] == before["untrusted"] and after["miss"] > before["miss"]:
                    break
                assert time.monotonic() < began + PATIENCE, "never trusted"
                before = after
                await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def _refresh(self) -> None:
        device = await self._sign_in(0)
        for on in self._turns():
            answer = await self._asked(self.api.refresh(device, on=on))
            if answer.status_code == 200:
                given = answer.json()
                device = SignedIn(
                    device.client_id,
                    given["access_token"],
                    given["refresh_token"],
                    device.session_id,
                )
            await asyncio.sleep(0.05)

    async def _check(self) -> None:
        for on in self._turns():
            self.refused_alive += not await self._is_active(self.alive, on)
            for device, at in self.ended[-40::5]:
                age = time.monotonic() - at
                if await self._is_active(device, on):
                    self.accepted_for = max(self.accepted_for, age)
                self.old += age > BOUND
            await asyncio.sleep(0.05)

    async def _come_and_go(self) -> None:
        for on in self._turns():
            device = await self._sign_in(on)
            await self._asked(self.api.post("/auth/logout", device.credential, on=1 - on))
            self.ended.append((device, time.monotonic()))
            await asyncio.sleep(0.2)

    async def _sign_in(self, on: int) -> SignedIn:
        answer = await self._asked(self.api.login(self.person, on=on))
        given = answer.json()
        return SignedIn("app", given["accessToken"], given["refreshToken"], given["sessionId"])

    async def _is_active(self, device: SignedIn, on: int) -> bool:
        asking = self.api.form("/oauth2/introspect", "reader", on=on, token=device.access_token)
        answer = await self._asked(asking)
        return answer.status_code != 200 or bool(answer.json()["active"])

    async def _asked(self, asking: Awaitable[httpx2.Response]) -> httpx2.Response:
        began = time.monotonic()
        answer = await asking
        self.took.append(time.monotonic() - began)
        self.seen[answer.status_code] += 1
        return answer

    async def _lookups(self, on: int) -> dict[str, float]:
        url = f"{self.api.replicas[on].management_url}/metrics"
        page = (await self.api.callers[on].get(url)).text
        return {result: float(value) for result, value in LOOKUPS.findall(page)}

    def _turns(self) -> Iterator[int]:
        """One replica after the other, while traffic is wanted."""
        return takewhile(lambda _: self._wanted, cycle(ON))


@asynccontextmanager
async def traffic_on(
    databases: Databases, topology: Watched | Clustered, issuer: str
) -> AsyncIterator[Traffic]:
    """Run two replicas and sign a person in."""
    async with databases.fresh(keyed=True) as url:
        environ = replicas.settings(
            url, topology.url, issuer=issuer, **replicas.GENEROUS, redis__timeout="0.5"
        )
        with replicas.replicas(environ, 2) as pair:
            async with api_of(environ, pair) as api:
                person = await api.person()
                traffic = Traffic(api, person, await api.sign_in(person))
                await traffic.until_trusted()
                yield traffic


async def flush(owner: Node) -> None:
    """Empty the server."""
    await owner.command("FLUSHALL")


async def evict(owner: Node) -> None:
    """Fill a server that has too little memory until it throws the revocations out."""
    used = int((await owner.command("INFO", "memory"))["used_memory"])
    await owner.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    await owner.command("CONFIG", "SET", "maxmemory", used + 1_000_000)
    tag = (await owner.command("KEYS", "*revocations"))[0].partition("{")[2].partition("}")[0]
    began = time.monotonic()
    for number in count():
        assert time.monotonic() < began + PATIENCE, "never evicted"
        with suppress(OutOfMemoryError):  # it has not found anything to throw out yet
            await owner.command("SET", f"filler:{{{tag}}}:{number}", "x" * 300_000)
        if not await owner.command("KEYS", "*revocations"):
            break
    await owner.command("CONFIG", "SET", "maxmemory", 0)
    fillers = await owner.command("KEYS", "filler:*")
    if fillers:
        await owner.command("DEL", *fillers)


async def freeze(owner: Node) -> None:
    """Stop the process for longer than its peers wait, then let it go on."""
    owner.server.freeze()
    await asyncio.sleep(FROZEN)
    owner.server.thaw()
