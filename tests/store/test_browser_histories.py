"""An honest browser stays signed in, whatever its pages and its network do (RT, one cookie jar).

The server is the real one: two replicas on one PostgreSQL whose clock the test moves. Page loads
overlap and last 15 to 30 s, so answers straddle the end of the grace.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from keyturn.errors import InvalidGrant
from keyturn.sessions.lifetimes import Lifetimes
from keyturn.sessions.rotation import RefreshRequest
from support.browser import Answered, Browser, Call, Network, Storing
from support.rotation_stack import DEFAULT_GRACE, Stage, client
from support.rotation_world import MASTERS

pytestmark = pytest.mark.usefixtures("anyio_backend")

APP = client()
LONG = Lifetimes(absolute=timedelta(days=7), idle=timedelta(days=1), remembered=None)
GRACE = DEFAULT_GRACE.total_seconds()
ASYNC_COMMIT = 0.6
"""Seconds of acknowledged commits that a crash may lose: three times `wal_writer_delay`."""

PATIENT_APP = Network(patience=0.7 * GRACE, longest=2.7 * GRACE)
"""An app that compares before it stores: answers other than the first may take very long."""
PLAIN_COOKIE = Network(patience=0.4 * GRACE, longest=0.5 * GRACE)
"""A cookie jar cannot compare; it is safe while no call takes longer than half the grace."""

SNAPSHOT = "select * from sessions where id = $1"
RESTORE = """
update sessions
   set (token_hash, next_hash, generation, rotated_at, idle_expires_at)
     = ($2, $3, $4, $5, $6)
 where id = $1
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """At most one of these befalls a history."""

    name: str
    at: float


@dataclass(frozen=True, slots=True)
class History:
    """All calls of all page loads, and the fault if there is one."""

    calls: tuple[Call, ...]
    fault: Fault | None


def near(bound: float) -> st.SearchStrategy[float]:
    """Seconds up to `bound`, tenths, often short."""
    tenths = int(bound * 10)
    return st.one_of(st.integers(0, min(5, tenths)), st.integers(0, tenths)).map(lambda n: n / 10)


@st.composite
def histories(draw: st.DrawFn, network: Network, travel: float) -> History:
    """Some page loads of 15 to 30 s, each with a few refreshes; then a return two hours later."""
    calls: list[Call] = []
    start = 0.0
    for _ in range(draw(st.integers(1, 5))):
        length = draw(st.integers(15, 30))
        for _ in range(draw(st.integers(1, 5))):
            offset = draw(st.one_of(st.sampled_from([0.0, 9.9, 10.0, 10.1]), near(length)))
            calls.append(
                Call(
                    sent_at=start + offset,
                    travel=draw(near(travel)),
                    answer=draw(near(network.longest)),
                    lost=draw(st.sampled_from([False, False, False, True])),
                )
            )
        start += draw(st.one_of(st.sampled_from([0.0, 9.5, 10.5, 3600.0]), near(40)))
    calls.append(Call(start + 7200, 0.1, 0.1))
    names = [None, "crash", "crash", "clock steps back", "roll-out"]
    name = draw(st.sampled_from(names))
    call = draw(st.sampled_from(calls))
    # A moment after a decision is when a crash has something to lose.
    fault = Fault(name, call.sent_at + call.travel + draw(near(1.0))) if name else None
    return History(tuple(sorted(calls, key=lambda call: call.sent_at)), fault)


@dataclass(slots=True)
class Site:
    """The server as one browser meets it, and what may befall it."""

    stage: Stage
    session_id: object
    began: datetime
    stepped: timedelta = timedelta(0)
    asked: int = 0
    remembers: bool = False
    rows: list[tuple[float, asyncpg.Record]] = field(default_factory=list)

    async def answer(self, at: float, token: str) -> Answered:
        """Refresh at whichever replica the balancer picks."""
        await self._clock(at)
        self.asked += 1
        replica = self.stage.replicas[self.asked % 2]
        try:
            refreshed = await replica.rotation.refresh(RefreshRequest(APP, token))
        except InvalidGrant as refusal:
            return Answered(None, refusal.detail)
        if self.remembers:
            await self.remember(at)
        return Answered(refreshed.refresh_token, refreshed.outcome)

    async def remember(self, at: float) -> None:
        """Note the row as it was at this time, for a crash to bring back."""
        row = await self.stage.admin.fetchrow(SNAPSHOT, self.session_id)
        assert row is not None
        self.rows.append((at, row))

    async def crash(self, at: float) -> None:
        """Lose what was acknowledged in the last moments before `at`."""
        kept = [row for then, row in self.rows if then <= at - ASYNC_COMMIT]
        row = kept[-1] if kept else self.rows[0][1]
        names = ("id", "token_hash", "next_hash", "generation", "rotated_at", "idle_expires_at")
        await self.stage.admin.execute(RESTORE, *(row[name] for name in names))

    async def step_back(self, _at: float) -> None:
        """The database's clock is corrected by most of a grace."""
        self.stepped += 0.9 * DEFAULT_GRACE

    async def roll_out(self, _at: float) -> None:
        """One replica knows a second secret already, the other puts it first."""
        ahead = {2: MASTERS[2], 1: MASTERS[1]}
        replicas = self.stage.replicas
        replicas[:] = [replicas[0].with_secrets(MASTERS), replicas[1].with_secrets(ahead)]

    async def _clock(self, at: float) -> None:
        await self.stage.set_time(self.began + timedelta(seconds=at) - self.stepped)


async def live(stage: Stage, history: History, storing: Storing, network: Network) -> Browser:
    """Sign a browser in and let it live through a history."""
    original = list(stage.replicas)
    started = await stage.sign_in(stage.replicas[0], APP, lifetimes=LONG)
    fault = history.fault
    will_crash = fault is not None and fault.name == "crash"
    site = Site(stage, started.session.id, stage.now, remembers=will_crash)
    await site.remember(0)
    browser = Browser(site.answer, started.refresh_token, storing, network)
    faults = {"crash": site.crash, "clock steps back": site.step_back, "roll-out": site.roll_out}
    planned = [] if fault is None else [(fault.at, fault.name, faults[fault.name])]
    try:
        await browser.live_through(history.calls, planned)
    finally:
        stage.replicas[:] = original
    return browser


LOST = History(
    tuple(Call(sent_at=at, travel=0.1, answer=0.1) for at in (0.0, 15.0, 7200.0)),
    Fault("crash", 15.5),
)
"""The last rotation before a crash is forgotten; its token comes back two hours later."""


def campaign(url: str, storing: Storing, network: Network, travel: float, most: int) -> set[str]:
    """Try `most` histories; return every outcome that was seen."""
    seen: set[str] = set()
    with Stage.on(url, MASTERS) as stage:

        @settings(
            max_examples=most,
            deadline=None,
            derandomize=most < 1000,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @example(LOST)
        @given(history=histories(network, travel))
        def stays_signed_in(history: History) -> None:
            browser = stage.run(live(stage, history, storing, network))
            seen.update(browser.outcomes)
            assert not browser.signed_out, f"signed out:\n{browser.tell()}"

        stays_signed_in()
    return seen


ALWAYS_SEEN = {"rotated", "coalesced", "replayed", "healed"}


def test_an_app_stays_signed_in_however_late_its_answers_are(database_url) -> None:
    seen = campaign(database_url, Storing.COMPARING, PATIENT_APP, 2.0, most=50)
    assert seen == ALWAYS_SEEN


def test_a_cookie_jar_stays_signed_in_while_answers_take_half_the_grace(database_url) -> None:
    seen = campaign(database_url, Storing.OBEYING, PLAIN_COOKIE, 1.0, most=50)
    assert seen == ALWAYS_SEEN


@pytest.mark.long
@pytest.mark.parametrize(
    ("storing", "network", "travel"),
    [(Storing.COMPARING, PATIENT_APP, 2.0), (Storing.OBEYING, PLAIN_COOKIE, 1.0)],
    ids=["app", "cookie jar"],
)
def test_thousands_of_histories(database_url, storing, network, travel) -> None:
    assert campaign(database_url, storing, network, travel, most=3000) == ALWAYS_SEEN


STRADDLING = (
    Call(sent_at=0.0, travel=0.1, answer=0.1),
    Call(sent_at=9.9, travel=0.1, answer=2.0),
    Call(sent_at=10.2, travel=0.1, answer=0.1),
    Call(sent_at=600.0, travel=0.1, answer=0.1),
)
"""The second load is coalesced at the very end of the grace, and its answer comes late."""


@pytest.mark.parametrize(
    ("storing", "signed_out"),
    [(Storing.NAIVE, True), (Storing.OBEYING, False), (Storing.COMPARING, False)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_cookie_for_an_unchanged_token_would_sign_honest_browsers_out(
    database_url, storing, signed_out
) -> None:
    """Why such answers carry no Set-Cookie, and proof that this simulation can fail."""
    with Stage.on(database_url, MASTERS) as stage:
        history = History(STRADDLING, None)
        browser = stage.run(live(stage, history, storing, PLAIN_COOKIE))
    assert browser.signed_out == signed_out, browser.tell()


VERY_LATE = (
    Call(sent_at=0.0, travel=0.1, answer=0.1),
    Call(sent_at=0.0, travel=0.1, answer=12.0),
    Call(sent_at=10.2, travel=0.1, answer=0.1),
    Call(sent_at=600.0, travel=0.1, answer=0.1),
)
"""Two loads at once; the answer of one arrives when the next rotation is over already."""


@pytest.mark.parametrize(
    ("storing", "signed_out"),
    [(Storing.OBEYING, True), (Storing.COMPARING, False)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_cookie_jar_is_not_covered_when_a_changed_token_arrives_after_the_grace(
    database_url, storing, signed_out
) -> None:
    """A limit, kept in sight: a browser stores whatever Set-Cookie comes, however old."""
    network = Network(patience=GRACE, longest=2 * GRACE)
    with Stage.on(database_url, MASTERS) as stage:
        browser = stage.run(live(stage, History(VERY_LATE, None), storing, network))
    assert browser.signed_out == signed_out, browser.tell()
