"""A copy of the database and of Redis opens no door: every value in it is tried at every one.

After a full day of everything (`support.secret_day`) and somebody at work, what both hold is
presented as it stands, spelt as tokens are, and in tokens made of it. The control puts live
credentials into the dump; each is accepted where it belongs.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from secrets import token_urlsafe
from uuid import uuid4

import pytest

from attacks.replayed import Doors, candidates, database_values, forged, redis_values
from attacks.stand import REQUESTS, SEED
from keyturn.users.model import NewUser
from support.administering import administered
from support.api import GATEWAY, Api, Person
from support.browserless import SPA, Browserless
from support.secret_day import Day, lived
from support.television import TELEVISION, Television, answered, entry

AT_ONCE = 8
GENEROUS = {
    "throttle__account_attempts": "10000000", "throttle__address_attempts": "10000000",
    "throttle__global_attempts": "10000000", "throttle__client_attempts": "10000000",
    "device__wrong_codes": "10000000", "server__idle_timeout": "120",
}  # fmt: skip
"""No limit keeps a value from being looked at, and no kept line ends while a busy machine pauses."""


@pytest.fixture(scope="module")
async def day(databases, shared_redis_url, tmp_path_factory) -> AsyncIterator[Day]:
    folder = tmp_path_factory.mktemp("secrets")
    async with lived(databases, shared_redis_url, folder, **GENEROUS) as day:
        yield day


async def somebody(api: Api) -> Person:
    """Add a person whose password the server can check."""
    password = token_urlsafe(18)
    user = await api.operator.accounts.add(NewUser(f"{uuid4().hex}@example.com", password=password))
    return Person(user.id, user.email, password)


@asynccontextmanager
async def doors_of(day: Day) -> AsyncIterator[Doors]:
    """Open every door."""
    api = day.api
    person, browser = await somebody(api), Browserless(api)
    clients = {"spa": await api.client(SPA), "television": await api.client(TELEVISION)}
    clients["gateway"] = await api.client(GATEWAY)
    clients["registered"] = await api.sql.fetchval("select client_id from registrations limit 1")
    page = await entry(browser, person, "/device")
    async with administered(api) as admin:
        yield Doors(api, admin.caller, person, clients, page, browser)


async def live_credentials(doors: Doors) -> dict[str, str]:
    """Return what really opens some of them; made last, as some live for a minute."""
    api, person = doors.api, doors.person
    device = await api.sign_in(person)
    television = await Television.begun(api, doors.clients["television"])
    await answered(Browserless(api), person, television)
    login = next(v for name, v in doors.signed_in.cookies.items() if "kt_login" in name)
    async with administered(api) as admin:
        administers = next(iter(admin.tokens.values()))
    return {
        "refresh": device.refresh_token,
        "password": person.password,
        "bearer at /auth/me": device.access_token,
        "introspection": device.access_token,
        "subject token": device.access_token,
        "device code": television.told["device_code"],
        "authorization code": await Browserless(api).code(doors.clients["spa"], person),
        "secret of machine": api.secrets["machine"] or "",
        "secret of reader": api.secrets["reader"] or "",
        "browser login": login,
        "bearer at /admin/v1/users": administers,
    }


async def accepted(
    doors: Doors, values: Iterable[str], tried: Counter[str]
) -> list[tuple[str, str]]:
    """Present every value at every door; return what was accepted where."""
    found, waiting, presents = [], iter(values), doors.all()

    async def some() -> None:
        for value in waiting:
            for door, present in presents.items():
                tried[door] += 1
                if await present(value):
                    found.append((door, value))

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return found


async def dumped(day: Day) -> list[str]:
    """Return everything that both hold, spelt in every way, and tokens made of it."""
    values = await database_values(day.api.sql) | await redis_values(day.redis_url)
    print(f"{len(values)} values in the database and in Redis")
    return candidates(values) + [one async for one in forged(day.api.sql)]


async def live_sessions(day: Day) -> int:
    query = "select count(*) from sessions where revoked_at is null and expires_at > now()"
    return await day.api.sql.fetchval(query)


@pytest.mark.long
async def test_nothing_in_a_dump_opens_any_door(day):
    async with doors_of(day) as doors:
        found = await dumped(day)
        most = min(len(found), REQUESTS // len(doors.all()))
        texts = random.Random(SEED).sample(found, most)
        sessions, tried = await live_sessions(day), Counter[str]()
        assert sessions > 0
        assert await accepted(doors, texts, tried) == []
        # Nor did any of them end somebody's session, as a superseded refresh token would.
        assert await live_sessions(day) == sessions
        print(f"{len(texts)} of {len(found)} texts at {len(tried)} doors: {tried.total()} refused")
        await the_control(doors)


async def the_control(doors: Doors) -> None:
    """What is live opens its door, by the same hand."""
    presents, live = doors.all(), await live_credentials(doors)
    opened = [door for door, value in live.items() if await presents[door](value)]
    assert opened == [*live], set(live) - set(opened)
