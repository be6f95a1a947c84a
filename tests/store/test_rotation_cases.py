"""The rotation page, one example a case, on the server's own clock: rows are aged by SQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from keyturn.clients.model import Client
from keyturn.clock import FixedClock, SystemClock
from keyturn.crypto.secrets import MasterSecrets
from keyturn.errors import (
    InvalidDpopProof,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    Unavailable,
)
from keyturn.sessions.lifetimes import Lifetimes
from keyturn.sessions.model import Outcome, Refreshed
from keyturn.sessions.refresh_token import RefreshTokenCodec
from keyturn.sessions.rotation import RefreshRequest
from support.disturbed import socket_of
from support.proxy import Proxy
from support.rotation_oracle import Lineage, parse, sign
from support.rotation_stack import (
    API,
    BILLING,
    ISSUER,
    RESTORE,
    ROW,
    Replica,
    add_user,
    client,
    signing_in,
)

FIRST, SECOND = b"1" * 32, b"2" * 32
GRACE = timedelta(seconds=10)
APP = client()
AGE = """
update sessions
   set rotated_at = rotated_at - $2::interval, idle_expires_at = idle_expires_at - $2::interval,
       expires_at = expires_at - $2::interval, created_at = created_at - $2::interval
 where id = $1
"""


@dataclass(slots=True)
class SignedIn:
    """One session, and two replicas that answer for it."""

    connection: asyncpg.Connection
    url: str
    here: Replica
    there: Replica
    lineage: Lineage

    @property
    def session_id(self) -> Any:
        """The row's key."""
        return self.here.rotation.codec.decode(self.token(0), "app").session_id

    def token(self, generation: int) -> str:
        """The text of any generation, as the oracle derives it."""
        return self.lineage.text(generation)

    async def use(self, token: str, whom: Client = APP, **wishes: Any) -> Refreshed:
        """Refresh at the first replica."""
        return await self.here.rotation.refresh(RefreshRequest(whom, token, **wishes))

    async def rotate(self, times: int = 1) -> None:
        """Refresh with the current token, each time long after the last."""
        for _ in range(times):
            await self.pass_time(timedelta(minutes=1))
            row = await self.row()
            await self.use(self.token(row["generation"]))

    async def pass_time(self, delta: timedelta) -> None:
        """Make everything that is stored older; a negative time is a clock that stepped back."""
        await self.connection.execute(AGE, self.session_id, delta)

    async def set(self, **columns: Any) -> None:
        """Change columns of the row."""
        names = ", ".join(f"{name} = ${at}" for at, name in enumerate(columns, start=2))
        statement = f"update sessions set {names} where id = $1"
        await self.connection.execute(statement, self.session_id, *columns.values())

    async def lose_commits(self, generation: int) -> None:
        """Bring the row back to a generation of a moment ago, as a crash does."""
        row = await self.row()
        await self.connection.execute(
            RESTORE,
            self.session_id,
            self.lineage.wire(generation).hash,
            self.lineage.wire(generation + 1).hash,
            generation,
            row["rotated_at"] - timedelta(minutes=1),
            row["idle_expires_at"] - timedelta(minutes=1),
        )

    async def row(self) -> asyncpg.Record:
        """The row as it is."""
        row = await self.connection.fetchrow(ROW, self.session_id)
        assert row is not None
        return row

    async def refuses(self, token: str, outcome: Outcome, **wishes: Any) -> None:
        """Assert that a use is `invalid_grant`, and counted as `outcome`."""
        before = self.here.counted().get(outcome, 0)
        with pytest.raises(InvalidGrant):
            await self.use(token, **wishes)
        assert self.here.counted().get(outcome, 0) == before + 1

    async def is_live(self) -> bool:
        """Whether nobody ended it."""
        return (await self.row())["revoke_reason"] is None


@pytest.fixture
async def home(database_url: str) -> AsyncIterator[SignedIn]:
    connection = await asyncpg.connect(database_url, server_settings={"timezone": "UTC"})
    here, there = (Replica.on(database_url, {1: FIRST}, SystemClock()) for _ in range(2))
    request = signing_in(await add_user(connection), datetime.now(UTC), APP)
    started = await here.starter.start(request)
    lineage = Lineage.of(started.refresh_token, "app", FIRST)
    yield SignedIn(connection, database_url, here, there, lineage)
    await here.close()
    await there.close()
    await connection.close()


# ---- the happy path


async def test_a_refresh_moves_the_row_to_the_derived_child(home) -> None:
    answer = await home.use(home.token(0))
    assert (answer.outcome, answer.refresh_token) == (Outcome.ROTATED, home.token(1))
    assert not answer.unchanged
    row = await home.row()
    assert (row["generation"], row["token_hash"]) == (1, home.lineage.wire(1).hash)
    assert row["next_hash"] == home.lineage.wire(2).hash
    assert row["rotated_at"] == answer.session.decided_at
    assert row["idle_expires_at"] == answer.session.decided_at + timedelta(hours=1)


async def test_the_happy_path_is_one_statement(home) -> None:
    home.here.watch.statements.clear()
    await home.use(home.token(0))
    assert home.here.watch.statements == ["rotate"]


async def test_a_new_session_rotates_at_its_first_use_however_young_it_is(home) -> None:
    assert (await home.use(home.token(0))).outcome is Outcome.ROTATED


async def test_the_idle_expiry_never_passes_the_absolute_one(home) -> None:
    await home.pass_time(timedelta(minutes=30))
    expires_at = datetime.now(UTC) + timedelta(minutes=5)
    await home.set(expires_at=expires_at)
    answer = await home.use(home.token(0))
    assert answer.session.idle_expires_at == answer.session.expires_at == expires_at


# ---- before the database


async def test_what_has_no_good_tag_costs_no_statement(home) -> None:
    home.here.watch.statements.clear()
    token = home.token(0)
    await home.refuses(token[:-1] + ("B" if token.endswith("A") else "A"), Outcome.UNKNOWN)
    await home.refuses("rubbish", Outcome.UNKNOWN)
    with pytest.raises(InvalidGrant):
        await home.use(home.token(0), client("other"))
    assert home.here.watch.statements == []


async def test_a_token_whose_id_has_expired_costs_no_statement(home) -> None:
    """The id carries the absolute expiry and an hour for wrong clocks."""
    row = await home.row()
    clock = FixedClock(row["expires_at"] + timedelta(minutes=59))
    early, late = (
        replace(home.here.rotation, clock=at)
        for at in (clock, FixedClock(row["expires_at"] + timedelta(minutes=61)))
    )
    home.here.watch.statements.clear()
    with pytest.raises(InvalidGrant):
        await late.refresh(RefreshRequest(APP, home.token(0)))
    assert home.here.watch.statements == []
    assert home.here.counted() == {"expired": 1}
    assert (await early.refresh(RefreshRequest(APP, home.token(0)))).outcome is Outcome.ROTATED


# ---- 1: over


async def test_1_a_token_of_a_session_that_is_gone_is_unknown(home) -> None:
    token = home.token(0)
    await home.connection.execute("delete from sessions")
    await home.refuses(token, Outcome.UNKNOWN)


async def test_1_a_revoked_session_accepts_nothing_inside_the_grace_neither(home) -> None:
    await home.use(home.token(0))
    assert await home.there.ending.by_refresh_token(APP, home.token(1)) is not None
    for generation in (0, 1, 2):
        await home.refuses(home.token(generation), Outcome.REVOKED)
    assert (await home.row())["revoke_reason"] == "logout"


async def test_1_a_session_unused_for_its_idle_lifetime_is_over(home) -> None:
    await home.pass_time(timedelta(minutes=59))
    assert (await home.use(home.token(0))).outcome is Outcome.ROTATED
    await home.pass_time(timedelta(minutes=61))
    await home.refuses(home.token(1), Outcome.EXPIRED)
    await home.refuses(home.token(0), Outcome.EXPIRED)
    assert await home.is_live(), "nobody was accused of theft"


async def test_1_a_session_ends_at_its_absolute_expiry_however_busy_it_is(home) -> None:
    await home.rotate(3)
    await home.set(expires_at=datetime.now(UTC), idle_expires_at=datetime.now(UTC) + GRACE)
    await home.refuses(home.token(3), Outcome.EXPIRED)


async def test_1_a_lost_commit_that_had_slid_the_idle_expiry_is_healed_all_the_same(home) -> None:
    await home.rotate()
    await home.lose_commits(0)
    await home.pass_time(timedelta(minutes=61))
    await home.refuses(home.token(0), Outcome.EXPIRED)
    assert (await home.use(home.token(1))).outcome is Outcome.HEALED


# ---- 2: bound to a key


async def test_2_a_bound_session_gives_no_verdict_without_a_proof_by_its_key(home) -> None:
    """Else a thief who only saw an old token could end the session with it."""
    await home.rotate(3)
    await home.set(dpop_jkt="key")
    for generation in (0, 2, 3, 4):
        for jkt in (None, "another key"):
            with pytest.raises(InvalidDpopProof):
                await home.use(home.token(generation), dpop_jkt=jkt)
    assert await home.is_live()
    assert home.here.counted()["refused"] == 8
    events = [one.event.type for one in home.here.audit.take(100)]
    assert events.count("dpop_refused") == 1, "a thief's trace, once a session"


async def test_2_a_bound_session_rotates_with_a_proof_and_replays_the_parent_at_any_time(
    home,
) -> None:
    await home.set(dpop_jkt="key")
    assert (await home.use(home.token(0), dpop_jkt="key")).outcome is Outcome.ROTATED
    await home.pass_time(timedelta(minutes=30))
    answer = await home.use(home.token(0), dpop_jkt="key")
    assert (answer.outcome, answer.refresh_token) == (Outcome.REPLAYED, home.token(1))


# ---- 3: the current token


async def test_3_the_current_token_inside_the_grace_is_answered_with_itself(home) -> None:
    await home.use(home.token(0))
    before = await home.row()
    answer = await home.use(home.token(1))
    assert (answer.outcome, answer.refresh_token) == (Outcome.COALESCED, home.token(1))
    assert answer.unchanged, "a late answer must not move a cookie jar"
    assert await home.row() == before, "nothing is written"


async def test_3_narrowing_concerns_one_access_token_only(home) -> None:
    narrowed = await home.use(home.token(0), scopes=frozenset({"read"}), audiences=(BILLING,))
    assert (narrowed.scopes, narrowed.audiences) == (frozenset({"read"}), (BILLING,))
    whole = await home.use(home.token(1))
    assert (whole.scopes, whole.audiences) == (frozenset({"read", "write"}), (API, BILLING))


async def test_3_asking_for_more_than_was_granted_changes_nothing(home) -> None:
    admin = client(scopes=frozenset({"read", "write", "admin"}), audiences=(API, "https://new"))
    with pytest.raises(InvalidScope):
        await home.use(home.token(0), admin, scopes=frozenset({"read", "admin"}))
    with pytest.raises(InvalidTarget):
        await home.use(home.token(0), admin, audiences=("https://new",))
    assert (await home.row())["generation"] == 0
    assert (await home.use(home.token(0), admin)).outcome is Outcome.ROTATED


async def test_3_what_was_granted_is_cut_to_what_the_client_may_have_now(home) -> None:
    cut = client(scopes=frozenset({"read"}), audiences=(BILLING,))
    answer = await home.use(home.token(0), cut)
    assert (answer.scopes, answer.audiences) == (frozenset({"read"}), (BILLING,))
    with pytest.raises(InvalidScope):
        await home.use(home.token(1), cut, scopes=frozenset({"write"}))
    with pytest.raises(InvalidTarget):
        await home.use(home.token(1), cut, audiences=(API,))
    with pytest.raises(InvalidTarget):
        await home.use(home.token(1), client(audiences=("https://new",)))


async def test_3_the_servers_own_endpoints_are_always_addressable(home) -> None:
    await home.set(audiences=[ISSUER])
    answer = await home.use(home.token(0), client(audiences=("https://new",)))
    assert answer.audiences == (ISSUER,)


async def test_3_a_race_lost_by_a_moment_is_tried_again(home) -> None:
    """Between the statement and the read, a crash makes the superseded token the current one."""
    await home.rotate(2)
    home.here.watch.before = once("read", lambda: home.lose_commits(1))
    answer = await home.use(home.token(1))
    assert (answer.outcome, answer.refresh_token) == (Outcome.ROTATED, home.token(2))


# ---- 4: a lost commit


async def test_4_a_token_the_database_lost_is_healed_and_stays_what_it_is(home) -> None:
    await home.rotate(2)
    await home.lose_commits(1)
    answer = await home.use(home.token(2))
    assert (answer.outcome, answer.refresh_token) == (Outcome.HEALED, home.token(2))
    assert answer.unchanged
    row = await home.row()
    assert (row["generation"], row["rotated_at"]) == (2, answer.session.decided_at)
    assert row["token_hash"] == home.lineage.wire(2).hash
    assert (await home.use(home.token(2))).outcome is Outcome.COALESCED


async def test_4_a_heal_that_is_lost_heals_again(home) -> None:
    await home.rotate()
    for _ in range(3):
        await home.lose_commits(0)
        assert (await home.use(home.token(1))).outcome is Outcome.HEALED
    await home.rotate()
    assert await home.is_live()


async def test_4_a_crash_followed_by_a_retry_of_the_parent_goes_on_with_the_same_child(
    home,
) -> None:
    await home.rotate()
    await home.lose_commits(0)
    answer = await home.use(home.token(0))
    assert (answer.outcome, answer.refresh_token) == (Outcome.ROTATED, home.token(1))


async def test_4_healing_gives_way_to_whoever_was_faster(home) -> None:
    await home.rotate()
    await home.lose_commits(0)

    async def overtake() -> None:
        await home.there.rotation.refresh(RefreshRequest(APP, home.token(1)))
        await home.pass_time(timedelta(minutes=1))
        await home.there.rotation.refresh(RefreshRequest(APP, home.token(1)))

    home.here.watch.before = once("heal", overtake)
    answer = await home.use(home.token(1))
    assert (answer.outcome, answer.refresh_token) == (Outcome.REPLAYED, home.token(2))
    assert (await home.row())["generation"] == 2


# ---- 5: the parent, in flight


async def test_5_the_parent_inside_the_grace_gets_the_current_token_again(home) -> None:
    await home.use(home.token(0))
    before = await home.row()
    await home.pass_time(timedelta(seconds=8))
    answer = await home.use(home.token(0))
    assert (answer.outcome, answer.refresh_token) == (Outcome.REPLAYED, home.token(1))
    assert not answer.unchanged
    assert (await home.row())["generation"] == before["generation"]


async def test_5_the_parent_is_no_thief_when_the_clock_stepped_back(home) -> None:
    await home.use(home.token(0))
    await home.pass_time(timedelta(hours=-3))
    assert (await home.use(home.token(0))).outcome is Outcome.REPLAYED
    assert (await home.use(home.token(1))).outcome is Outcome.ROTATED


async def test_5_a_replay_asks_for_no_more_than_was_granted_either(home) -> None:
    await home.use(home.token(0))
    with pytest.raises(InvalidScope):
        await home.use(home.token(0), scopes=frozenset({"admin"}))


async def test_5_many_uses_at_once_over_two_replicas_give_one_token(home) -> None:
    replicas = (home.here, home.there)
    answers = await asyncio.gather(
        *(
            replicas[number % 2].rotation.refresh(RefreshRequest(APP, home.token(0)))
            for number in range(16)
        )
    )
    assert {answer.refresh_token for answer in answers} == {home.token(1)}
    assert sorted(answer.outcome for answer in answers) == ["replayed"] * 15 + ["rotated"]


# ---- 6: reuse


async def test_6_the_parent_after_the_grace_ends_the_session(home) -> None:
    await home.use(home.token(0))
    await home.pass_time(timedelta(seconds=11))
    await home.refuses(home.token(0), Outcome.REUSE)
    row = await home.row()
    assert (row["revoke_reason"], row["announced"]) == ("reuse", True)
    await home.refuses(home.token(1), Outcome.REVOKED)


async def test_6_an_older_token_ends_the_session_inside_the_grace_too(home) -> None:
    await home.rotate(3)
    await home.refuses(home.token(1), Outcome.REUSE)
    assert not await home.is_live()


async def test_6_reuse_is_audited_and_counted(home) -> None:
    await home.rotate(2)
    await home.refuses(home.token(0), Outcome.REUSE)
    *_, recorded = home.here.audit.take(10)
    assert (recorded.event.type, recorded.event.client_id) == ("refresh_reuse", "app")
    assert recorded.event.session_id == home.session_id
    assert home.here.metrics.sessions_revoked._children["reuse"]._value.get() == 1


async def test_6_reuse_is_a_verdict_whatever_scope_is_asked_for(home) -> None:
    await home.rotate(2)
    await home.refuses(home.token(0), Outcome.REUSE, scopes=frozenset({"admin"}))


async def test_6_a_verdict_over_a_row_that_has_changed_is_reached_again(home) -> None:
    """After the read a crash makes the presented token the current one: no theft after all."""
    await home.rotate(2)
    await home.pass_time(timedelta(minutes=1))
    home.here.watch.before = once("end_for_reuse", lambda: home.lose_commits(1))
    assert (await home.use(home.token(1))).outcome is Outcome.ROTATED
    assert await home.is_live()


async def test_6_a_row_that_will_not_hold_still_is_503_and_never_an_accusation(home) -> None:
    """Before each verdict the row moves on; after three of them the caller may try again."""
    await home.rotate(2)
    home.here.watch.statements.clear()

    async def move_on(name: str) -> None:
        if name == "end_for_reuse":
            row = await home.row()
            following = home.lineage.wire(row["generation"] + 2)
            await home.set(
                token_hash=row["next_hash"],
                next_hash=following.hash,
                generation=row["generation"] + 1,
            )

    home.here.watch.before = move_on
    with pytest.raises(Unavailable):
        await home.use(home.token(0))
    assert home.here.watch.statements == ["rotate", "read", "end_for_reuse"] * 3
    assert await home.is_live()
    assert home.here.counted().get("reuse") is None


async def test_6_a_superseded_token_is_followed_ten_thousand_steps(home) -> None:
    for generation, outcome in ((10_001, Outcome.ALARM), (10_000, Outcome.REUSE)):
        await home.set(
            generation=generation,
            token_hash=home.lineage.wire(generation).hash,
            next_hash=home.lineage.wire(generation + 1).hash,
        )
        assert await home.is_live()
        await home.refuses(home.token(0), outcome)


# ---- 7: foreign


@pytest.mark.parametrize("generation", [0, 1, 2, 3, 4, 100])
async def test_7_a_forgery_with_the_tag_key_is_refused_and_ends_nothing(home, generation) -> None:
    """A leaked secret must not become a way to sign everybody out."""
    await home.rotate(2)
    forged = replace(home.lineage.wire(generation), secret=b"f" * 32)
    await home.refuses(sign(forged, "app", FIRST), Outcome.ALARM)
    assert await home.is_live()


async def test_7_two_lost_commits_are_a_restored_backup(home) -> None:
    await home.rotate(3)
    await home.lose_commits(1)
    await home.refuses(home.token(3), Outcome.ALARM)
    assert await home.is_live()


# ---- connections that are lost under a refresh


@asynccontextmanager
async def held_answer(home: SignedIn, whom: Client) -> AsyncIterator[tuple[Proxy, Any]]:
    """A refresh that took effect, and whose answer is on its way; it may be cut off."""
    async with Proxy.to(socket_of(home.url), postgres=True) as wire:
        name = home.url.partition("@/")[2].partition("?")[0]
        url = f"postgresql://keyturn@127.0.0.1:{wire.port}/{name}?sslmode=disable"
        server = Replica.on(url, {1: FIRST}, SystemClock())
        another = signing_in(await add_user(home.connection), datetime.now(UTC), APP)
        first = (await server.starter.start(another)).refresh_token
        await server.rotation.refresh(RefreshRequest(APP, first))  # prepares what is held below
        wire.hold("answers")
        asking = asyncio.create_task(server.rotation.refresh(RefreshRequest(whom, home.token(0))))
        async with asyncio.timeout(30):
            while (await home.row())["generation"] == 0:
                await asyncio.sleep(0.005)
        yield wire, asking
        await server.close()


async def test_a_refresh_whose_connection_is_lost_is_asked_again_and_gives_the_same_child(home):
    async with held_answer(home, APP) as (wire, asking):
        wire.release()
        await wire.cut()
        refreshed = await asking
    assert (refreshed.outcome, refreshed.refresh_token) == (Outcome.REPLAYED, home.token(1))


async def test_without_a_grace_a_lost_connection_is_503_and_no_accusation(home):
    async with held_answer(home, client(grace=timedelta(0))) as (wire, asking):
        wire.release()
        await wire.cut()
        with pytest.raises(Unavailable):
            await asking
    assert await home.is_live()


async def test_a_connection_that_hung_before_it_was_lost_is_not_replaced(home):
    """The grace is half over, and with it the time in which to ask again is no accusation."""
    async with held_answer(home, client(grace=timedelta(seconds=0.4))) as (wire, asking):
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began + 0.5:
            await asyncio.sleep(0.01)
        wire.release()
        await wire.cut()
        with pytest.raises(Unavailable):
            await asking
    assert await home.is_live()


# ---- clients with other habits


async def test_without_a_grace_every_use_rotates_and_the_parent_is_reuse_at_once(home) -> None:
    strict = client(grace=timedelta(0))
    assert (await home.use(home.token(0), strict)).refresh_token == home.token(1)
    assert (await home.use(home.token(1), strict)).refresh_token == home.token(2)
    await home.refuses(home.token(1), Outcome.REUSE, whom=strict)


async def test_a_client_has_its_own_grace(home) -> None:
    patient = client(grace=timedelta(seconds=60))
    await home.use(home.token(0), patient)
    await home.pass_time(timedelta(seconds=50))
    assert (await home.use(home.token(0), patient)).outcome is Outcome.REPLAYED
    assert (await home.use(home.token(1), patient)).outcome is Outcome.COALESCED


async def test_with_rotation_off_the_token_is_kept_and_only_the_idle_expiry_slides(home) -> None:
    fixed = client(rotation=False)
    home.here.watch.statements.clear()
    for _ in range(3):
        await home.pass_time(timedelta(minutes=40))
        answer = await home.use(home.token(0), fixed)
        assert (answer.outcome, answer.refresh_token) == (Outcome.KEPT, home.token(0))
        assert answer.unchanged
        assert answer.session.idle_expires_at == answer.session.decided_at + timedelta(hours=1)
    assert home.here.watch.statements == ["keep"] * 3
    assert (await home.row())["generation"] == 0


async def test_with_rotation_off_parents_are_judged_as_everywhere(home) -> None:
    fixed = client(rotation=False)
    await home.use(home.token(0))
    assert (await home.use(home.token(0), fixed)).outcome is Outcome.REPLAYED
    await home.pass_time(timedelta(minutes=1))
    await home.refuses(home.token(0), Outcome.REUSE, whom=fixed)


# ---- secrets


async def test_sessions_survive_the_two_steps_of_a_secret_roll_out(home) -> None:
    """One replica is always a step ahead; the session keeps the key it was born with."""
    steps = [{1: FIRST}, {1: FIRST, 2: SECOND}, {2: SECOND, 1: FIRST}]
    generation = 0
    for old, new in [(steps[0], steps[1]), (steps[1], steps[1]), (steps[1], steps[2])]:
        for secrets in (new, old):
            replica = home.there.with_secrets(secrets)
            await home.pass_time(timedelta(minutes=1))
            request = RefreshRequest(APP, home.token(generation))
            answer = await replica.rotation.refresh(request)
            generation += 1
            assert answer.refresh_token == home.token(generation)
            assert parse(answer.refresh_token).key_id == 1


async def test_new_sessions_are_born_under_the_first_secret(home) -> None:
    replica = home.there.with_secrets({2: SECOND, 1: FIRST})
    request = signing_in(await add_user(home.connection), datetime.now(UTC), APP)
    started = await replica.starter.start(request)
    assert parse(started.refresh_token).key_id == 2
    both = home.here.with_secrets({1: FIRST, 2: SECOND})
    answer = await both.rotation.refresh(RefreshRequest(APP, started.refresh_token))
    assert answer.outcome is Outcome.ROTATED


async def test_taking_a_secret_away_signs_its_sessions_out(home) -> None:
    replica = home.there.with_secrets({2: SECOND})
    with pytest.raises(InvalidGrant):
        await replica.rotation.refresh(RefreshRequest(APP, home.token(0)))
    assert replica.counted() == {"unknown": 1}


# ---- looking without touching, and logging out


async def test_a_credential_is_recognised_without_being_rotated(home) -> None:
    """The session API's calls take the current token, its parent in flight, or a lost child."""
    rotation = home.here.rotation
    await home.rotate()
    before = await home.row()
    for generation in (0, 1, 2):
        session = await rotation.recognise(APP, home.token(generation))
        assert session.id == home.session_id
    assert await home.row() == before
    assert home.here.counted() == {"rotated": 1}, "looking is not refreshing"


async def test_a_superseded_credential_ends_the_session_that_it_is_shown_for(home) -> None:
    await home.rotate(2)
    with pytest.raises(InvalidGrant):
        await home.here.rotation.recognise(APP, home.token(0))
    assert (await home.row())["revoke_reason"] == "reuse"


@pytest.mark.parametrize("generation", [0, 1, 2, 3])
async def test_any_generation_logs_out_and_none_is_called_reuse(home, generation) -> None:
    await home.rotate(2)
    session = await home.here.ending.by_refresh_token(APP, home.token(generation))
    assert session is not None
    row = await home.row()
    assert (row["revoke_reason"], row["announced"]) == ("logout", True)
    assert home.here.metrics.sessions_revoked._children["reuse"]._value.get() == 0


async def test_a_forgery_logs_nobody_out(home) -> None:
    forged = sign(replace(home.lineage.wire(0), secret=b"f" * 32), "app", FIRST)
    assert await home.here.ending.by_refresh_token(APP, forged) is None
    assert await home.here.ending.by_refresh_token(client("other"), home.token(0)) is None
    assert await home.here.ending.by_refresh_token(APP, "rubbish") is None
    assert await home.is_live()


async def test_a_session_lives_as_long_as_its_sign_in_asked_for(home) -> None:
    lifetimes = Lifetimes(timedelta(days=2), timedelta(minutes=5), remembered=True)
    request = signing_in(
        await add_user(home.connection), datetime.now(UTC), APP, lifetimes=lifetimes
    )
    session = (await home.here.starter.start(request)).session
    assert session.idle_expires_at - session.decided_at == timedelta(minutes=5)
    assert session.expires_at - session.decided_at == timedelta(days=2)
    assert session.remembered is True


def once(name: str, happen: Any) -> Any:
    """A hook that lets something happen before the first statement of that name."""
    done: list[str] = []

    async def hook(statement: str) -> None:
        if statement == name and not done:
            done.append(statement)
            await happen()

    return hook


def test_the_oracle_and_the_codec_agree_on_what_follows() -> None:
    """If these two differed, every test above would compare with the wrong token."""
    codec = RefreshTokenCodec(MasterSecrets({1: FIRST}))
    first = sign(parse("krt1_" + "AQ" + "A" * 90), "app", FIRST)  # type: ignore[arg-type]
    lineage = Lineage.of(first, "app", FIRST)
    token = codec.decode(first, "app")
    assert codec.encode(codec.descendant(token, 5), "app") == lineage.text(5)
