"""The `signing_keys` table on a real PostgreSQL: races, gates, seals, and what replicas see."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers

from keyturn.clock import FixedClock, SystemClock
from keyturn.crypto import jose
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.listen import Listener
from keyturn.db.pool import Database
from keyturn.errors import KeyNotReady, Unavailable
from keyturn.jobs.reload_keyring import ReloadKeyring
from keyturn.jobs.rotate_keys import RotateKeys
from keyturn.keys.decision import Add, Promote, Remove, Reseal, Retire
from keyturn.keys.model import State
from keyturn.keys.rotation import CHANNEL, KeyRotation
from keyturn.keys.sealing import unseal
from keyturn.settings_postgres import PostgresSettings
from keyturn.telemetry.metrics import Metrics
from support.keys import BOTH, FIRST, POLICY, SECOND, keyring_of, made_before, rotation_of
from support.patience import patient

DEADLINE = 30


@pytest.fixture
def postgres(database_url: str) -> PostgresSettings:
    return patient(database_url)


@pytest.fixture
async def database(postgres: PostgresSettings) -> AsyncIterator[Database]:
    database = Database(postgres, Metrics())
    yield database
    await database.close()


@pytest.fixture
async def sql(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """An operator's connection, to age rows and to look."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    made_before(monkeypatch)


@pytest.fixture
def rotation(database: Database) -> KeyRotation:
    return rotation_of(database)


async def age(sql: asyncpg.Connection, state: State, by: timedelta) -> None:
    await sql.execute(
        "update signing_keys set since = since - $2::interval,"
        " sealed_at = sealed_at - $2::interval where state = $1",
        str(state),
        by,
    )


async def states(sql: asyncpg.Connection) -> dict[str, str]:
    rows = await sql.fetch("select kid, state from signing_keys order by created_at, kid")
    return {row["kid"]: row["state"] for row in rows}


async def kid_of(sql: asyncpg.Connection, state: State) -> str:
    return await sql.fetchval("select kid from signing_keys where state = $1", str(state))


async def until(condition) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_an_empty_table_gets_its_two_keys(rotation, sql):
    assert await rotation.run_due() == (Add(State.SIGNING), Add(State.NEXT))
    assert sorted((await states(sql)).values()) == ["next", "signing"]
    assert await rotation.run_due() == ()


async def test_replicas_that_start_together_make_two_keys_between_them(postgres, sql):
    async with replicas(postgres, 6) as rotations:
        done = await at_once(sql, [one.run_due() for one in rotations])
    assert sorted(map(len, done)) == [0, 0, 0, 0, 0, 2]
    assert sorted((await states(sql)).values()) == ["next", "signing"]


@pytest.mark.parametrize("operators", [0, 3], ids=["jobs alone", "jobs and operators"])
async def test_two_replicas_cannot_both_promote(postgres, sql, rotation, operators):
    await rotation.run_due()
    before = {state: await kid_of(sql, state) for state in (State.SIGNING, State.NEXT)}
    await age(sql, State.SIGNING, POLICY.period)
    await age(sql, State.NEXT, POLICY.lead)
    async with replicas(postgres, 6) as rotations:
        asked = [one.promote_now() for one in rotations[:operators]]
        done = await at_once(sql, asked + [one.run_due() for one in rotations[operators:]])
    assert len([steps for steps in done if isinstance(steps, tuple) and steps]) == 1
    assert all(isinstance(one, KeyNotReady | tuple) for one in done)
    assert await kid_of(sql, State.SIGNING) == before[State.NEXT]
    assert await kid_of(sql, State.RETIRED) == before[State.SIGNING]
    assert len(await states(sql)) == 3


@asynccontextmanager
async def replicas(postgres: PostgresSettings, count: int) -> AsyncIterator[list[KeyRotation]]:
    patient = postgres.model_copy(update={"lock_timeout": 9.0, "statement_timeout": 9.0})
    databases = [Database(patient, Metrics()) for _ in range(count)]
    yield [rotation_of(database) for database in databases]
    for database in databases:
        await database.close()


async def at_once(sql: asyncpg.Connection, rotations: list) -> list:
    """Hold every writer back until all of them have read the table and wait; then let go."""

    async def all_wait() -> bool:
        await sql.execute("select pg_stat_clear_snapshot()")  # else a transaction sees its first
        waiting = await sql.fetchval(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )
        return waiting == len(rotations)

    async with sql.transaction():
        await sql.execute("lock table signing_keys in exclusive mode")
        racing = asyncio.gather(*rotations, return_exceptions=True)
        await until(all_wait)
    return await racing


@pytest.mark.parametrize("state", ["next", "signing"])
async def test_the_table_itself_refuses_a_second_key_in_a_state(rotation, sql, state):
    """The lock is our manners; the index is the law."""
    await rotation.run_due()
    with pytest.raises(asyncpg.UniqueViolationError):
        await sql.execute(
            "insert into signing_keys (kid, state, public_jwk, private_sealed, sealed_at)"
            " values ('x', $1, '{}', $2, now())",
            state,
            bytes(64),
        )


async def test_a_retired_key_keeps_no_private_half(rotation, sql):
    await rotation.run_due()
    await age(sql, State.NEXT, POLICY.lead)
    await rotation.promote_now()
    row = await sql.fetchrow("select * from signing_keys where state = 'retired'")
    assert (row["private_sealed"], row["sealed_at"]) == (None, None)
    with pytest.raises(asyncpg.CheckViolationError):
        await sql.execute("update signing_keys set state = 'retired' where state = 'signing'")


async def test_rotating_now_is_refused_until_the_next_key_has_had_its_lead(rotation, sql):
    await rotation.run_due()
    with pytest.raises(KeyNotReady, match="may sign in 900 s"):
        await rotation.promote_now()
    await age(sql, State.NEXT, POLICY.lead - timedelta(seconds=30))
    with pytest.raises(KeyNotReady, match=r"may sign in (30|29) s"):
        await rotation.promote_now()
    await age(sql, State.NEXT, timedelta(seconds=30))
    signing, following = await kid_of(sql, State.SIGNING), await kid_of(sql, State.NEXT)
    assert await rotation.promote_now() == (Retire(signing), Promote(following), Add(State.NEXT))


async def test_a_compromised_key_is_gone_at_once(rotation, sql):
    await rotation.run_due()
    signing, following = await kid_of(sql, State.SIGNING), await kid_of(sql, State.NEXT)
    assert await rotation.replace_compromised() == (
        Remove(signing, State.SIGNING),
        Promote(following),
        Add(State.NEXT),
    )
    found = await states(sql)
    assert signing not in found
    assert found[following] == "signing"


async def test_what_happens_to_keys_is_audited(rotation, sql):
    await rotation.run_due()
    await age(sql, State.NEXT, POLICY.lead)
    retired, promoted = await kid_of(sql, State.SIGNING), await kid_of(sql, State.NEXT)
    await rotation.promote_now()
    await rotation.replace_compromised()
    events = [recorded.event for recorded in rotation.audit.take(100)]
    assert [event.type for event in events] == [
        *("key_created", "key_created"),
        *("key_retired", "key_rotated", "key_created"),
        *("key_compromised", "key_rotated", "key_created"),
    ]
    kids = [event.detail.get("kid") for event in events]
    assert kids[2:6] == [retired, promoted, None, promoted]


async def test_a_retired_key_is_removed_when_its_tokens_have_expired(database, rotation, sql):
    metrics = Metrics()
    job = RotateKeys(rotation, metrics, interval=5)
    await job.run_once()
    await age(sql, State.NEXT, POLICY.lead)
    await rotation.promote_now()
    retired = await kid_of(sql, State.RETIRED)
    await age(sql, State.RETIRED, POLICY.retirement - timedelta(minutes=1))
    assert await job.run_once() == ()
    await age(sql, State.RETIRED, timedelta(minutes=2))
    assert await job.run_once() == (Remove(retired, State.RETIRED),)
    assert retired not in await states(sql)
    deleted = metrics.registry.get_sample_value(
        "keyturn_purge_rows_deleted_total", {"table": "signing_keys"}
    )
    assert deleted == 1


async def test_a_row_somebody_changed_by_hand_undoes_the_whole_rotation(rotation, sql, database):
    """Half a rotation would leave no key that signs."""
    await rotation.run_due()
    await age(sql, State.NEXT, POLICY.lead)
    await sql.execute(
        "create function keep() returns trigger language plpgsql as"
        " $$ begin return null; end $$;"
        "create trigger keep before update on signing_keys for each row"
        " when (new.state = 'signing') execute function keep()"
    )
    before = await states(sql)
    with pytest.raises(Unavailable, match="Promote found another state"):
        await rotation.promote_now()
    assert await states(sql) == before


async def test_a_secret_is_rolled_out_in_two_steps(database, sql):
    """Listed last everywhere, then first; the keys follow, and the old secret may go."""
    old = rotation_of(database)
    await old.run_due()
    new = rotation_of(database, BOTH)
    assert await new.run_due() == ()
    await age(sql, State.SIGNING, POLICY.staleness)
    await age(sql, State.NEXT, POLICY.staleness)
    steps = await new.run_due()
    assert [type(step) for step in steps] == [Reseal, Reseal]
    situation = await rotation_of(database, SECOND).look()
    assert {key.secret_id for key in situation.keys} == {2}
    assert situation.opened == {key.kid for key in situation.keys}
    assert await new.run_due() == ()


async def test_resealing_changes_the_seal_and_not_the_key(database, sql):
    old = rotation_of(database)
    await old.run_due()
    before = {key.kid: unseal(key, FIRST) for key in (await old.look()).keys}
    await age(sql, State.SIGNING, POLICY.staleness)
    await age(sql, State.NEXT, POLICY.staleness)
    new = rotation_of(database, BOTH)
    await new.run_due()
    assert {key.kid: unseal(key, SECOND) for key in (await new.look()).keys} == before


async def test_half_way_through_a_roll_out_replicas_do_not_undo_each_other(database, sql):
    """One replica has the new secret first, the other last: a fresh seal is left alone."""
    behind = MasterSecrets({1: BOTH.values[1], 2: BOTH.values[2]})
    one, other = rotation_of(database, BOTH), rotation_of(database, behind)
    await other.run_due()
    await age(sql, State.SIGNING, POLICY.staleness)
    assert len(await one.run_due()) == 1
    assert await other.run_due() == ()
    assert await one.run_due() == ()


async def test_a_key_whose_secret_is_gone_is_published_but_cannot_sign(database, sql):
    await rotation_of(database).run_due()
    keyring = keyring_of(database, SystemClock(), SECOND)
    await keyring.load()
    assert keyring.signing is None
    assert not keyring.is_usable
    assert keyring.find(await kid_of(sql, State.SIGNING)) is not None
    unopened = keyring.metrics.registry.get_sample_value("keyturn_signing_keys_unopened")
    assert unopened == 2
    # It breaks nothing for the others, and an operator can start afresh from here.
    assert await keyring.rotation.run_due() == ()
    await keyring.rotation.replace_compromised()
    await keyring.load()
    assert keyring.is_usable
    assert unseal((await keyring.rotation.look()).keys[0], SECOND)


async def test_KY_4_the_table_holds_no_private_key_in_clear(rotation, sql):
    await rotation.run_due()
    dump = "".join(row[0] for row in await sql.fetch("select key::text from signing_keys key"))
    for key in (await rotation.look()).keys:
        numbers = private_numbers(unseal(key, FIRST))
        for number in (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.iqmp):
            assert key.public_jwk["n"] in dump
            assert all(form not in dump for form in spellings(number))


def private_numbers(der: bytes) -> RSAPrivateNumbers:
    return serialization.load_der_private_key(der, None).private_numbers()


def spellings(number: int) -> list[str]:
    """Return how a dump would show a piece from the middle of this number: hex, or base64."""
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return [octets[32:64].hex(), base64.urlsafe_b64encode(octets[:66]).decode()[:80]]


async def test_a_keyring_signs_verifies_and_publishes(database, sql):
    clock = SystemClock()
    keyring = keyring_of(database, clock)
    with pytest.raises(Unavailable):
        keyring.jwks()
    assert keyring.signing is None
    await keyring.rotation.run_due()
    await keyring.load()
    token = keyring.signing.sign(b'{"sub":"x"}')
    assert jose.verify(token, jose.AT_JWT, keyring.find) == {"sub": "x"}
    assert not keyring.is_stale


async def test_a_private_key_is_imported_once(database):
    keyring = keyring_of(database, SystemClock())
    await keyring.rotation.run_due()
    await keyring.load()
    first = keyring.signing
    await keyring.load()
    assert keyring.signing is first


async def test_every_replica_publishes_the_same_bytes_the_signing_key_first(database, sql):
    one, other = keyring_of(database, SystemClock()), keyring_of(database, SystemClock())
    await one.rotation.run_due()
    await age(sql, State.NEXT, POLICY.lead)
    await one.rotation.promote_now()
    await one.load()
    await other.load()
    assert one.jwks() == other.jwks()
    assert one.jwks().body.index(one.signing.kid.encode()) < 200
    assert len(await states(sql)) == one.jwks().body.count(b'"RS256"') == 3


async def test_a_stale_keyring_says_so_and_signs_only_while_verifiers_must_know_the_key(database):
    clock = FixedClock(SystemClock().now())
    keyring = keyring_of(database, clock)
    await keyring.rotation.run_due()
    await keyring.load()
    clock.advance(POLICY.staleness)
    assert not keyring.is_stale
    clock.advance(timedelta(seconds=1))
    assert keyring.is_stale
    assert keyring.signing is not None
    clock.advance(POLICY.margin - POLICY.staleness)
    assert keyring.signing is None
    # Readiness and verification do not depend on the database being there.
    assert keyring.is_usable
    assert keyring.jwks().body
    await keyring.load()
    assert keyring.signing is not None


async def test_a_failed_load_leaves_the_keyring_as_it_was(postgres, sql):
    impatient = Database(postgres.model_copy(update={"lock_timeout": 0.1}), Metrics())
    keyring = keyring_of(impatient, SystemClock())
    await keyring.rotation.run_due()
    await keyring.load()
    published, signing = keyring.jwks(), keyring.signing
    async with sql.transaction():
        await sql.execute("lock table signing_keys in access exclusive mode")
        with pytest.raises(Unavailable):
            await keyring.load()
    assert (keyring.jwks(), keyring.signing) == (published, signing)
    await impatient.close()


async def test_every_replica_follows_a_rotation_within_a_moment(postgres, database, sql):
    """By the notification: the time limit is an hour here."""
    rotation = rotation_of(database)
    await rotation.run_due()
    keyrings = [keyring_of(database, SystemClock()) for _ in range(2)]
    async with asyncio.TaskGroup() as group:
        tasks = [task for keyring in keyrings for task in follow(group, keyring, postgres)]
        await until(all_sign_with(keyrings, await kid_of(sql, State.SIGNING)))
        await until(listening(sql, len(keyrings)))
        await rotation.replace_compromised()
        await until(all_sign_with(keyrings, await kid_of(sql, State.SIGNING)))
        for task in tasks:
            task.cancel()


async def test_a_listener_that_lost_its_server_reloads_when_it_is_back(postgres, database, sql):
    """What happened while nobody listened: reconnecting must be as good as being told."""
    await rotation_of(database).run_due()
    keyring = keyring_of(database, SystemClock())
    async with asyncio.TaskGroup() as group:
        tasks = follow(group, keyring, postgres)
        await until(listening(sql, 1))
        await until(all_sign_with([keyring], await kid_of(sql, State.SIGNING)))
        await sql.execute("delete from signing_keys where state = 'signing'")
        await sql.execute("update signing_keys set state = 'signing'")
        await sql.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'keyturn listen' and datname = current_database()"
        )
        await until(all_sign_with([keyring], await kid_of(sql, State.SIGNING)))
        for task in tasks:
            task.cancel()


def follow(group: asyncio.TaskGroup, keyring, postgres) -> list[asyncio.Task]:
    """Run what a replica runs: one listener, and the job it wakes."""
    job, listener = ReloadKeyring(keyring, interval=3600), Listener(postgres)
    listener.on(CHANNEL, job.wake)
    return [group.create_task(job.run()), group.create_task(listener.run())]


def all_sign_with(keyrings, kid: str):
    async def condition() -> bool:
        return all(keyring.signing and keyring.signing.kid == kid for keyring in keyrings)

    return condition


def listening(sql: asyncpg.Connection, wanted: int):
    async def condition() -> bool:
        count = await sql.fetchval(
            "select count(*) from pg_stat_activity where application_name = 'keyturn listen'"
            " and datname = current_database() and query ilike 'listen%'"
        )
        return count == wanted

    return condition
