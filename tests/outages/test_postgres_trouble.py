"""PostgreSQL away, frozen, killed, slow, full, locked, read-only, a standby: what callers see.

503 with `Retry-After` inside the deadline, never 4xx; whatever needs no database goes on; back
to normal without a restart. One replica, its PostgreSQL behind a proxy, for the whole module:
each test leaves them as it found them.
"""

import asyncio
import os
import statistics
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from keyturn.db.connection import Opener
from keyturn.settings_postgres import PostgresSettings
from support import replicas, wrong_clock
from support.administering import administered, problem
from support.api import GATEWAY, PASSWORD, SignedIn, claims_of, memoryless
from support.disturbed import Disturbed, all_ready, connected, disturbed, through
from support.fleet import App, Fleet
from support.withheld import Withheld

APPS = 8
CONNECTIONS = 60
NO_LINE = "pool: no connection became free in time"
IN_FLIGHT_DEADLINE = 2.75
"""Seconds: 2 for a statement, a quarter for the way, half for a pool that has no line free."""
PATIENCE = 30.0


@pytest.fixture(scope="module")
async def world():
    # A lazy WAL writer: what is not committed synchronously is lost by a kill for sure.
    settings = {"max_connections": str(CONNECTIONS), "wal_writer_delay": "10000ms"}
    async with disturbed(postgres=settings, registration__mode="token") as world:
        yield world


@pytest.fixture
async def fleet(world):
    """Apps that are all signed in; their server has a connection open for each of them."""
    fleet = await Fleet.of(world.api, APPS)
    await warm_up(world, fleet)
    await fleet.outlive_the_grace()
    yield fleet
    await world.wire.mend()
    await fleet.close()


async def warm_up(world: Disturbed, fleet: Fleet) -> None:
    world.wire.delay = 0.01
    await fleet.refresh()
    world.wire.delay = 0.0


async def until(holds, seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.01)


async def timed(request) -> tuple[float, httpx2.Response]:
    began = time.monotonic()
    answer = await request
    return time.monotonic() - began, answer


def check_unavailable(answer: httpx2.Response) -> None:
    """What a client must be able to tell from a refusal: it keeps its token and tries again."""
    assert answer.status_code == 503, (answer.url.path, answer.status_code, answer.text)
    assert answer.json()["error"] == "temporarily_unavailable"
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers


async def refreshes(fleet: Fleet, times: int) -> list[tuple[float, int]]:
    """Have the apps send `times` refreshes each, all at once; return durations and statuses."""

    async def one(app: App) -> tuple[float, int]:
        duration, answer = await timed(send(app))
        if answer.status_code != 200:
            check_unavailable(answer)
        return duration, answer.status_code

    return await asyncio.gather(*(one(app) for app in fleet.apps for _ in range(times)))


async def send(app: App) -> httpx2.Response:
    return await app.caller.post(
        f"{app.url}/oauth2/token",
        data={
            "grant_type": "refresh_token",
            "client_id": app.device.client_id,
            "refresh_token": app.device.refresh_token,
        },
    )


async def check_nothing_leaked(fleet: Fleet) -> None:
    """More requests at once than there are lines are answered at once: each line came back."""
    assert {status for _, status in await refreshes(fleet, 5)} == {200}


@dataclass
class Traffic:
    """Apps that refresh all the time and one caller that reads public documents."""

    world: Disturbed
    fleet: Fleet
    refreshed: list[tuple[float, float, int]] = field(default_factory=list)
    """When it was sent, how long it took, how it was answered."""
    documents: Counter = field(default_factory=Counter)

    @classmethod
    @asynccontextmanager
    async def of(cls, world: Disturbed, fleet: Fleet):
        traffic = cls(world, fleet)
        tasks = [asyncio.create_task(traffic._refresh(app)) for app in fleet.apps]
        tasks.append(asyncio.create_task(traffic._read()))
        try:
            await until(traffic._has_begun)
            yield traffic
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended

    async def _has_begun(self) -> bool:
        return len(self.refreshed) > APPS and self.documents.total() > 1

    async def _refresh(self, app: App) -> None:
        while True:
            sent = time.monotonic()
            await app.attempt()
            self.refreshed.append((sent, time.monotonic() - sent, app.statuses[-1]))
            await asyncio.sleep(0.03)

    async def _read(self) -> None:
        paths = ("/.well-known/jwks.json", "/.well-known/openid-configuration")
        while True:
            for path in paths:
                answer = await self.world.api.get(path)
                self.documents[answer.status_code] += 1
            await asyncio.sleep(0.03)

    async def until_normal(self, recovered_at: float, within: float) -> None:
        """Wait until everything sent for a while was answered well; it must come soon."""

        withheld = Withheld(self.world.replica)

        async def answered(sent_after: float) -> list[int]:
            async def enough() -> bool:
                return len(since()) >= 3 * APPS

            def since() -> list[int]:
                return [status for sent, _, status in self.refreshed if sent > sent_after]

            await until(enough)
            return since()

        await answered(recovered_at + within)
        assert set(await answered(recovered_at + within + withheld.seconds)) == {200}

    def statuses(self) -> Counter:
        return Counter(status for _, _, status in self.refreshed)

    def slowest(self) -> float:
        return max(took for _, took, _ in self.refreshed)


# Away: stopped, killed


async def test_F1_a_stopped_postgresql_is_503_in_time_and_all_is_well_again_without_us(
    world, fleet
):
    process, withheld = world.replica.process.pid, Withheld(world.replica)
    async with Traffic.of(world, fleet) as traffic:
        await world.postgres.stop()
        await until(lambda: has_seen(traffic, 503))
        await world.postgres.start()
        await traffic.until_normal(time.monotonic(), within=0.5)
    print(traffic.statuses(), f"slowest {traffic.slowest():.2f} s", traffic.documents)
    assert set(traffic.statuses()) == {200, 503}
    assert traffic.slowest() < 2.5 + withheld.seconds
    assert set(traffic.documents) == {200}
    assert world.replica.process.poll() is None
    assert world.replica.process.pid == process
    await fleet.check_one_lineage()


async def has_seen(traffic: Traffic, status: int) -> bool:
    return traffic.statuses()[status] >= APPS


@asynccontextmanager
async def both_away(world: Disturbed, device: SignedIn):
    """Stop PostgreSQL and Redis for the block; wait until all is well again."""
    await asyncio.gather(world.postgres.stop(), world.valkey.stop())
    try:
        yield
    finally:
        await asyncio.gather(world.postgres.start(), world.valkey.start())
    await until(lambda: is_answered(world.api, device))


async def test_REL_1_without_its_stores_every_door_says_503_and_never_4xx(world):
    api = world.api
    person = await api.person()
    device = await api.sign_in(person)
    machine = await api.token("machine", grant_type="client_credentials")
    assert await api.is_active(device.access_token)
    gateway = await api.client(GATEWAY)
    async with both_away(world, device):
        for answer in await asyncio.gather(
            exchange(api, gateway, device), *ask_every_door(api, person, device)
        ):
            check_unavailable(answer)
        foreign = await api.token(
            "app", grant_type="refresh_token", refresh_token="krt1_" + "A" * 92
        )
        assert foreign.json()["error"] == "invalid_grant", "decided without the database"
        assert machine.status_code == 200
        again = await api.token("machine", grant_type="client_credentials")
        assert again.status_code == 200, "signing needs no database"


async def exchange(api, gateway, device: SignedIn):
    kind = "urn:ietf:params:oauth:token-type:access_token"
    fields = {"subject_token": device.access_token, "subject_token_type": kind}
    return await api.token(gateway, grant_type=GATEWAY["grant_types"][0], **fields)


def ask_every_door(api, person, device: SignedIn):
    """Every request that cannot be answered with both stores away."""
    credential = device.credential
    yield api.refresh(device)
    yield api.post("/auth/refresh", credential)
    yield api.login(person)
    yield api.post("/auth/logout", credential)
    yield api.post("/auth/logout-all", credential)
    yield api.get("/auth/sessions", headers=device.bearer)
    yield api.get("/auth/me", headers=device.bearer)
    yield api.post("/auth/reauthenticate", {**credential, "password": PASSWORD})
    yield api.post("/auth/password", {**credential, "newPassword": "another good one"})
    yield api.post(f"/auth/sessions/{device.session_id}", credential, method="DELETE")
    yield api.form("/oauth2/revoke", "app", token=device.refresh_token)
    yield api.form("/oauth2/revoke", "app", token=device.access_token)
    yield api.form("/oauth2/introspect", "reader", token=device.access_token)
    yield api.post("/oauth2/register", {"redirect_uris": []}, headers={"authorization": "Bearer x"})
    for method in ("GET", "PUT", "DELETE"):
        yield api.post("/oauth2/register/dyn-x", {}, method=method, headers=device.bearer)
    cookie = {
        "cookie": f"{api.cookie_name('app', prefix='')}={device.refresh_token}",
        "origin": replicas.ORIGIN,
    }
    yield api.post("/auth/refresh", headers=cookie)
    yield api.post("/auth/logout", headers=cookie)


async def is_answered(api, device: SignedIn) -> bool:
    return (await api.refresh(device)).status_code == 200


async def test_REL_1_the_admin_api_says_503_in_its_own_shape_and_goes_on_afterwards(world):
    async with administered(world.api) as admin:
        await world.wire.refuse()
        await world.wire.cut()
        try:
            for one in await admin.operations():
                if one.name in {"createClient", "replaceClient", "revokeSessions"}:
                    continue  # their empty bodies are refused before anything is asked
                body = None if one.method in {"GET", "DELETE"} else WANTED.get(one.name, {})
                headers = {"if-match": "*"}
                answer = await admin.call(one.method, one.about_nothing, body, headers=headers)
                assert problem(answer) == (503, "temporarily_unavailable"), one.name
        finally:
            await world.wire.mend()

        async def answers() -> bool:
            return (await admin.call("GET", "/users")).status_code == 200

        await until(answers)


WANTED = {
    "createUser": {"email": "somebody@example.com"},
    "setPassword": {"password": PASSWORD},
}
"""What an operation of the admin API wants in its body."""


async def test_REL_5_what_needs_no_store_goes_on_without_any_and_the_pod_stays(world):
    api = world.api
    device = await api.sign_in(await api.person())
    async with (
        httpx2.AsyncClient(base_url=world.replica.management_url) as management,
        both_away(world, device),
    ):
        published = await api.get("/.well-known/jwks.json")
        for path in (
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
        ):
            assert (await api.get(path)).status_code == 200
        keys = KeySet.import_key_set(published.json())
        claims = jwt.decode(device.access_token, keys, algorithms=["RS256"]).claims
        assert claims["sid"] == str(device.session_id)
        await until(lambda: reports_both_away(management))
        for probe in ("live", "started", "ready"):
            assert (await management.get(f"/health/{probe}")).status_code == 200, probe


async def reports_both_away(management: httpx2.AsyncClient) -> bool:
    answer = await management.get("/health/dependencies")
    stores = answer.json()["dependencies"]
    return answer.status_code == 503 and not any(stores[one]["up"] for one in ("postgres", "redis"))


async def test_F3_after_kill_9_what_was_answered_is_there_and_what_was_not_converges(world, fleet):
    """With synchronous commits an answer is a promise; the campaigns are in the kills' module."""
    await asyncio.gather(*fleet.attempts())
    world.postgres.kill()
    await world.postgres.start()
    await fleet.check_one_lineage()
    await warm_up(world, fleet)
    await fleet.outlive_the_grace()
    before = await fleet.generations()
    world.wire.hold("answers")
    attempts = fleet.attempts()
    await until(lambda: all_moved(fleet, before))
    world.postgres.kill()
    await world.wire.cut()
    world.wire.release()
    await asyncio.gather(*attempts)
    assert not any(app.answered for app in fleet.apps), "invalid: nothing was in flight"
    await world.postgres.start()
    assert await fleet.generations() == [one + 1 for one in before], "committed is committed"
    await fleet.refresh()
    await fleet.check_one_lineage()
    assert await fleet.generations() == [one + 1 for one in before]


async def all_moved(fleet: Fleet, before: list[int]) -> bool:
    return await fleet.generations() == [one + 1 for one in before]


# Frozen, silent, slow: deadlines


async def test_F2_a_frozen_postgresql_hangs_nobody_and_leaks_nothing(world, fleet):
    withheld = Withheld(world.replica)
    world.postgres.freeze()
    try:
        asked = asyncio.create_task(refreshes(fleet, 4))
        beats = await asyncio.to_thread(heartbeats, world)
        answers = await asked
    finally:
        world.postgres.thaw()
    slowest = max(took for took, _ in answers)
    print(f"{len(answers)} refreshes, slowest {slowest:.2f} s; heartbeats up to {max(beats):.3f} s")
    assert {status for _, status in answers} == {503}
    assert slowest < IN_FLIGHT_DEADLINE + withheld.seconds
    assert statistics.median(beats) < 0.05 + withheld.seconds / len(beats)
    await until(lambda: all_answered(fleet))
    await check_nothing_leaked(fleet)
    await fleet.refresh()
    await fleet.check_one_lineage()


def heartbeats(world: Disturbed) -> list[float]:
    """How long the event loop takes to say that it is alive, asked by somebody else's thread."""
    parts = urlsplit(world.replica.management_url)
    line = HTTPConnection(parts.hostname, parts.port, timeout=5)
    beats = []
    for _ in range(50):
        began = time.monotonic()
        line.request("GET", "/health/live")
        assert line.getresponse().read() == b'{"status":"live"}'
        beats.append(time.monotonic() - began)
    line.close()
    return beats


async def all_answered(fleet: Fleet) -> bool:
    return {status for _, status in await refreshes(fleet, 1)} == {200}


async def test_REL_3_waiting_for_a_line_a_connection_or_a_statement_ends_in_time(world, fleet):
    wire, withheld = world.wire, Withheld(world.replica)
    wire.hold("answers")
    answers = await asyncio.gather(*(timed(send(app)) for app in fleet.apps for _ in range(4)))
    print("statements:", sorted(f"{took:.2f}" for took, _ in answers))
    early = [took for took, answer in answers if NO_LINE in await reason(world, answer)]
    assert len(early) >= 2 * APPS
    assert max(early) < 1.75 + withheld.seconds, "who finds no line is told after half a second"
    assert 2.0 <= max(took for took, _ in answers) < IN_FLIGHT_DEADLINE + withheld.seconds
    await wire.cut()
    wire.release()
    await until(lambda: all_answered(fleet))
    wire.hold("questions")
    await wire.cut()
    answers = await refreshes(fleet, 1)
    print("connections:", [f"{took:.2f}" for took, _ in answers])
    assert {status for _, status in answers} == {503}
    assert 0.9 <= max(took for took, _ in answers) < 1.75 + withheld.seconds
    await wire.cut()
    wire.release()
    await until(lambda: all_answered(fleet))
    await check_nothing_leaked(fleet)


async def test_F9_a_slow_postgresql_sheds_load_early_and_recovers(world, fleet):
    withheld = Withheld(world.replica)
    world.wire.delay = 0.3
    answers = await refreshes(fleet, 10)
    world.wire.delay = 0.0
    statuses = Counter(status for _, status in answers)
    slowest = max(took for took, _ in answers)
    print(f"{dict(statuses)}, slowest {slowest:.2f} s")
    assert statuses[200] > 0
    assert statuses[503] > 0, "invalid: there was nothing to shed"
    assert slowest < IN_FLIGHT_DEADLINE + withheld.seconds
    await until(lambda: all_answered(fleet))
    await check_nothing_leaked(fleet)


async def test_F11_a_locked_row_is_503_after_the_lock_timeout_and_disturbs_nobody_else(
    world, fleet
):
    locked, *others = fleet.apps
    async with connected(world.postgres.url) as sql, sql.transaction():
        row = "select from sessions where id = $1 for update"
        await sql.execute(row, locked.device.session_id)
        withheld = Withheld(world.replica)
        waiting = asyncio.create_task(timed(send(locked)))
        await until(lambda: somebody_waits(world))
        assert all(await asyncio.gather(*(app.attempt() for app in others)))
        took, answer = await waiting
        check_unavailable(answer)
        assert await reason(world, answer) == "rotate: LockNotAvailableError"
        assert 1.0 <= took < 2.0 + withheld.seconds
        assert not await somebody_waits(world), "the server gave up, and PostgreSQL too"
    await locked.refresh()
    await fleet.check_one_lineage()


async def reason(world: Disturbed, answer: httpx2.Response) -> str:
    """Return why a request was refused, which only the log says."""
    return (await world.api.refusal(answer))[2]


async def somebody_waits(world: Disturbed) -> bool:
    return await world.api.sql.fetchval(
        "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock'"
    )


async def test_REL_3_a_statement_that_runs_on_is_ended_by_postgresql_too(world, fleet):
    """A trigger makes one rotation sleep: nothing of it goes on once the caller was answered."""
    slow, *others = fleet.apps
    async with connected(world.postgres.url) as sql:
        await sql.execute(
            "create function dawdle() returns trigger language plpgsql as "
            "$$ begin perform pg_sleep(30); return new; end $$"
        )
        await sql.execute(
            "create trigger dawdle before update on sessions for each row "
            f"when (old.id = '{slow.device.session_id}') execute function dawdle()"
        )
        withheld = Withheld(world.replica)
        try:
            took, answer = await timed(send(slow))
        finally:
            await sql.execute("drop function dawdle cascade")
    check_unavailable(answer)
    assert await reason(world, answer) == "rotate: QueryCanceledError"
    assert 1.9 <= took < IN_FLIGHT_DEADLINE + withheld.seconds
    assert not await runs(world, "%update sessions%")
    assert all(await asyncio.gather(*(app.attempt() for app in (slow, *others))))
    await fleet.check_one_lineage()


async def runs(world: Disturbed, like: str) -> bool:
    return await world.api.sql.fetchval(
        "select count(*) > 0 from pg_stat_activity where state = 'active' "
        "and query like $1 and pid <> pg_backend_pid()",
        like,
    )


async def test_REL_3_postgresql_ends_a_connection_that_idles_in_a_transaction(world):
    """A process that stops in the middle of one must not hold its locks for ever."""
    settings = PostgresSettings(url=world.postgres.url, statement_timeout=0.2)
    forgotten = await Opener(settings).open()
    try:
        await forgotten.execute("begin")
        await until(lambda: is_closed(forgotten))
        shown = await world.api.sql.fetch(
            "select from pg_stat_activity where state like 'idle in transaction%'"
        )
        assert shown == []
    finally:
        forgotten.terminate()


async def is_closed(connection: asyncpg.Connection) -> bool:
    return connection.is_closed()


# Not known whether it happened


async def test_F8_a_commit_whose_answer_is_lost_is_503_and_the_retry_finds_it_done(world, fleet):
    app, api = fleet.apps[0], world.api
    (generation, *_) = await fleet.generations()
    parent = app.device.refresh_token
    world.wire.hold("answers")
    asked = asyncio.create_task(send(app))
    await until(lambda: moved(fleet, generation))
    await world.wire.cut()
    world.wire.release()
    answer = await asked
    assert answer.status_code in {200, 503}
    if answer.status_code == 503:
        check_unavailable(answer)
    await app.refresh()
    assert app.parent == parent
    assert app.generation == generation + 1
    await until(lambda: is_answered(api, app.device))
    world.wire.hold("answers")
    asked = asyncio.create_task(api.post("/auth/logout", app.device.credential))
    await until(lambda: anything_held(world))
    await world.wire.cut()
    world.wire.release()
    assert (await asked).status_code in {204, 503}
    assert (await api.post("/auth/logout", app.device.credential)).status_code == 204
    assert (await send(app)).json()["error"] == "invalid_grant"


async def moved(fleet: Fleet, generation: int) -> bool:
    return (await fleet.generations())[0] == generation + 1


async def anything_held(world: Disturbed) -> bool:
    return world.wire.held["answers"] > 0


async def test_REL_2_a_rotation_is_one_statement_and_is_answered_after_its_commit(world, fleet):
    """Held back before PostgreSQL hears of it: no answer. After it answered: one statement each."""
    wire = world.wire
    before = await fleet.generations()
    wire.hold("questions")
    attempts = fleet.attempts()
    await until(lambda: asked_by_all(world))
    assert not any(task.done() for task in attempts)
    assert await fleet.generations() == before
    wire.statements.clear()
    wire.release()
    assert all(await asyncio.gather(*attempts))
    assert await all_moved(fleet, before)
    await fleet.outlive_the_grace()
    wire.statements.clear()
    assert all(await asyncio.gather(*fleet.attempts()))
    asked = Counter({text: times for text, times in wire.statements.items() if "sessions" in text})
    print(asked)
    assert list(asked.values()) == [APPS]
    assert next(iter(asked)).startswith("update sessions")
    await fleet.check_one_lineage()


async def asked_by_all(world: Disturbed) -> bool:
    return world.wire.held["questions"] >= APPS


AT_THE_COMMIT = """
create function wait_at_commit() returns trigger language plpgsql as
    $$ begin
        perform set_config('lock_timeout', '0', true), pg_advisory_xact_lock(1);
        return null;
    end $$;
create constraint trigger wait_at_commit after insert on revocations
    deferrable initially deferred for each row execute function wait_at_commit();
create constraint trigger wait_at_commit after update on users
    deferrable initially deferred for each row execute function wait_at_commit();
"""
WRITTEN = """
select (select count(*) from sessions where id = any($1) and revoked_at is not null)
     + (select count(*) from revocations where kind = 'jti' and id = any($2))
     + (select count(*) from users where id = any($3) and valid_after > created_at)
"""


async def test_REL_2_what_takes_rights_away_is_answered_after_its_commit_too(world):
    """PostgreSQL waits in the middle of each commit: nobody has an answer, nothing is seen."""
    api = world.api
    people = [await api.person() for _ in range(6)]
    devices = await asyncio.gather(*(api.sign_in(person) for person in people))
    async with connected(world.postgres.url) as sql:
        await sql.execute(AT_THE_COMMIT)
        await sql.execute("select pg_advisory_lock(1)")
        try:
            asked = [asyncio.create_task(one) for one in take_rights_away(api, devices)]
            await until(lambda: all_wait_at_their_commit(sql, len(asked)))
            before = await written(sql, people, devices)
            early = [task for task in asked if task.done()]
        finally:
            await sql.execute("select pg_advisory_unlock(1)")
            statuses = [(await task).status_code for task in asked]
            await sql.execute("drop function wait_at_commit cascade")
        after = await written(sql, people, devices)
    assert (early, before) == ([], 0)
    assert (statuses, after) == ([204, 204, 200, 200, 204, 200], 4 + 1 + 2)


def take_rights_away(api, devices: list[SignedIn]):
    """Each device does it another way: four end sessions, one a token, two close an account."""
    one, two, three, four, five, six = devices
    yield api.post("/auth/logout", one.credential)
    yield api.post(f"/auth/sessions/{two.session_id}", two.credential, method="DELETE")
    yield api.form("/oauth2/revoke", "app", token=three.refresh_token)
    yield api.form("/oauth2/revoke", "app", token=four.access_token)
    yield api.post("/auth/password", {**five.credential, "newPassword": "another good one"})
    yield api.post("/auth/logout-all", six.credential)


async def all_wait_at_their_commit(sql: asyncpg.Connection, number: int) -> bool:
    waiting = "select count(*) from pg_stat_activity where wait_event = 'advisory'"
    return await sql.fetchval(waiting) == number


async def written(sql: asyncpg.Connection, people, devices: list[SignedIn]) -> int:
    return await sql.fetchval(
        WRITTEN,
        [device.session_id for device in devices],
        [claims_of(device.access_token)["jti"] for device in devices],
        [person.id for person in people],
    )


# No room, no writing


async def test_F10_when_postgresql_has_no_connection_left_we_wait_our_turn(world, fleet):
    api = world.api
    taken: list[asyncpg.Connection] = []
    async with connected(world.postgres.url) as sql:
        try:
            async with asyncio.timeout(PATIENCE):
                while (answer := await sent_with_none_left(world, fleet, sql, taken)).is_success:
                    pass
            check_unavailable(answer)
            assert (await api.get("/.well-known/jwks.json")).status_code == 200
            assert world.replica.is_ready()
        finally:
            for connection in taken:
                connection.terminate()
    await until(lambda: all_answered(fleet))
    await fleet.refresh()
    await fleet.check_one_lineage()
    assert world.replica.process.poll() is None


async def sent_with_none_left(world: Disturbed, fleet: Fleet, sql, taken: list) -> httpx2.Response:
    """Refresh once all are taken; the place of one that was still ending may be had after all."""
    await until(lambda: all_taken(world, sql, taken))
    return await send(fleet.apps[0])


async def all_taken(world: Disturbed, sql: asyncpg.Connection, taken: list) -> bool:
    """Throw the server's connections out and take every place; True once it has none."""
    ours = "application_name like 'keyturn%' and backend_type = 'client backend'"
    await sql.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}")
    try:
        while True:
            taken.append(await asyncpg.connect(world.postgres.url))
    except asyncpg.TooManyConnectionsError:
        return not await sql.fetchval(f"select count(*) from pg_stat_activity where {ours}")


async def test_F12_a_read_only_postgresql_is_503_where_something_is_written(world, fleet):
    api = world.api
    person = await api.person()
    device = await api.sign_in(person)
    async with connected(world.postgres.url) as sql:
        await sql.execute("set default_transaction_read_only = off")
        await sql.execute("alter system set default_transaction_read_only = on")
        await sql.execute("select pg_reload_conf()")
        try:
            await until(lambda: refuses_writes(world))
            check_unavailable(await send(fleet.apps[0]))
            check_unavailable(await api.login(person))
            check_unavailable(await api.post("/auth/logout", device.credential))
            assert (await api.get("/.well-known/jwks.json")).status_code == 200
            assert await api.is_active(device.access_token)
        finally:
            await sql.execute("alter system reset default_transaction_read_only")
            await sql.execute("select pg_reload_conf()")
    await until(lambda: all_answered(fleet))
    assert (await api.post("/auth/logout", device.credential)).status_code == 204
    await fleet.refresh()
    await fleet.check_one_lineage()


async def refuses_writes(world: Disturbed) -> bool:
    return await world.api.sql.fetchval("show default_transaction_read_only") == "on"


async def test_F6_a_standby_is_not_served_from_and_its_promotion_is_noticed(world, fleet):
    """The database comes back as a standby of nobody, then is promoted: nobody restarts us."""
    signal = Path(await data_folder(world)) / "standby.signal"
    await world.postgres.stop()
    signal.touch()
    owner = signal.parent.stat()
    os.chown(signal, owner.st_uid, owner.st_gid)
    starting = asyncio.create_task(world.postgres.start())
    await until(lambda: is_standby(world))
    check_unavailable(await send(fleet.apps[0]))
    environ = through(world.wire, world.redis_wires[0])
    newcomer = replicas.start(environ)
    try:
        await until(lambda: says_it_waits(newcomer))
        assert not newcomer.is_ready()
        await world.api.sql.execute("select pg_promote()")
        await starting
        await all_ready(newcomer)
    finally:
        newcomer.kill()
        newcomer.log.unlink()
    await until(lambda: all_answered(fleet))
    await fleet.refresh()
    await fleet.check_one_lineage()
    assert not signal.exists()


async def data_folder(world: Disturbed) -> str:
    return await world.api.sql.fetchval("show data_directory")


async def is_standby(world: Disturbed) -> bool:
    try:
        return await world.api.sql.fetchval("select pg_is_in_recovery()")
    except (OSError, asyncpg.CannotConnectNowError):
        return False


async def says_it_waits(replica) -> bool:
    return '"waiting_for":"connect: TargetServerAttributeNotMatched' in replica.log.read_text()


# Whose time it is


async def test_REL_6_pods_with_wrong_clocks_write_the_database_s_time(world):
    """Five minutes ahead and five behind, taking turns: stored times and the grace do not care."""
    environ = through(world.wire, world.redis_wires[0])
    ahead, behind = [
        replicas.start(environ, command=(wrong_clock.COMMAND, off)) for off in ("300", "-300")
    ]
    try:
        await all_ready(ahead, behind)
        await until(lambda: says_its_clock_is_off(ahead, -300))
        await until(lambda: says_its_clock_is_off(behind, 300))
        await check_stored_times(world, ahead, behind)
    finally:
        ahead.kill()
        behind.kill()
        ahead.log.unlink()
        behind.log.unlink()


async def says_its_clock_is_off(replica, seconds: float) -> bool:
    skew = await asyncio.to_thread(replica.metric, "keyturn_clock_skew_seconds")
    return abs(skew - seconds) < 5


async def check_stored_times(world: Disturbed, ahead, behind) -> None:
    api, person = world.api, await world.api.person()
    async with httpx2.AsyncClient(cookies=memoryless()) as caller:
        for first, second in ((ahead, behind), (behind, ahead)):
            begun = await caller.post(
                f"{first.url}/auth/login",
                json={"email": person.email, "password": PASSWORD},
                headers={"x-keyturn-client": "app"},
            )
            given = begun.json()
            device = SignedIn(
                "app", given["accessToken"], given["refreshToken"], given["sessionId"]
            )
            assert abs(await seconds_off(world, device, "created_at")) < 5
            assert abs(await seconds_off(world, device, "auth_time")) < 5
            app = App(device, caller, second.url)
            await app.refresh()
            assert app.generation == 1
            assert abs(await seconds_off(world, device, "rotated_at")) < 5
            row = await api.row(device)
            assert row["expires_at"] - row["created_at"] == row["idle_lifetime"]
            child, parent = device.refresh_token, app.parent
            device.refresh_token, app.url = parent, first.url
            await app.refresh()
            assert device.refresh_token == child, "the grace is the database's"
            issued = claims_of((await send(app)).json()["access_token"])["iat"]
            assert abs(issued - time.time()) < 5
            await api.age(device)
            device.refresh_token = parent
            answer = await send(app)
            assert answer.json()["error"] == "invalid_grant"
            assert (await api.row(device))["revoke_reason"] == "reuse"


async def seconds_off(world: Disturbed, device: SignedIn, column: str) -> float:
    return await world.api.sql.fetchval(
        f"select extract(epoch from clock_timestamp() - {column})::float8 from sessions "
        "where id = $1",
        device.session_id,
    )
