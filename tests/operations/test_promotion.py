"""A standby is promoted while people refresh: what is lost, and for how long nobody is served.

Apps refresh at a rate, as docs/rotation.md tells them: on no answer and on 503 they keep the token
and send it again after `Retry-After`; only `invalid_grant` means that the session is over.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import httpx2
import pytest

from keyturn.db.migrate import migrate
from support import replicas, starts
from support.api import Api, Person, SignedIn, api_of, memoryless
from support.asking_doctor import ask
from support.disturbed import running
from support.fleet import hash_of
from support.servers import private_valkey
from support.streaming import Streaming, streaming
from support.transport import Lines

NOBODY = "http://localhost:1"
"""The issuer: apps call the replicas at their own addresses."""
GRACE = 10.0
"""The default: a session rotates once in this time at most."""
HELD = 0.5
"""Seconds before the kill in which a synchronous standby gets nothing."""
AGAIN = 0.5
"""Seconds after which an app that got no answer at all tries again."""
PATIENCE = 90.0


@dataclass(frozen=True)
class Size:
    """How many clients hold how many sessions each, and how often they refresh altogether."""

    clients: int
    sessions: int
    rate: float
    lost_seconds: float
    """Of what the primary commits before it is killed."""
    logouts: int


@dataclass(eq=False)
class Apps:
    """Clients, each with a connection and several sessions that it refreshes in turn."""

    url: dict[int, str]
    size: Size
    sessions: list[list[SignedIn]]
    sent: int = 0
    answered: int = 0
    unanswered: list[float] = field(default_factory=list)
    """When a refresh got 503 or no answer."""
    kinds: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    served_at: float = 0.0
    over: bool = False
    turns: list[int] = field(init=False)
    """How many each client has had."""

    def __post_init__(self) -> None:
        """None so far."""
        self.turns = [0] * self.size.clients

    @asynccontextmanager
    async def refreshing(self) -> AsyncIterator["Apps"]:
        """Refresh at the rate for as long as the block takes."""
        tasks = [asyncio.create_task(self._client(number)) for number in range(self.size.clients)]
        try:
            yield self
        finally:
            self.over = True
            await asyncio.gather(*tasks)

    async def go_on(self, seconds: float) -> float:
        """Let so many seconds pass; return the refreshes a second that were answered in them."""
        began, before = time.monotonic(), self.answered
        while time.monotonic() < began + seconds:
            await asyncio.sleep(0.05)
        return (self.answered - before) / (time.monotonic() - began)

    async def go_round(self) -> None:
        """Let every client have every session's turn, however long that takes."""
        wanted = [turns + self.size.sessions + 1 for turns in self.turns]
        deadline = time.monotonic() + PATIENCE
        while any(had < turns for had, turns in zip(self.turns, wanted, strict=True)):
            assert time.monotonic() < deadline, "somebody waits for ever"
            await asyncio.sleep(0.05)

    async def until_served(self) -> None:
        """Wait until every client has been answered since now."""
        began, deadline = self.answered, time.monotonic() + PATIENCE
        while self.answered < began + 2 * self.size.clients:
            assert time.monotonic() < deadline, "nobody is served any more"
            await asyncio.sleep(0.05)

    async def refresh(self, caller: httpx2.AsyncClient, url: str, device: SignedIn) -> None:
        """Refresh one session until there is an answer."""
        deadline = time.monotonic() + PATIENCE
        while (pause := await self._attempt(caller, url, device)) is not None:
            assert time.monotonic() < deadline, "nobody answers any more"
            await asyncio.sleep(pause)

    async def _client(self, number: int) -> None:
        """An open loop: a refresh is due at its time, however long the one before took."""
        caller = caller_of_replica()
        pace = self.size.clients / self.size.rate
        due = time.monotonic() + pace * number / self.size.clients
        async with caller:
            while not self.over:
                await asyncio.sleep(due - time.monotonic())
                device = self.sessions[number][self.turns[number] % self.size.sessions]
                if device.refresh_token:
                    await self.refresh(caller, self.url[number % len(self.url)], device)
                self.turns[number] += 1
                due = max(due + pace, time.monotonic() - 1.0)

    async def _attempt(
        self, caller: httpx2.AsyncClient, url: str, device: SignedIn
    ) -> float | None:
        """Send the token once; return the seconds to wait when it is to be sent again."""
        self.sent += 1
        form = {
            "grant_type": "refresh_token",
            "client_id": device.client_id,
            "refresh_token": device.refresh_token,
        }
        try:
            answer = await caller.post(f"{url}/oauth2/token", data=form)
        except httpx2.TransportError as error:
            self._went_without(type(error).__name__)
            return AGAIN
        if answer.status_code == 503:
            self._went_without("503")
            return float(answer.headers["retry-after"])
        if answer.status_code == 200:
            device.refresh_token = answer.json()["refresh_token"]
            self.answered += 1
            self.served_at = time.monotonic()
            return None
        self.lost.append(f"{device.session_id}: {answer.status_code} {answer.text}")
        device.refresh_token = ""
        return None

    def _went_without(self, kind: str) -> None:
        self.kinds[kind] += 1
        self.unanswered.append(time.monotonic())


def caller_of_replica() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(cookies=memoryless(), timeout=20, transport=Lines(idle=2))


@dataclass
class World:
    """Two replicas on a pair of database servers."""

    pair: Streaming
    api: Api
    apps: Apps
    leaving: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    coming: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """A few at once, beside all the refreshes."""

    @classmethod
    @asynccontextmanager
    async def of(cls, size: Size) -> AsyncIterator["World"]:
        """Start everything; nobody refreshes yet."""
        async with streaming() as pair, private_valkey() as valkey:
            await migrate(pair.primary.url)
            environ = replicas.settings(pair.url, valkey.url, issuer=NOBODY, **replicas.GENEROUS)
            async with running([environ, environ]) as started, api_of(environ, started) as api:
                devices = await begun(api, size.clients * size.sessions)
                per_client = [devices[at :: size.clients] for at in range(size.clients)]
                urls = {at: one.url for at, one in enumerate(started)}
                yield cls(pair, api, Apps(urls, size, per_client))

    async def log_out(self, device: SignedIn) -> None:
        """End a session; the person is told that it has ended."""
        token = device.refresh_token
        async with self.leaving:
            await self._served(
                lambda: self.api.form("/oauth2/revoke", device.client_id, token=token)
            )

    async def sign_in(self, person: Person) -> SignedIn:
        """Sign somebody in; they have their tokens."""
        async with self.coming:
            given = (await self._served(lambda: self.api.login(person))).json()
        return SignedIn(
            "app", given["accessToken"], given["refreshToken"], UUID(given["sessionId"])
        )

    async def _served(self, ask_for: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
        """Ask until it is done: 503 means later."""
        deadline = time.monotonic() + PATIENCE
        while (answer := await ask_for()).status_code == 503:
            assert time.monotonic() < deadline, "it is never done"
            await asyncio.sleep(AGAIN / 10)
        assert answer.status_code == 200, answer.text
        return answer

    async def live(self, devices: list[SignedIn]) -> int:
        """Count the sessions whose token is answered with another."""
        answers = [await self.api.refresh(device) for device in devices]
        assert {answer.status_code for answer in answers} <= {200, 400}
        return sum(answer.status_code == 200 for answer in answers)

    async def refused_by_introspection(self, devices: list[SignedIn]) -> int:
        """Count the sessions that refresh, but whose access token an API is told is none."""
        answers = [await self.api.refresh(device) for device in devices]
        tokens = [answer.json()["access_token"] for answer in answers]
        return sum([not await self.api.is_active(token) for token in tokens])

    async def check_one_lineage(self) -> None:
        """What each app holds is the one live token of its session, by the stored hash."""
        devices = [one for held in self.apps.sessions for one in held]
        rows = await self.api.sql.fetch(
            "select id, token_hash, revoked_at from sessions where id = any($1::uuid[])",
            [one.session_id for one in devices],
        )
        found = {row["id"]: (row["token_hash"], row["revoked_at"]) for row in rows}
        for one in devices:
            assert found[one.session_id] == (hash_of(one.refresh_token), None)

    def metric(self, result: str) -> int:
        """Refreshes with this result, at both replicas."""
        return int(self.api.metric("keyturn_refresh_rotations_total", result=result))


async def begun(api: Api, count: int) -> list[SignedIn]:
    """Begin sessions, of a few people."""
    people = [await api.person() for _ in range(max(1, count // 50))]
    return [await api.seed("app", people[at % len(people)]) for at in range(count)]


@dataclass
class Story:
    """What was done around the promotion, and to whom."""

    world: World
    size: Size
    replicated: list[SignedIn] = field(default_factory=list)
    """Logged out while the standby followed."""
    forgotten: list[SignedIn] = field(default_factory=list)
    """Logged out in the seconds that the standby never got."""
    newcomers: list[Person] = field(default_factory=list)
    begun_late: list[SignedIn] = field(default_factory=list)
    """Signed in in those seconds."""
    window: float = 0.0
    took: float = 0.0
    killed_at: float = 0.0
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))
    rate: float = 0.0

    async def prepare(self) -> None:
        """Sessions to be logged out, and logouts that the standby has."""
        count = self.size.logouts
        self.replicated = await begun(self.world.api, count)
        self.forgotten = await begun(self.world.api, count)
        self.newcomers = [await self.world.api.person() for _ in range(count // 4)]
        await asyncio.gather(*map(self.world.log_out, self.replicated))

    async def warm_up(self) -> None:
        """Let every session be refreshed once; then let them rotate at different moments."""
        await self.world.apps.go_round()
        await self.world.api.sql.execute(
            "update sessions set rotated_at = now() - random() * interval '1 s' * $1", GRACE
        )
        await self.world.pair.caught_up()

    async def lose(self) -> None:
        """Hold the wire: from now on the standby gets nothing; act on; fail over."""
        began = time.monotonic()
        self.world.pair.wire.hold("answers")
        await self._act()
        await self.fail_over()
        self.window = self.killed_at - began

    async def keep(self) -> None:
        """Act until a moment before the wire is held, in which nobody is told anything."""
        await self._act()
        began = time.monotonic()
        self.world.pair.wire.hold("answers")
        await self.world.apps.go_on(HELD)
        await self.fail_over()
        self.window = self.killed_at - began

    async def _act(self) -> None:
        """Sign people out and in for so many seconds; who is told so in time counts."""
        leaving, self.forgotten = self.forgotten, []
        world, seconds = self.world, self.size.lost_seconds

        async def leave(device: SignedIn) -> None:
            await world.log_out(device)
            self.forgotten.append(device)

        async def come(person: Person) -> None:
            self.begun_late.append(await world.sign_in(person))

        coming = (come(person) for person in self.newcomers)
        acting = asyncio.gather(*map(leave, leaving), *coming)
        self.rate = await world.apps.go_on(seconds)
        acting.cancel()
        await asyncio.gather(acting, return_exceptions=True)

    async def fail_over(self) -> None:
        """Kill, promote; wait until everybody is served again, by one try of each session more."""
        self.killed_at, self.moment = time.monotonic(), datetime.now(UTC)
        self.took = await self.world.pair.fail_over()
        await self.world.apps.until_served()

    def report(self, what: str, undone: int, gone: int) -> None:
        """Print every number."""
        apps, world = self.world.apps, self.world
        missed = [at - self.killed_at for at in apps.unanswered if at >= self.killed_at]
        first, last = min(missed, default=0.0), max(missed, default=0.0)
        print(
            f"{what}: {apps.size.clients} clients, {apps.size.clients * apps.size.sessions} sessions;"
            f" refreshes answered before the kill {self.rate:.0f}/s (asked for"
            f" {apps.size.rate:.0f}/s); the standby got nothing of the last {self.window:.1f} s\n"
            f"  refreshes sent {apps.sent}, answered {apps.answered}, not answered"
            f" {dict(apps.kinds)}; promoted {self.took:.1f} s after the kill; {len(missed)} of them from {first:.1f} s"
            f" to {last:.1f} s after it\n"
            f"  sign-ins lost {len(apps.lost)} (rotations healed {world.metric('healed')});"
            f" revocations undone {undone} of {len(self.forgotten)} that were acknowledged last;"
            f" sessions gone {gone} of {len(self.begun_late)} that began last"
        )


SHORT = Size(clients=10, sessions=8, rate=40, lost_seconds=3.0, logouts=8)
LONG = Size(clients=50, sessions=8, rate=200, lost_seconds=5.0, logouts=40)
SIZES = [
    pytest.param(SHORT, id="short", marks=pytest.mark.operations),
    pytest.param(LONG, id="200-a-second", marks=pytest.mark.long),
]


@pytest.mark.parametrize("size", SIZES)
async def test_an_asynchronous_standby_that_lags_loses_no_sign_in_but_undoes_revocations(size):
    async with World.of(size) as world:
        said = (await ask("--json", environ=world.api.settings)).trouble["postgres.standby"]
        print(f"doctor, before: {said['sentence']} {said['remedy']}")
        assert "keyturn sessions revoke --before T" in said["remedy"]
        story = Story(world, size)
        await story.prepare()
        async with world.apps.refreshing() as apps:
            await story.warm_up()
            await story.lose()
            await apps.go_round()
        undone = await world.live(story.forgotten)
        gone = len(story.begun_late) - await world.live(story.begun_late)
        story.report("asynchronous standby", undone, gone)
        assert story.window < GRACE - 1, "invalid: a session may have rotated twice"
        assert world.metric("healed") > 0, "invalid: no rotation was forgotten"
        assert apps.lost == []
        await world.check_one_lineage()
        assert await world.live(story.replicated) == 0
        assert undone == len(story.forgotten) > 0
        refused = await world.refused_by_introspection(story.forgotten)
        print(f"introspection, which asks Redis, still refuses {refused} of {undone} undone ones")
        command = ("sessions", "revoke", "--before", story.moment.isoformat())
        done = await starts.shared().run(world.api.settings, *command)
        print(f"keyturn {' '.join(command)}: {done.said.strip()}")
        assert done.code == 0
        assert await world.live(story.forgotten) == 0


@pytest.mark.parametrize("size", SIZES)
async def test_a_synchronous_standby_loses_nothing_that_anybody_was_told(size):
    async with World.of(size) as world:
        await world.pair.name_standbys("*", "sync")
        assert "postgres.standby" not in (await ask("--json", environ=world.api.settings)).trouble
        story = Story(world, size)
        await story.prepare()
        async with world.apps.refreshing() as apps:
            await story.warm_up()
            await story.keep()
            await apps.go_round()
        undone = await world.live(story.forgotten)
        gone = len(story.begun_late) - await world.live(story.begun_late)
        story.report("synchronous standby", undone, gone)
        assert (apps.lost, undone, gone) == ([], 0, 0)
        assert story.forgotten, "invalid: nobody signed out last"
        assert story.begun_late, "invalid: nobody signed in last"
        await world.check_one_lineage()
