"""CR-1 to CR-6, CR-8, RL-1 to RL-3: passwords, people, and everybody who tries many of them.

The servers here have the default limits and stand behind a proxy (this machine), so that a test
calls from as many addresses as it likes. Their Redis is reached over a wire that can be cut.
"""

import asyncio
import math
import random
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit
from uuid import uuid4

import argon2
import httpx2
import pytest
import redis.asyncio
from passlib.handlers.bcrypt import bcrypt

from keyturn.errors import AccountExists
from keyturn.users.model import NewUser
from support import replicas
from support.api import APP, PASSWORD, Api, Person, SignedIn, api_of, claims_of, joined, memoryless
from support.browserless import SPA, Browserless, forms_of
from support.delays import delayed
from support.patience import SERVERS
from support.proxy import Proxy
from support.redis_topologies import KeySpaces
from support.replicas import Replica
from support.television import entry

WRONG = "wrong horse battery"
HASHES = "keyturn_password_hash_duration_seconds_count"
BEHIND_A_PROXY = {
    "server__trusted_proxies": "127.0.0.1/32",
    "throttle__global_attempts": "1000000",
    "passwords__memory_kib": "7168",
    "passwords__time_cost": "5",
    **SERVERS,
    "audit__flush_interval": "0.05",
}
ACCOUNT, ADDRESS, CLIENT = 5, 30, 20
"""The default limits."""

_numbers = count(1)


def somewhere() -> str:
    """Return an address nobody has called from (RFC 5737 and its neighbours)."""
    number = next(_numbers)
    return f"198.51.{number // 250}.{number % 250 + 1}"


@dataclass(frozen=True)
class Guarded:
    """The servers, and the wire to their Redis."""

    api: Api
    wire: Proxy

    async def attempt(
        self,
        email: str,
        password: str = WRONG,
        *,
        at: str,
        on: int = 0,
        hops: str = "",
    ) -> httpx2.Response:
        """Try to sign in from an address; `hops` are what its caller wrote before it."""
        return await self.api.post(
            "/auth/login",
            {"email": email, "password": password},
            on=on,
            headers={"x-forwarded-for": f"{hops}{at}"},
        )

    async def until_throttled(self, email: str, *, at: str, on: int = 0) -> httpx2.Response:
        """Guess until the account is delayed, which a busy machine may let pass once or twice."""
        answer = await self.attempt(email, at=at, on=on)
        guesses = 1
        while answer.status_code == 401 and guesses < ACCOUNT + 4:
            answer = await self.attempt(email, at=at, on=on)
            guesses += 1
        assert (answer.status_code, guesses > ACCOUNT) == (429, True), answer.text
        return answer

    async def attempts(self, emails: Iterable[str], **options) -> list[int]:
        """Try one after the other; return the statuses."""
        return [(await self.attempt(email, **options)).status_code for email in emails]


@pytest.fixture(scope="module")
async def guarded(databases, valkey_server):
    socket = urlsplit(valkey_server.url).path
    number = KeySpaces(valkey_server).shared.rpartition("=")[2]
    async with Proxy.to(socket) as wire, databases.fresh(keyed=True) as url:
        settings = replicas.settings(
            url,
            f"redis://127.0.0.1:{wire.port}/{number}",
            issuer="https://localhost:8446",
            **BEHIND_A_PROXY,
        )
        with replicas.replicas(settings, 2) as pair:
            async with api_of(settings, pair) as running:
                yield Guarded(running, wire)


@pytest.fixture(scope="module")
async def tight(guarded):
    """A third replica that hashes one password at a time and lets one wait."""
    settings = guarded.api.settings | {
        "KEYTURN_PASSWORDS__WORKERS": "1",
        "KEYTURN_PASSWORDS__QUEUE_LIMIT": "1",
        "KEYTURN_THROTTLE__ACCOUNT_ATTEMPTS": "100000",
        "KEYTURN_THROTTLE__ADDRESS_ATTEMPTS": "100000",
        "KEYTURN_THROTTLE__GLOBAL_ATTEMPTS": "1",
    }
    with replicas.replicas(settings) as (one,):
        async with joined(guarded.api, one) as running:
            yield replace(guarded, api=running)


@pytest.fixture
async def counters(guarded, valkey_server):
    """Redis itself, not over the wire: its throttle keys are those of this issuer."""
    async with redis.asyncio.from_url(KeySpaces(valkey_server).shared) as client:
        yield client


def unknown() -> str:
    return f"{uuid4().hex}@example.com"


async def hashes(api: Api) -> float:
    return api.metric(HASHES, algorithm="argon2")


async def stored_hash(api: Api, person: Person) -> str:
    return await api.sql.fetchval("select password_hash from users where id = $1", person.id)


# -- CR-1, CR-2: passwords ------------------------------------------------------------------------


async def test_CR_1_a_password_is_an_argon2id_phc_string_of_the_set_strength(guarded):
    api, person = guarded.api, await guarded.api.person()
    device = await api.sign_in(person)
    answer = await api.post("/auth/password", {**device.credential, "newPassword": "another one!"})
    assert answer.status_code == 204
    stored = await stored_hash(api, person)
    assert argon2.PasswordHasher().verify(stored, "another one!")
    kind, version, costs, salt, digest = stored.split("$")[1:]
    assert (kind, version, costs) == ("argon2id", "v=19", "m=7168,t=5,p=1")
    assert (len(salt), len(digest)) == (22, 43)


async def test_CR_1_without_settings_it_is_19_MiB_and_two_passes(api):
    plain = {
        name: value for name, value in api.settings.items() if not name.startswith("KEYTURN_PASS")
    }
    shown = replace(api, settings=plain).keyturn("config", "show")
    for line in ("memory_kib = 19456", "time_cost = 2", "parallelism = 1"):
        assert f"passwords.{line}" in shown.stdout


@pytest.fixture(scope="module")
async def aside(api):
    """A replica of its own: one that has met a foreign hash takes its time over every failure.

    The prices of its hashes are real.
    """
    settings = {**api.settings, "KEYTURN_PASSWORDS__TIME_COST": "5"}
    with replicas.replicas(settings) as (one,):
        async with joined(api, one) as running:
            yield running


@pytest.mark.parametrize(
    "older",
    [
        argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1),
        argon2.PasswordHasher(time_cost=5, memory_cost=7168, parallelism=2),
        argon2.PasswordHasher(time_cost=5, memory_cost=7168, type=argon2.Type.I, parallelism=1),
    ],
    ids=["cheaper", "other lanes", "argon2i"],
)
async def test_CR_1_a_weaker_hash_is_replaced_at_the_next_sign_in(aside, older):
    api, person = aside, await aside.person()
    await api.sql.execute(
        "update users set password_hash = $2 where id = $1", person.id, older.hash(PASSWORD)
    )
    wrong = await api.login(replace(person, password=WRONG))
    assert await api.refusal(wrong) == (401, "invalid_credentials", "account: wrong password")
    assert await stored_hash(api, person) != (better := await _after_sign_in(api, person))
    assert better.startswith("$argon2id$v=19$m=7168,t=5,p=1$")
    assert await _after_sign_in(api, person) == better, "good hashes are left alone"


async def _after_sign_in(api: Api, person: Person) -> str:
    await api.sign_in(person)
    return await stored_hash(api, person)


LENGTHS = {"7": 400, "8": 204, "64": 204, "128": 204, "129": 400}


@pytest.mark.parametrize(("length", "status"), LENGTHS.items())
async def test_CR_2_a_password_has_8_to_128_characters_of_any_kind(api, length, status):
    person = await api.person()
    device = await api.sign_in(person)
    password = "a" * int(length)
    answer = await api.post("/auth/password", {**device.credential, "newPassword": password})
    if status == 204:
        assert answer.status_code == 204, "no composition rules"
        assert (await api.login(replace(person, password=password))).status_code == 200
    else:
        side = "shorter than 8" if length == "7" else "longer than 128"
        detail = f"password: {side} characters"
        assert await api.refusal(answer) == (400, "invalid_password", detail)


async def test_CR_2_a_password_is_compared_whole(api):
    """bcrypt would stop after 72 bytes, others at a NUL."""
    person = await api.person()
    device = await api.sign_in(person)
    password = "x" * 127 + "y"
    answer = await api.post("/auth/password", {**device.credential, "newPassword": password})
    assert answer.status_code == 204
    for other in ("x" * 127 + "z", password[:127], password[:72]):
        answer = await api.login(replace(person, password=other))
        assert await api.refusal(answer) == (401, "invalid_credentials", "account: wrong password")
    answer = await api.login(replace(person, password=f"{password[:60]}\0{password[61:]}"))
    detail = "json: password: string_pattern_mismatch"
    assert await api.refusal(answer) == (400, "invalid_request", detail)
    assert (await api.login(replace(person, password=password))).status_code == 200


async def test_CR_2_a_password_is_the_same_in_every_unicode_spelling(api):
    person = await api.person()
    device = await api.sign_in(person)
    spelt = {form: unicodedata.normalize(form, "Äpfel, Öl, é, 한글") for form in ("NFC", "NFD")}
    assert spelt["NFC"] != spelt["NFD"]
    answer = await api.post("/auth/password", {**device.credential, "newPassword": spelt["NFD"]})
    assert answer.status_code == 204
    for password in spelt.values():
        assert (await api.login(replace(person, password=password))).status_code == 200


@pytest.mark.parametrize(
    ("password", "refusal"),
    [
        ("x" * 129, (400, "invalid_password", "password: longer than 128 characters")),
        ("é" * 600, (400, "invalid_password", "password: longer than 1024 octets")),
        ("x" * 1025, (400, "invalid_request", "json: password: string_too_long")),
        ("x" * 60_000, (400, "invalid_request", "json: password: string_too_long")),
        ("x" * 2**20, (413, "request_too_large", "body: announced larger than allowed")),
    ],
    ids=["129", "1200 octets", "1025", "60 KB", "1 MB"],
)
async def test_CR_2_what_no_password_can_be_is_refused_before_anything_is_hashed(
    api, password, refusal
):
    person = await api.person()
    before = await hashes(api)
    answer = await api.login(replace(person, password=password))
    assert await api.refusal(answer) == refusal
    assert await hashes(api) == before


# -- CR-3: the work of hashing is bounded ---------------------------------------------------------


async def test_CR_3_a_flood_of_sign_ins_is_turned_away_at_once_and_refreshes_go_on(guarded, tight):
    """One hash runs and one waits; all others are told when to come back. Nothing is lost."""
    home, person = somewhere(), await guarded.api.person()
    assert (await guarded.attempt(person.email, PASSWORD, at=home)).status_code == 200
    device = await guarded.api.sign_in(person, headers={"x-forwarded-for": home})
    gone = "keyturn_password_hash_refused_total"
    before = tight.api.metric(gone, reason="queue")

    async def refresh_often() -> list[int]:
        return [(await tight.api.refresh(device)).status_code for _ in range(10)]

    answers, refreshes = await asyncio.gather(
        asyncio.gather(*(tight.attempt(person.email, PASSWORD, at=home) for _ in range(30))),
        refresh_often(),
    )
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 503}
    assert statuses[200] >= 2
    assert statuses[503] >= 15, "invalid: they hardly came at once"
    for answer in answers:
        if answer.status_code == 503:
            assert await tight.api.refusal(answer) == (
                503,
                "temporarily_unavailable",
                "password hashing: the queue is full",
            )
            assert answer.headers["retry-after"] == "2"
    assert refreshes == [200] * 10
    assert tight.api.metric(gone, reason="queue") == before + statuses[503]
    assert (await tight.attempt(person.email, PASSWORD, at=home)).status_code == 200


def resident(replica: Replica) -> int:
    """Return the memory a server holds, MiB."""
    pages = Path(f"/proc/{replica.process.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4 // 1024


async def test_CR_3_a_flood_takes_the_memory_of_the_pool_and_no_more(guarded):
    """At 7 MiB a hash, fifty at once would take 350."""
    api, person = guarded.api, await guarded.api.person()
    await guarded.attempt(person.email, PASSWORD, at=somewhere())
    before = resident(api.replicas[0])
    flood = [asyncio.create_task(guarded.attempt(unknown(), at=somewhere())) for _ in range(50)]
    most = before
    while not all(task.done() for task in flood):
        most = max(most, resident(api.replicas[0]))
        await asyncio.sleep(0.01)
    statuses = {task.result().status_code for task in flood}
    assert statuses <= {401, 503}
    assert most - before < 150, f"from {before} to {most} MiB"


async def test_CR_3_one_person_cannot_fill_the_queue_with_new_passwords(guarded, tight):
    """Ten at once, where one is hashed and one waits: a neighbour signs in all the same."""
    home, neighbour = somewhere(), await guarded.api.person()
    device = await guarded.api.sign_in(await guarded.api.person())
    assert (await guarded.attempt(neighbour.email, PASSWORD, at=home)).status_code == 200
    body = {**device.credential, "newPassword": "another good one"}
    *changes, signed_in = await asyncio.gather(
        *(tight.api.post("/auth/password", body) for _ in range(10)),
        tight.attempt(neighbour.email, PASSWORD, at=home),
    )
    assert signed_in.status_code == 200, signed_in.text
    statuses = Counter(answer.status_code for answer in changes)
    assert set(statuses) <= {204, 429}
    assert len(statuses) == 2, "invalid: they came one after the other"
    for answer in changes:
        if answer.status_code == 429:
            detail = "throttle: another new password is being hashed"
            assert await tight.api.refusal(answer) == (429, "too_many_requests", detail)
            assert answer.headers["retry-after"] == "1"


@dataclass
class Paces:
    """How long requests took, in turns: refreshes at one replica, its neighbour's JWKS.

    The neighbour hashes nothing, but shares the machine: what slows its JWKS down is the machine
    and the callers, and not what its sister does with passwords.
    """

    refreshes: list[float]
    neutral: list[float]

    @classmethod
    async def of(cls, api: Api, device: SignedIn, turns: int) -> "Paces":
        """Measure at replica 1 and at replica 0."""
        paces = cls([], [])
        for _ in range(turns):
            began = time.perf_counter()
            answer = await api.refresh(device, on=1)
            paces.refreshes.append(time.perf_counter() - began)
            assert answer.status_code == 200, answer.text
            device.refresh_token = answer.json()["refresh_token"]
            began = time.perf_counter()
            assert (await api.get("/.well-known/jwks.json", on=0)).status_code == 200
            paces.neutral.append(time.perf_counter() - began)
        return paces

    def at(self, percent: int) -> tuple[float, float]:
        """Return both at a percentile, seconds."""
        shown = [sorted(one)[len(one) * percent // 100] for one in (self.refreshes, self.neutral)]
        return shown[0], shown[1]


@asynccontextmanager
async def flood_of_sign_ins(guarded: Guarded, at_once: int):
    """Guess at replica 1, each from somewhere else, for the length of the block."""
    going, statuses = True, Counter()

    async def flood() -> None:
        while going:
            answer = await guarded.attempt(unknown(), at=somewhere(), on=1)
            statuses[answer.status_code] += 1

    flooding = [asyncio.create_task(flood()) for _ in range(at_once)]
    try:
        yield
    finally:
        going = False
        await asyncio.gather(*flooding)
    assert set(statuses) == {401}, "invalid: this was no flood of hashes"


@pytest.fixture
async def device(guarded):
    return await guarded.api.sign_in(await guarded.api.person())


async def test_CR_3_a_refresh_does_not_wait_for_the_hashes_of_a_flood(guarded, device):
    """Three times a JWKS is what it costs; hashes in the event loop, or before it, cost 14 to 130."""
    async with flood_of_sign_ins(guarded, at_once=8):
        busy = await Paces.of(guarded.api, device, turns=30)
    refresh, neutral = busy.at(50)
    assert refresh < 8 * neutral, f"{refresh * 1000:.1f} ms; the JWKS {neutral * 1000:.1f} ms"


@pytest.mark.timing
async def test_CR_3_a_flood_slows_refreshes_down_no_more_than_twice_as_much_as_the_machine(
    guarded, device
):
    """The 99th percentile, as a ratio to before: the hashes share this machine's cores."""
    idle = (await Paces.of(guarded.api, device, turns=400)).at(99)
    async with flood_of_sign_ins(guarded, at_once=20):
        busy = (await Paces.of(guarded.api, device, turns=400)).at(99)
    refresh, neutral = (during / before for during, before in zip(busy, idle, strict=True))
    print(f"99 % of refreshes: {idle[0] * 1000:.1f} ms idle, {busy[0] * 1000:.1f} ms in a flood,")
    print(f"{refresh:.2f} times as long; the neighbour's JWKS {neutral:.2f} times")
    assert refresh < 2 * neutral


# -- CR-4: nobody learns who has an account -------------------------------------------------------


async def nobodies(api: Api) -> dict[str, str]:
    """Return an e-mail address for every reason to refuse a password."""
    people = {name: await api.person() for name in ("wrong", "disabled", "deleted", "without")}
    await api.operator.accounts.disable(people["disabled"].id)
    await api.operator.accounts.delete(people["deleted"].id)
    await api.sql.execute(
        "update users set password_hash = null where id = $1", people["without"].id
    )
    emails = {name: person.email for name, person in people.items()}
    return emails | {
        "unknown": unknown(),
        "malformed": uuid4().hex,
        "empty local": f"@{uuid4().hex}.example",
    }


def bare(answer: httpx2.Response) -> tuple[int, list[tuple[str, str]], str]:
    """Return an answer without what is new in every answer."""
    own = answer.headers["x-request-id"]
    headers = [
        (name, value.replace(own, "ID"))
        for name, value in answer.headers.multi_items()
        if name != "date"
    ]
    return answer.status_code, headers, answer.text.replace(own, "ID")


async def test_CR_4_every_refused_sign_in_is_the_same_bytes(guarded):
    answers, reasons = [], []
    for name, email in (await nobodies(guarded.api)).items():
        password = PASSWORD if name == "disabled" else WRONG
        answer = await guarded.attempt(email, password, at=somewhere())
        answers.append(bare(answer))
        reasons.append((await guarded.api.refusal(answer))[2])
    assert answers == [answers[0]] * len(answers)
    assert reasons == [
        "account: wrong password",
        "account: disabled",
        "account: unknown",
        "account: without password",
        *["account: unknown"] * 3,
    ]


async def test_CR_4_a_throttled_sign_in_is_the_same_bytes_for_everybody(guarded):
    answers = []
    for email in (await nobodies(guarded.api)).values():
        answer = await guarded.until_throttled(email, at=somewhere())
        assert (await guarded.api.refusal(answer))[2] == "throttle: account"
        status, headers, body = bare(answer)
        # How long depends on when one asks, not on whom for.
        answers.append((status, [pair for pair in headers if pair[0] != "retry-after"], body))
    assert answers == [answers[0]] * len(answers)


async def imported(api: Api, rounds: int) -> str:
    """Return the address of somebody whose password another system hashed by bcrypt."""
    person = await api.person()
    foreign = bcrypt.using(rounds=rounds).hash(PASSWORD)
    query = "update users set password_hash = $2 where id = $1"
    await api.sql.execute(query, person.id, foreign)
    return person.email


@pytest.mark.timing
async def test_CR_4_every_refused_sign_in_takes_the_time_of_a_wrong_password(guarded, counters):
    """500 of each over HTTP, shuffled: which of two came from whom is a toss of a coin."""
    emails = await nobodies(guarded.api)
    emails = {name: emails[name] for name in ("wrong", "unknown", "disabled", "without")}
    told = await told_by_the_clock(guarded, counters, emails, times=500)
    assert max(told.values()) < 0.58, told


@pytest.mark.timing
async def test_CR_4_an_imported_hash_shows_by_its_time_neither_when_cheap_nor_when_dear(
    guarded, counters
):
    """At the other replica: once it has met them, every failure there takes as long."""
    emails = {"wrong": (await guarded.api.person()).email}
    emails |= {"cheap": await imported(guarded.api, 4), "dear": await imported(guarded.api, 9)}
    for _ in range(5):
        await guarded.attempt(emails["dear"], at=somewhere(), on=1)
    await forget_failures(counters)
    told = await told_by_the_clock(guarded, counters, emails, times=100, on=1)
    assert max(told.values()) < 0.65, told


async def told_by_the_clock(
    guarded: Guarded, counters, emails: dict[str, str], *, times: int, on: int = 0
) -> dict[str, float]:
    """Try each so often; return how well the others are told apart from a wrong password."""
    taken: dict[str, list[float]] = {name: [] for name in emails}
    chance = random.Random(times)
    for _ in range(times):
        for name in chance.sample(list(emails), k=len(emails)):
            at = somewhere()
            began = time.perf_counter()
            answer = await guarded.attempt(emails[name], at=at, on=on)
            taken[name].append(time.perf_counter() - began)
            assert answer.status_code == 401
        await forget_failures(counters)
    wrong = taken.pop("wrong")
    told = {name: round(told_apart(some, wrong), 3) for name, some in taken.items()}
    print(f"a wrong password: {median(wrong) * 1000:.1f} ms; told apart from it: {told}")
    return told


def told_apart(some: list[float], others: list[float]) -> float:
    """Return how often the slower of two comes from the same side: Mann and Whitney's U, 0.5 to 1.

    Of 500 and 500 that are alike, 99 in 100 lie below 0.55; of a hundred each, below 0.61.
    """
    ranked = sorted([(one, 1) for one in some] + [(one, 0) for one in others])
    ranks = sum(rank for rank, (_, is_some) in enumerate(ranked, 1) if is_some)
    wins = (ranks - len(some) * (len(some) + 1) / 2) / (len(some) * len(others))
    return max(wins, 1 - wins)


# -- CR-5: guessing is slowed down ---------------------------------------------------------------


def most_guesses(seconds: float) -> int:
    """Return how many guesses at one account the doubling delay admits in so long."""
    return ACCOUNT + int(math.log2(seconds + 1))


async def test_CR_5_a_hundred_guesses_at_once_do_not_pass(guarded):
    """From a hundred addresses, over two replicas, at one account."""
    person, bad = await guarded.api.person(), "keyturn_authentications_total"
    before = guarded.api.metric(bad, method="password", result="bad_credentials")
    began = time.monotonic()
    answers = await asyncio.gather(
        *(guarded.attempt(person.email, at=somewhere(), on=number % 2) for number in range(100))
    )
    allowed = most_guesses(time.monotonic() - began)
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {401, 429}
    assert ACCOUNT <= statuses[401] <= allowed
    assert (
        guarded.api.metric(bad, method="password", result="bad_credentials")
        == before + statuses[401]
    )
    for answer in answers:
        if answer.status_code == 429:
            refusal = await guarded.api.refusal(answer)
            assert refusal == (429, "too_many_requests", "throttle: account")
            assert int(answer.headers["retry-after"]) >= 1


async def test_CR_5_who_fails_on_purpose_delays_strangers_and_not_the_person(guarded):
    """No denial by a third party: where one has signed in, one has a budget of one's own."""
    person, home, thief = await guarded.api.person(), somewhere(), somewhere()
    assert (await guarded.attempt(person.email, PASSWORD, at=home)).status_code == 200
    with delayed(seconds=1):
        await guarded.until_throttled(person.email, at=thief)
        assert (await guarded.attempt(person.email, PASSWORD, at=home, on=1)).status_code == 200
        answer = await guarded.attempt(person.email, PASSWORD, at=somewhere())
        assert await guarded.api.refusal(answer) == (429, "too_many_requests", "throttle: account")


async def test_CR_5_an_account_is_delayed_twice_as_long_each_time_and_never_locked(
    guarded, counters
):
    person, delays = await guarded.api.person(), []
    await guarded.attempts([person.email] * (ACCOUNT - 1), at=somewhere())
    for doublings in range(6):
        with delayed(seconds=2**doublings):
            assert (await guarded.attempt(person.email, at=somewhere())).status_code == 401
            answer = await guarded.attempt(person.email, at=somewhere())
            assert answer.status_code == 429
        delays.append(int(answer.headers["retry-after"]))
        await let_the_delay_pass(counters)
    assert delays == [1, 2, 4, 8, 16, 32]
    assert (await guarded.attempt(person.email, PASSWORD, at=somewhere())).status_code == 200
    assert (await guarded.attempt(person.email, at=somewhere())).status_code == 401


async def forget_failures(counters: redis.asyncio.Redis) -> None:
    async for key in counters.scan_iter("*throttle:account:*"):
        await counters.delete(key)


async def let_the_delay_pass(counters: redis.asyncio.Redis) -> None:
    async for key in counters.scan_iter("*throttle:account:*"):
        await counters.hset(key, "free", 0)


async def test_CR_5_one_address_has_a_limit_whatever_it_guesses_at(guarded):
    at = somewhere()
    assert await guarded.attempts([unknown() for _ in range(ADDRESS)], at=at) == [401] * ADDRESS
    person = await guarded.api.person()
    answer = await guarded.attempt(person.email, PASSWORD, at=at, on=1)
    assert await guarded.api.refusal(answer) == (429, "too_many_requests", "throttle: address")
    assert 1 <= int(answer.headers["retry-after"]) <= 300
    assert (await guarded.attempt(person.email, PASSWORD, at=somewhere())).status_code == 200


async def test_CR_5_everybody_together_has_a_limit_that_keeps_nobody_from_home(guarded, tight):
    """The third replica admits one failure a window for all: it has been used up here."""
    person, home = await guarded.api.person(), somewhere()
    assert (await guarded.attempt(person.email, PASSWORD, at=home)).status_code == 200
    await guarded.attempt(unknown(), at=somewhere())
    answer = await tight.attempt(person.email, PASSWORD, at=somewhere())
    assert await tight.api.refusal(answer) == (429, "too_many_requests", "throttle: global")
    assert (await tight.attempt(person.email, PASSWORD, at=home)).status_code == 200


# -- CR-6: the same limits wherever a secret is tried ----------------------------------------------


async def test_CR_6_proving_oneself_again_counts_against_the_same_budget(guarded):
    person, home = await guarded.api.person(), somewhere()
    there = {"x-forwarded-for": home}
    device = await guarded.api.sign_in(person, headers=there)

    async def prove(password: str, on: int = 0) -> httpx2.Response:
        body = {**device.credential, "password": password}
        return await guarded.api.post("/auth/reauthenticate", body, on=on, headers=there)

    wrong = (401, "invalid_credentials", "account: wrong password")
    for number in range(ACCOUNT - 1):
        assert await guarded.api.refusal(await prove(WRONG, on=number % 2)) == wrong
    with delayed(seconds=1):
        last = await prove(WRONG)
        right = (await prove(PASSWORD), await guarded.attempt(person.email, PASSWORD, at=home))
        assert {answer.status_code for answer in right} == {429}
    assert await guarded.api.refusal(last) == wrong
    for answer in right:
        assert await guarded.api.refusal(answer) == (429, "too_many_requests", "throttle: account")


async def test_CR_6_the_sign_in_page_counts_against_the_same_budget(guarded):
    person, home = await guarded.api.person(), somewhere()
    client_id = await guarded.api.client(SPA)
    browser = Browserless(guarded.api, headers={"x-forwarded-for": home})
    page = await browser.authorize(client_id)

    async def press(password: str) -> httpx2.Response:
        return await browser.press(page, "login", email=person.email, password=password)

    for _ in range(ACCOUNT - 1):
        assert (await press(WRONG)).status_code == 403
    with delayed(seconds=1):
        assert (await press(WRONG)).status_code == 403
        right = (await press(PASSWORD), await guarded.attempt(person.email, PASSWORD, at=home))
        assert {answer.status_code for answer in right} == {429}
    for answer in right:
        line = await guarded.api.line(answer)
        assert (answer.status_code, line["detail"]) == (429, "throttle: account")
        assert int(answer.headers["retry-after"]) >= 1


async def test_CR_6_a_hundred_user_codes_at_once_do_not_pass(guarded):
    """Of both servers together: a person who is signed in guesses at what devices show."""
    api, person = guarded.api, await guarded.api.person()
    browser = Browserless(api, headers={"x-forwarded-for": somewhere()})
    form = forms_of(await entry(browser, person, "/device"))["device-code"]
    codes = (f"XXXX-XX{one}{two}" for one in "BCDFGHJKLM" for two in "BCDFGHJKLM")

    async def guess(code: str, on: int) -> httpx2.Response:
        one = replace(browser, on=on, cookies=dict(browser.cookies))
        return await one.send("POST", form.action, data={**form.fields, "user_code": code})

    began = time.monotonic()
    answers = await asyncio.gather(*(guess(code, on % 2) for on, code in enumerate(codes)))
    allowed = most_guesses(time.monotonic() - began)
    statuses = Counter(answer.status_code for answer in answers)
    assert {400, 429} <= set(statuses) <= {400, 429, 503}, "503: the pool sheds some of them"
    assert ACCOUNT <= statuses[400] <= allowed
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1
            assert "Too many attempts. Try again in" in answer.text
            assert (await api.line(answer))["detail"] == "throttle: account"
    assert len(await api.events("user_code_refused", user_id=person.id)) >= 1
    # Codes have a budget of their own: the person may still prove a password.
    assert (await guarded.attempt(person.email, PASSWORD, at=somewhere())).status_code == 200


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"])
async def test_CR_6_a_client_s_secret_has_a_limit_and_never_locks_the_client_out(guarded, path):
    """Its secret cannot be guessed; a stranger's failures must not keep the client from working."""
    api, at = guarded.api, {"x-forwarded-for": somewhere()}
    client = await api.client(
        {"kind": "confidential", "introspects": [replicas.AUDIENCE]},
        grant_types=["client_credentials"],
        audiences=[replicas.AUDIENCE],
    )

    async def ask(secret: str, on: int = 0) -> httpx2.Response:
        form = {"grant_type": "client_credentials", "token": "x"}
        return await api.callers[on].post(path, data=form, auth=(client, secret), headers=at)

    for number in range(CLIENT):
        answer = await ask("wrong", on=number % 2)
        assert await api.refusal(answer) == (401, "invalid_client", "client: wrong secret")
    answer = await ask("wrong")
    assert await api.refusal(answer) == (429, "too_many_requests", "throttle: client")
    assert (await ask(api.secrets[client] or "")).status_code == 200


# -- CR-8: one address, one account ----------------------------------------------------------------


def spellings(name: str) -> dict[str, str]:
    """Return an address as its owner wrote it, and as others may write the same one."""
    return {
        "as entered": f"Zoë.{name}@Bücher.example",
        "another case": f"ZOË.{name.upper()}@BÜCHER.EXAMPLE",
        "decomposed": unicodedata.normalize("NFD", f"Zoë.{name}@Bücher.example"),
        "A-labels": f"zoë.{name}@xn--bcher-kva.example",
        "another dot": f"zoë.{name}@bücher。example",
        "blanks around": f"  Zoë.{name}@Bücher.example\t",
    }


async def test_CR_8_an_address_in_another_spelling_is_the_same_account(api):
    written = spellings(uuid4().hex[:8])
    first = written["as entered"]
    user = await api.operator.accounts.add(NewUser(first))
    await api.sql.execute(
        "update users set password_hash = $2 where id = $1", user.id, api.password_hash
    )
    for how, email in written.items():
        answer = await api.login(Person(user.id, email))
        assert answer.status_code == 200, how
        assert answer.json()["user"] == {"id": str(user.id), "email": first, "name": None}, how
        with pytest.raises(AccountExists):
            await api.operator.accounts.add(NewUser(email))
    answer = await api.login(Person(user.id, first.replace("ë", "e")))
    assert await api.refusal(answer) == (401, "invalid_credentials", "account: unknown")


async def test_CR_8_nothing_a_person_does_makes_their_address_verified(api):
    """Only an operator's word: neither a sign-in nor what is sent along with one."""
    client = await api.client(APP, claims=["email_verified"])
    doubtful, proven = await api.person(), await api.person(email_verified=True)
    device = await api.sign_in(doubtful, client=client)
    for member in ("emailVerified", "email_verified"):
        answer = await api.login(doubtful, client=client, **{member: True})
        assert await api.refusal(answer) == (400, "invalid_request", "json: an unknown member")
    for path, body in (
        ("/auth/reauthenticate", {"password": PASSWORD}),
        ("/auth/password", {"newPassword": PASSWORD}),
    ):
        answer = await api.post(path, {**device.credential, **body}, client=client)
        assert answer.status_code < 300, answer.text
    again = await api.sign_in(doubtful, client=client)
    refreshed = await api.rotated(device)
    for token in (device.access_token, again.access_token, refreshed.access_token):
        assert claims_of(token)["email_verified"] is False
    device = await api.sign_in(proven, client=client)
    assert claims_of(device.access_token)["email_verified"] is True


# -- RL-1: whose address it is -------------------------------------------------------------------


async def test_RL_1_by_default_nobody_is_believed_about_addresses(api):
    person = await api.person()
    spoofed = {
        "x-forwarded-for": "203.0.113.9",
        "x-real-ip": "203.0.113.9",
        "forwarded": "for=203.0.113.9",
        "cf-connecting-ip": "203.0.113.9",
        "true-client-ip": "203.0.113.9",
    }
    answer = await api.login(replace(person, password=WRONG), headers=spoofed)
    assert (await api.line(answer))["ip"] == "127.0.0.1"
    (event,) = await api.events("sign_in_failed", user_id=person.id)
    assert str(event["ip"]) in {"127.0.0.1", "127.0.0.1/32"}
    device = await api.sign_in(person, headers=spoofed)
    assert str((await api.row(device))["ip"]) in {"127.0.0.1", "127.0.0.1/32"}


async def test_RL_1_behind_a_proxy_the_last_hop_that_is_not_a_proxy_counts(guarded):
    person, at = await guarded.api.person(), somewhere()
    answer = await guarded.attempt(person.email, at=at, hops="203.0.113.9, junk, ")
    assert (await guarded.api.line(answer))["ip"] == at
    (event,) = await guarded.api.events("sign_in_failed", user_id=person.id)
    assert str(event["ip"]).removesuffix("/32") == at
    answer = await guarded.attempt(person.email, at="not an address")
    assert (await guarded.api.line(answer))["ip"] == "127.0.0.1"


async def test_RL_1_what_a_caller_writes_before_its_address_buys_no_attempts(guarded):
    at = somewhere()
    for number in range(ADDRESS):
        answer = await guarded.attempt(unknown(), at=at, hops=f"203.0.113.{number}, ")
        assert answer.status_code == 401
    answer = await guarded.attempt(unknown(), at=at, hops="203.0.113.99, ")
    assert await guarded.api.refusal(answer) == (429, "too_many_requests", "throttle: address")


async def test_RL_1_a_caller_past_the_proxy_is_itself_whatever_it_says(guarded):
    """It calls from another address of the loopback, which is not the proxy's."""
    base = guarded.api.replicas[0].url
    transport = httpx2.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx2.AsyncClient(
        base_url=base, transport=transport, cookies=memoryless(), timeout=20
    ) as stranger:
        direct = replace(guarded, api=Api(**{**guarded.api.__dict__, "callers": [stranger]}))
        for _ in range(ADDRESS):
            assert (await direct.attempt(unknown(), at=somewhere())).status_code == 401
        answer = await direct.attempt(unknown(), at=somewhere())
        assert await direct.api.refusal(answer) == (429, "too_many_requests", "throttle: address")
        assert (await direct.api.line(answer))["ip"] == "127.0.0.2"


# -- RL-2, RL-3: the limiter under attack ----------------------------------------------------------


async def test_RL_2_limits_hold_when_redis_goes_away_during_an_attack(guarded):
    """Each process counts for itself then: never no limit, and never everybody refused."""
    person, other = await guarded.api.person(), await guarded.api.person()
    assert await guarded.attempts([person.email] * 3, at=somewhere()) == [401] * 3
    await guarded.wire.refuse()
    try:
        for on in (0, 1):
            began = time.monotonic()
            statuses = await guarded.attempts([person.email] * 20, at=somewhere(), on=on)
            guesses = statuses.count(401)
            assert set(statuses) == {401, 429}
            assert 1 <= guesses <= most_guesses(time.monotonic() - began)
            answer = await guarded.attempt(other.email, PASSWORD, at=somewhere(), on=on)
            assert answer.status_code == 200
    finally:
        await guarded.wire.mend()
    await counts_in_redis_again(guarded)


async def counts_in_redis_again(guarded: Guarded) -> None:
    """Wait until both replicas have found Redis again: they share their counters."""
    deadline = time.monotonic() + 30
    while True:
        person = await guarded.api.person()
        await guarded.attempts([person.email] * ACCOUNT, at=somewhere(), on=0)
        if (await guarded.attempt(person.email, at=somewhere(), on=1)).status_code == 429:
            return
        assert time.monotonic() < deadline, "the replicas never shared their counters again"
        await asyncio.sleep(0.1)


async def test_RL_3_counters_name_nobody_and_end_by_themselves(guarded, counters):
    """A flood of names leaves keys of one size that are gone after the window."""
    names, emails = [f"stranger-{uuid4().hex}" for _ in range(40)], [unknown() for _ in range(5)]
    at = somewhere()
    for name in names:
        await guarded.api.callers[0].post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(name, "wrong"),
            headers={"x-forwarded-for": at},
        )
    await guarded.attempts(emails, at=at)
    found = [key async for key in counters.scan_iter("*throttle*")]
    assert len(found) >= 45
    for key in found:
        left = await counters.pttl(key)
        # An address that has signed in is remembered for thirty days, a failure for the window.
        assert 0 < left <= (30 * 86400 if b":known:" in key else 600) * 1000, key
    text = repr(found) + repr([await counters.dump(key) for key in found])
    for secret in (*names, *emails, at):
        assert secret not in text
    buckets = {key.rpartition(b":")[2] for key in found if b"throttle:client:" in key}
    assert {len(bucket) for bucket in buckets} == {4}, "65,536 of them, whoever invents names"


@pytest.mark.long
async def test_RL_3_the_counters_of_a_process_are_bounded_too(guarded):
    """Redis away, 30,000 clients, 1,200 accounts and addresses: it holds 1,000 in each ledger."""
    settings = guarded.api.settings | {"KEYTURN_THROTTLE__MEMORY_KEYS": "1000"}
    settings = {name: value for name, value in settings.items() if "REDIS" not in name}
    with replicas.replicas(settings) as (one,):
        async with joined(guarded.api, one) as api:
            alone, before = replace(guarded, api=api), 0
            for number in range(30):
                await asyncio.gather(*(_flood(alone, 100) for _ in range(10)))
                before = before or resident(one) * (number == 5)
            # Without a bound: 7 MiB.
            assert resident(one) - before < 4


async def _flood(alone: Guarded, size: int) -> None:
    for number in range(size):
        answer = await alone.api.callers[0].post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(uuid4().hex, "wrong"),
            headers={"x-forwarded-for": somewhere()},
        )
        assert answer.status_code in {401, 429}
        if number % 25 == 0:
            assert (await alone.attempt(unknown(), at=somewhere())).status_code == 401
