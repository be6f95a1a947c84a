"""The `users` table on a real PostgreSQL: one account for a person, closed for good, with races."""

import asyncio
import math
import time
import unicodedata
from collections import Counter
from uuid import UUID, uuid4

import asyncpg
import pytest
from passlib.handlers.bcrypt import bcrypt

from keyturn.db.queries import Query, load_queries
from keyturn.errors import (
    AccountExists,
    InvalidCredentials,
    InvalidEmail,
    InvalidRequest,
    InvalidToken,
    NotFound,
    SessionGone,
    Throttled,
    Unavailable,
    WeakPassword,
)
from keyturn.settings_credentials import PasswordsSettings, ThrottleSettings
from keyturn.users.model import NewUser
from support.people import ELSEWHERE, HERE, People, people

SQL = load_queries("keyturn.users", "users.sql")
ADA, PASSWORD, NEW = "Ada@Example.com", "correct horse", "battery staple"
GENEROUS = ThrottleSettings(
    account_attempts=10_000, address_attempts=10_000, global_attempts=100_000
)


@pytest.fixture
async def rooms(database_url, redis_url):
    async with people(database_url, redis_url, GENEROUS) as rooms:
        yield rooms


@pytest.fixture
async def ada(rooms):
    return await rooms.accounts.add(NewUser(ADA, "Ada", PASSWORD, email_verified=True))


@pytest.fixture
async def sql(database_url):
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def live(rooms: People, user_id: UUID) -> list[UUID]:
    return [session.id for session in await rooms.active.of_user(user_id)]


def audited(rooms: People) -> list[tuple[str, UUID | None]]:
    return [(one.event.type, one.event.user_id) for one in rooms.audit.take(1000)]


# Accounts


async def test_an_account_is_found_by_any_spelling_of_its_address_and_by_its_id(rooms, ada):
    assert (ada.email, ada.name, ada.email_verified) == (ADA, "Ada", True)
    assert await rooms.accounts.find_by_email("ADA@example.COM") == ada
    assert await rooms.accounts.get(ada.id) == ada
    assert await rooms.accounts.find_by_email("bob@example.com") is None
    assert audited(rooms) == [("user_added", ada.id)]
    assert ada.claims(["email", "name", "roles"]) == {"email": ADA, "name": "Ada"}


@pytest.mark.parametrize("email", ["ada@example.com", " ADA@EXAMPLE.COM"])
async def test_cr_8_a_second_account_for_one_address_is_refused(rooms, ada, email):
    with pytest.raises(AccountExists):
        await rooms.accounts.add(NewUser(email))


async def test_cr_8_of_many_at_once_one_gets_the_address(rooms):
    spellings = ["zoë@example.com", unicodedata.normalize("NFD", "ZOË@example.com")] * 10
    results = await asyncio.gather(
        *(rooms.accounts.add(NewUser(one)) for one in spellings), return_exceptions=True
    )
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert {type(result) for result in results if isinstance(result, Exception)} == {AccountExists}


@pytest.mark.parametrize(
    ("new", "refusal"),
    [
        (NewUser("nobody"), InvalidEmail),
        (NewUser(ADA, password="short"), WeakPassword),
        (NewUser(ADA, password="x" * 129), WeakPassword),
        (NewUser(ADA, name="x" * 201), InvalidRequest),
        (NewUser(ADA, name="a\0b"), InvalidRequest),
        (NewUser(ADA, name="a\ud800b"), InvalidRequest),
        (NewUser("ada\ud800@example.com"), InvalidEmail),
    ],
)
async def test_what_cannot_be_an_account_is_refused(rooms, new, refusal):
    with pytest.raises(refusal):
        await rooms.accounts.add(new)


async def test_accounts_are_listed_by_page_in_the_order_of_their_addresses(rooms):
    for name in ("Zoe", "ada", "Bob", "émile"):
        await rooms.accounts.add(NewUser(f"{name}@example.com"))
    first = await rooms.accounts.page(2)
    second = await rooms.accounts.page(2, first[-1].email)
    assert [user.email for user in first + second] == [
        "ada@example.com",
        "Bob@example.com",
        "Zoe@example.com",
        "émile@example.com",
    ]
    assert await rooms.accounts.page(2, second[-1].email) == []


# Signing in


async def test_the_right_password_signs_in_and_every_other_sign_in_is_refused_alike(rooms, ada):
    bob = await rooms.accounts.add(NewUser("bob@example.com", password=PASSWORD))
    await rooms.accounts.disable(bob.id)
    eve = await rooms.accounts.add(NewUser("eve@example.com", password=PASSWORD))
    await rooms.accounts.delete(eve.id)
    await rooms.accounts.add(NewUser("no-password@example.com"))
    person = await rooms.authenticator.authenticate(" aDa@example.com ", PASSWORD, HERE)
    assert person.user == ada
    seen = set()
    for email, password in [
        (ADA, "wrong horse"),
        ("unknown@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("a@b@example.com", PASSWORD),
        ("\ud800@example.com", PASSWORD),
        ("x" * 1000, PASSWORD),
        ("bob@example.com", PASSWORD),
        ("eve@example.com", PASSWORD),
        ("no-password@example.com", PASSWORD),
        ("no-password@example.com", ""),
    ]:
        with pytest.raises(InvalidCredentials) as refusal:
            await rooms.authenticator.authenticate(email, password, HERE)
        seen.add((refusal.value.code, refusal.value.status, refusal.value.sentence))
    assert len(seen) == 1
    value = rooms.metrics.registry.get_sample_value
    checks = "keyturn_authentications_total"
    assert value(checks, {"method": "password", "result": "ok"}) == 1
    assert value(checks, {"method": "password", "result": "bad_credentials"}) == 10
    kinds = [kind for kind, _ in audited(rooms)]
    assert (kinds.count("sign_in"), kinds.count("sign_in_failed")) == (1, 10)


@pytest.mark.parametrize("password", ["x" * 129, "x" * 2**20, "a\0bcdefgh", "\ud800bcdefgh"])
async def test_cr_2_an_impossible_password_is_refused_before_anything_is_asked(rooms, password):
    with pytest.raises(WeakPassword):
        await rooms.authenticator.authenticate(ADA, password, HERE)
    assert rooms.database.in_use() + rooms.database.idle() == 0, "no connection was opened"


async def test_the_time_of_proof_is_the_databases_and_lies_before_the_check(rooms, ada, sql):
    before = await sql.fetchval("select clock_timestamp()")
    person = await rooms.authenticator.authenticate(ADA, PASSWORD, HERE)
    after = await sql.fetchval("select clock_timestamp()")
    assert before < person.proof_time < after


async def test_cr_5_a_hundred_wrong_passwords_at_once_are_not_all_checked(database_url, redis_url):
    async with people(database_url, redis_url) as rooms:
        await rooms.accounts.add(NewUser(ADA, password=PASSWORD))
        guesses = [f"guess {number:03}" for number in range(99)] + [PASSWORD]
        began = time.monotonic()
        results = await asyncio.gather(
            *(rooms.authenticator.authenticate(ADA, guess, HERE) for guess in guesses),
            return_exceptions=True,
        )
        # The delay after the fifth is a second, and doubles: a slow machine lets another one in.
        most = 5 + int(math.log2(time.monotonic() - began + 1))
        kinds = [type(result) for result in results]
        value = rooms.metrics.registry.get_sample_value
        late = value("keyturn_redis_errors_total", {"operation": "throttle", "kind": "timeout"})
        assert not late, "invalid: Redis was late, and the process has counted for itself"
        assert kinds.count(InvalidCredentials) <= most
        assert kinds.count(Throttled) >= 99 - most
        hashes = "keyturn_password_hash_duration_seconds_count"
        assert value(hashes, {"algorithm": "argon2"}) - 1 <= most
        assert value("keyturn_lockouts_total", {"scope": "account"}) == 1


async def test_throttled_answers_are_the_same_for_known_and_unknown_addresses(
    database_url, redis_url
):
    async with people(database_url, redis_url) as rooms:
        await rooms.accounts.add(NewUser(ADA, password=PASSWORD))
        answers = []
        for email in (ADA, "unknown@example.com", "no address"):
            answers.append([])
            for _ in range(7):
                try:
                    await rooms.authenticator.authenticate(email, "wrong horse", HERE)
                except (InvalidCredentials, Throttled) as refusal:
                    waits = getattr(refusal, "retry_after", None)
                    answers[-1].append((refusal.status, refusal.code, refusal.sentence, waits))
        assert answers[0] == answers[1] == answers[2]
        assert [status for status, *_ in answers[0]] == [401] * 5 + [429] * 2


async def test_cr_6_proving_oneself_again_is_counted_with_signing_in(database_url, redis_url):
    async with people(database_url, redis_url) as rooms:
        ada = await rooms.accounts.add(NewUser(ADA, password=PASSWORD))
        person = await rooms.authenticator.reauthenticate(ada.id, PASSWORD, HERE)
        assert person.user == ada
        for _ in range(2):
            with pytest.raises(InvalidCredentials):
                await rooms.authenticator.authenticate(ADA, "wrong horse", HERE)
        for _ in range(3):
            with pytest.raises(InvalidCredentials):
                await rooms.authenticator.reauthenticate(ada.id, "wrong horse", HERE)
        with pytest.raises(Throttled):
            await rooms.authenticator.reauthenticate(ada.id, PASSWORD, HERE)
        with pytest.raises(Throttled):
            await rooms.authenticator.authenticate(ADA, PASSWORD, HERE)
        with pytest.raises(InvalidCredentials):
            await rooms.authenticator.reauthenticate(uuid4(), PASSWORD, ELSEWHERE)


async def test_trouble_with_the_database_is_no_failure_of_the_person():
    async with people("postgresql://127.0.0.1:1/nowhere", None) as rooms:
        for _ in range(10):
            with pytest.raises(Unavailable):
                await rooms.authenticator.authenticate(ADA, PASSWORD, HERE)


async def test_cr_3_a_flood_of_sign_ins_is_turned_away_and_not_counted_as_failures(
    database_url, redis_url
):
    narrow = PasswordsSettings(memory_kib=7168, time_cost=5, workers=1, queue_limit=2)
    async with people(database_url, redis_url, GENEROUS, narrow) as rooms:
        await rooms.accounts.add(NewUser(ADA, password=PASSWORD))
        results = await asyncio.gather(
            *(rooms.authenticator.authenticate(ADA, PASSWORD, HERE) for _ in range(60)),
            return_exceptions=True,
        )
        refused = [result for result in results if isinstance(result, Exception)]
        assert refused, "the queue never filled"
        assert {type(refusal) for refusal in refused} == {Unavailable}
        assert (await rooms.authenticator.authenticate(ADA, PASSWORD, HERE)).user.email == ADA


async def test_cr_3_one_person_has_one_new_password_hashed_at_a_time(rooms, ada):
    """Each is argon2 work in a queue that all sign-ins share."""
    own = (await rooms.sign_in(ADA, PASSWORD)).session.id
    asked = [rooms.accounts.change_password(ada.id, NEW, own) for _ in range(70)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert Counter(type(result) for result in results) == {int: 1, Throttled: 69}
    assert {one.retry_after for one in results if isinstance(one, Throttled)} == {1}
    given_up = asyncio.create_task(rooms.accounts.change_password(ada.id, NEW, own))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert await rooms.accounts.change_password(ada.id, NEW, own) == 0


async def test_cr_4_every_refusal_takes_as_long_as_the_dearest_imported_hash(rooms, ada, sql):
    disabled = await rooms.accounts.add(NewUser("bob@example.com"))
    await _store_hash(sql, disabled.id, bcrypt.using(rounds=4).hash(PASSWORD))
    await rooms.accounts.disable(disabled.id)
    await rooms.accounts.add(NewUser("without@example.com"))
    rooms.passwords._floor.raise_to(floor := 0.3)

    async def refused(email: str, password: str) -> float:
        began = time.perf_counter()
        with pytest.raises(InvalidCredentials):
            await rooms.authenticator.authenticate(email, password, HERE)
        return time.perf_counter() - began

    attempts = [(ADA, NEW), ("bob@example.com", PASSWORD), ("without@example.com", PASSWORD)]
    attempts += [("nobody@example.com", PASSWORD), ("malformed", PASSWORD)]
    taken = await asyncio.gather(*(refused(*attempt) for attempt in attempts))
    assert min(taken) >= floor


# Hashes that are replaced


async def test_an_imported_hash_is_replaced_at_the_first_sign_in(rooms, ada, sql):
    short = "abc"
    await _store_hash(sql, ada.id, bcrypt.using(rounds=4).hash(short))
    with pytest.raises(InvalidCredentials):
        await rooms.authenticator.authenticate(ADA, "abd", HERE)
    assert (await _hash(sql, ada.id)).startswith("$2b$")
    await rooms.authenticator.authenticate(ADA, short, HERE)
    replaced = await _hash(sql, ada.id)
    assert replaced.startswith("$argon2id$v=19$m=7168,t=5,p=1$")
    await rooms.authenticator.authenticate(ADA, short, HERE)
    assert await _hash(sql, ada.id) == replaced


async def test_a_long_password_behind_a_bcrypt_hash_is_not_hashed_anew(rooms, ada, sql):
    long = "x" * 72 + "tail"
    await _store_hash(sql, ada.id, bcrypt.using(rounds=4).hash("x" * 72))
    await rooms.authenticator.authenticate(ADA, long, HERE)
    assert (await _hash(sql, ada.id)).startswith("$2b$")


async def test_a_better_hash_never_replaces_a_password_that_was_changed_meanwhile(rooms, ada, sql):
    old = await _hash(sql, ada.id)
    await rooms.accounts.set_password(ada.id, NEW)
    new = await _hash(sql, ada.id)
    assert await rooms.database.execute(SQL["rehash"], ada.id, old, "of the old one") == 0
    assert await _hash(sql, ada.id) == new


# Closing


async def test_disabling_ends_the_sessions_and_enabling_does_not_bring_them_back(rooms, ada, sql):
    for _ in range(3):
        await rooms.sign_in(ADA, PASSWORD)
    rooms.audit.take(1000)
    assert await rooms.accounts.disable(ada.id) == 3
    assert await live(rooms, ada.id) == []
    assert await sql.fetchval("select count(*) from revocations where kind = 'sid'") == 3
    assert (await rooms.accounts.get(ada.id)).disabled_at is not None
    with pytest.raises(InvalidCredentials):
        await rooms.sign_in(ADA, PASSWORD)
    with pytest.raises(InvalidToken):
        await rooms.accounts.active(ada.id)
    assert (await rooms.accounts.enable(ada.id)).is_active
    assert await live(rooms, ada.id) == []
    assert await rooms.accounts.active(ada.id) == ada
    await rooms.sign_in(ADA, PASSWORD)
    assert len(await live(rooms, ada.id)) == 1
    assert {"user_disabled", "user_enabled"} <= {kind for kind, _ in audited(rooms)}


async def test_disabling_twice_keeps_the_first_time(rooms, ada):
    await rooms.accounts.disable(ada.id)
    first = (await rooms.accounts.get(ada.id)).disabled_at
    await rooms.accounts.disable(ada.id)
    assert (await rooms.accounts.get(ada.id)).disabled_at == first


async def test_deletion_leaves_a_tombstone_without_anything_personal(rooms, ada, sql):
    await rooms.sign_in(ADA, PASSWORD)
    assert await rooms.accounts.delete(ada.id) == 1
    row = await sql.fetchrow("select * from users where id = $1", ada.id)
    assert [row[name] for name in ("email", "email_key", "name", "password_hash")] == [None] * 4
    assert row["deleted_at"] is not None
    assert row["email_verified"] is False
    for gone in (rooms.accounts.get, rooms.accounts.delete, rooms.accounts.disable):
        with pytest.raises(NotFound):
            await gone(ada.id)
    with pytest.raises(NotFound):
        await rooms.accounts.enable(ada.id)
    with pytest.raises(NotFound):
        await rooms.accounts.set_password(ada.id, NEW)
    assert await rooms.accounts.page(10) == []


async def test_the_id_of_a_deleted_account_is_never_given_again_and_its_address_is(rooms, ada):
    await rooms.accounts.delete(ada.id)
    with pytest.raises(AccountExists):
        await rooms.accounts.add(NewUser("bob@example.com", id=ada.id))
    again = await rooms.accounts.add(NewUser(ADA, password=PASSWORD))
    assert again.id != ada.id


async def test_a_new_password_by_an_operator_ends_every_session(rooms, ada):
    for _ in range(2):
        await rooms.sign_in(ADA, PASSWORD)
    assert await rooms.accounts.set_password(ada.id, NEW) == 2
    assert await live(rooms, ada.id) == []
    with pytest.raises(InvalidCredentials):
        await rooms.sign_in(ADA, PASSWORD)
    await rooms.sign_in(ADA, NEW)


async def test_ones_own_new_password_ends_the_other_sessions(rooms, ada):
    started = [await rooms.sign_in(ADA, PASSWORD) for _ in range(3)]
    keep = started[1].session.id
    assert await rooms.accounts.change_password(ada.id, NEW, keep) == 2
    assert await live(rooms, ada.id) == [keep]
    await rooms.sign_in(ADA, NEW)
    with pytest.raises(WeakPassword):
        await rooms.accounts.change_password(ada.id, "short", keep)


async def test_logging_out_everywhere_ends_all_sessions_or_all_others(rooms, ada):
    first = await rooms.sign_in(ADA, PASSWORD)
    for _ in range(2):
        await rooms.sign_in(ADA, PASSWORD)
    assert await rooms.accounts.logout_everywhere(ada.id, first.session.id) == 2
    assert await live(rooms, ada.id) == [first.session.id]
    assert await rooms.accounts.logout_everywhere(ada.id) == 1
    assert await rooms.accounts.logout_everywhere(ada.id) == 0
    assert await rooms.accounts.logout_everywhere(uuid4()) == 0
    await rooms.sign_in(ADA, PASSWORD)


# Races


CLOSINGS = {
    "disable": lambda rooms, user_id: rooms.accounts.disable(user_id),
    "delete": lambda rooms, user_id: rooms.accounts.delete(user_id),
    "set_password": lambda rooms, user_id: rooms.accounts.set_password(user_id, NEW),
    "logout_everywhere": lambda rooms, user_id: rooms.accounts.logout_everywhere(user_id),
}


@pytest.mark.parametrize("closing", CLOSINGS)
async def test_a_proof_made_before_the_account_closed_starts_no_session(rooms, ada, closing):
    person = await rooms.authenticator.authenticate(ADA, PASSWORD, HERE)
    await CLOSINGS[closing](rooms, ada.id)
    if closing == "disable":
        await rooms.accounts.enable(ada.id)
    with pytest.raises(InvalidCredentials):
        await rooms.start(person)
    assert await live(rooms, ada.id) == []


@pytest.mark.parametrize("closing", CLOSINGS)
async def test_closing_racing_with_signing_in_never_leaves_a_live_session(rooms, ada, sql, closing):
    """Sixteen sign-ins are at every stage when the account closes; none proved before lives on.

    After a log-out everywhere the password stays good, so later proofs may.
    """
    sign_ins = [asyncio.create_task(rooms.sign_in(ADA, PASSWORD)) for _ in range(16)]
    while not any(task.done() for task in sign_ins):
        await asyncio.sleep(0)
    await CLOSINGS[closing](rooms, ada.id)
    results = await asyncio.gather(*sign_ins, return_exceptions=True)
    refusals = {type(result) for result in results if isinstance(result, BaseException)}
    assert refusals <= {InvalidCredentials}
    proofs = await sql.fetch(
        "select auth_time from sessions where user_id = $1 and revoked_at is null", ada.id
    )
    closed = await sql.fetchval("select valid_after from users where id = $1", ada.id)
    assert all(row["auth_time"] > closed for row in proofs)
    assert closing == "logout_everywhere" or not proofs


async def test_a_password_checked_while_it_is_being_changed_does_not_sign_in(rooms, ada):
    """The read sees the old hash after `valid_after` was taken and before it is committed."""
    new_hash = await rooms.passwords.hash(NEW)
    async with rooms.database.transaction() as tx:
        await tx.fetch_row(SQL["lock"], ada.id, None)
        await tx.fetch_row(SQL["set_password"], ada.id, new_hash)
        sign_in = asyncio.create_task(rooms.sign_in(ADA, PASSWORD))
        await _until_waiting_for_lock(rooms)
    with pytest.raises(InvalidCredentials):
        await sign_in
    assert await live(rooms, ada.id) == []


async def test_a_sign_in_under_way_does_not_survive_a_log_out_that_commits_late(rooms, ada):
    async with rooms.database.transaction() as tx:
        await tx.fetch_row(SQL["lock"], ada.id, None)
        await tx.fetch_row(SQL["invalidate"], ada.id)
        sign_in = asyncio.create_task(rooms.sign_in(ADA, PASSWORD))
        await _until_waiting_for_lock(rooms)
    with pytest.raises(InvalidCredentials):
        await sign_in
    assert await live(rooms, ada.id) == []


async def test_the_moment_of_closing_is_when_the_account_is_held_not_when_it_was_asked_for(
    rooms, ada
):
    """A proof made between the beginning of that transaction and its update is older, too."""
    async with rooms.database.transaction() as tx:
        await tx.fetch_row(SQL["by_id"], ada.id)
        person = await rooms.authenticator.authenticate(ADA, PASSWORD, HERE)
        await tx.fetch_row(SQL["lock"], ada.id, None)
        await tx.fetch_row(SQL["invalidate"], ada.id)
    with pytest.raises(InvalidCredentials):
        await rooms.start(person)


@pytest.mark.parametrize("closing", CLOSINGS)
async def test_a_proof_made_while_the_closing_waits_for_a_session_start_is_older_than_it(
    rooms, ada, sql, closing
):
    """Another start holds the account; the time must be taken after it let go."""
    async with sql.transaction():
        await sql.execute("select from users where id = $1 for share", ada.id)
        closed = asyncio.create_task(CLOSINGS[closing](rooms, ada.id))
        await _until_waiting_for_lock(rooms)
        person = await rooms.authenticator.authenticate(ADA, PASSWORD, HERE)
    await closed
    if closing == "disable":
        await rooms.accounts.enable(ada.id)
    with pytest.raises(InvalidCredentials):
        await rooms.start(person)


async def test_a_thief_who_is_being_logged_out_cannot_change_the_password(rooms, ada):
    thief = await rooms.sign_in(ADA, PASSWORD)
    await rooms.accounts.logout_everywhere(ada.id)
    with pytest.raises(SessionGone):
        await rooms.accounts.change_password(ada.id, NEW, thief.session.id)
    await rooms.sign_in(ADA, PASSWORD)


async def test_the_password_changes_for_nobody_elses_session_and_no_disabled_account(rooms, ada):
    bob = await rooms.accounts.add(NewUser("bob@example.com", password=PASSWORD))
    bobs = await rooms.sign_in("bob@example.com", PASSWORD)
    for user_id in (ada.id, uuid4()):
        with pytest.raises(SessionGone):
            await rooms.accounts.change_password(user_id, NEW, bobs.session.id)
    await rooms.accounts.disable(bob.id)
    with pytest.raises(SessionGone):
        await rooms.accounts.change_password(bob.id, NEW, bobs.session.id)


async def test_a_thief_racing_with_log_out_everywhere_ends_without_session_or_password(rooms, ada):
    """Either the change came first, and the log-out ended its session too, or it was refused."""
    for _ in range(10):
        await rooms.accounts.set_password(ada.id, PASSWORD)
        thief = await rooms.sign_in(ADA, PASSWORD)
        change, _ = await asyncio.gather(
            rooms.accounts.change_password(ada.id, NEW, thief.session.id),
            rooms.accounts.logout_everywhere(ada.id),
            return_exceptions=True,
        )
        assert await live(rooms, ada.id) == []
        await rooms.sign_in(ADA, PASSWORD if isinstance(change, SessionGone) else NEW)


async def _until_waiting_for_lock(rooms: People) -> None:

    async with asyncio.timeout(30):
        while not (await rooms.database.fetch_row(WAITING))["waiting"]:
            await asyncio.sleep(0.005)


WAITING = Query(
    "waiting",
    "Whether a statement of this database waits for a lock.",
    "select exists (select from pg_stat_activity where datname = current_database()"
    " and wait_event_type = 'Lock') as waiting",
)


async def _hash(sql: asyncpg.Connection, user_id: UUID) -> str:
    return await sql.fetchval("select password_hash from users where id = $1", user_id)


async def _store_hash(sql: asyncpg.Connection, user_id: UUID, stored: str) -> None:
    await sql.execute("update users set password_hash = $2 where id = $1", user_id, stored)
