"""Clients that register themselves, on a real PostgreSQL: quotas, first use, expiry."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from keyturn.clients.administration import Administration
from keyturn.clients.rules import Limits
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.db.pool import Database
from keyturn.errors import InvalidClientMetadata, InvalidToken, Refusal, Throttled, Unavailable
from keyturn.jobs.expire_registrations import ExpireRegistrations
from keyturn.jobs.leader import Leadership
from keyturn.parts import Parts
from keyturn.registration_errors import TooManyClients
from keyturn.registrations.expiry import Expiry
from keyturn.registrations.first_use import FirstUse
from keyturn.registrations.initial_tokens import InitialTokens
from keyturn.request_errors import InvalidMembers
from keyturn.settings_postgres import PostgresSettings
from keyturn.telemetry.metrics import Metrics
from support import replicas
from support.patience import patient

WEB = {"redirect_uris": ["https://app.example/cb"]}
HERE = "192.0.2.1"
AT_ONCE = 50
QUOTA = 5
MONTH = timedelta(days=30)


class Counting:
    """Counts statements instead of sending them."""

    count = 0

    async def execute(self, *_):
        self.count += 1
        return 0


class Here:
    """One process's rules with these settings, and a way behind their back."""

    def __init__(self, url, sql, **registration):
        changes = {f"registration__{name}": str(value) for name, value in registration.items()}
        self.parts = Parts.of(load_settings(replicas.settings(url, None, **changes)), SystemClock())
        self.sql, self.database, self.audit = sql, self.parts.database, self.parts.audit
        self.registrations = self.parts.registrations
        self.tokens = InitialTokens(self.database, self.parts.settings.registration, self.audit)
        self.expiry = Expiry(self.database, self.audit, MONTH)

    async def register(self, initial=None, address=HERE):
        """Register, patiently: a pool that is full for a moment decides nothing."""
        while True:
            try:
                return await self.registrations.register(WEB, initial, address)
            except Unavailable:
                await asyncio.sleep(0.01)

    async def crowd(self, initial=None, addresses=(HERE,)):
        """Register many at once; return what became of them."""

        async def one(number):
            try:
                return await self.register(initial, addresses[number % len(addresses)])
            except Refusal as refusal:
                return refusal

        return Counter(type(one).__name__ for one in await asyncio.gather(
            *map(one, range(AT_ONCE))
        ))  # fmt: skip

    async def client(self, **row):
        """Return a registered client whose row is then changed."""
        client = (await self.register()).managed.client
        for name, value in row.items():
            await self.sql.execute(
                f"update registrations set {name} = {value} where client_id = $1", client.id
            )
        return client

    async def is_open(self, client):
        return await self.sql.fetchval(
            "select disabled_at is null from clients where id = $1", client.id
        )

    def audited(self):
        return Counter(one.event.type for one in self.audit.take(1000))


@pytest.fixture
async def here_with(database_url):
    sql = await asyncpg.connect(database_url)
    made = []

    def with_settings(**registration):
        made.append(Here(database_url, sql, **{"mode": "open", **registration}))
        return made[-1]

    yield with_settings
    for one in made:
        await one.parts.close()
    await sql.close()


@pytest.fixture
def here(here_with):
    return here_with(most_per_address=1000)


# -- how many --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "refused"),
    [
        ({"most_clients": QUOTA, "most_per_address": 99}, "TooManyClients"),
        ({"most_per_day": QUOTA, "most_per_address": 99}, "Throttled"),
        ({"most_per_address": QUOTA}, "Throttled"),
    ],
)
async def test_DC_2_of_fifty_at_once_as_many_register_as_may(here_with, bound, refused):
    here = here_with(**bound)
    assert await here.crowd() == {"Issued": QUOTA, refused: AT_ONCE - QUOTA}
    assert await here.sql.fetchval("select count(*) from clients where self_registered") == QUOTA
    assert await here.sql.fetchval("select count(*) from registrations") == QUOTA
    assert here.audited() == {"client_registered": QUOTA, "registration_refused": AT_ONCE - QUOTA}


async def test_DC_2_of_fifty_at_once_with_one_token_as_many_register_as_it_is_good_for(here_with):
    here = here_with(mode="token")
    issued = await here.tokens.add("a crowd", QUOTA, timedelta(days=1))
    assert await here.crowd(issued.value) == {"Issued": QUOTA, "TooManyClients": AT_ONCE - QUOTA}
    (listed,) = await here.tokens.page(None, 9)
    assert (listed.used, listed.uses) == (QUOTA, QUOTA)


async def test_each_address_has_a_budget_and_an_ipv6_subscriber_one(here_with):
    here = here_with(most_per_address=1)
    await here.register(address="192.0.2.1")
    await here.register(address="192.0.2.2")
    await here.register(address="2001:db8:1:2::1")
    for taken in ("192.0.2.1", "::ffff:192.0.2.2", "2001:db8:1:2:ffff::9"):
        with pytest.raises(Throttled) as refusal:
            await here.register(address=taken)
        assert refusal.value.retry_after > 0
    await here.sql.execute("update registrations set created_at = now() - interval '25 hours'")
    await here.register(address="192.0.2.1")


async def test_only_live_clients_fill_the_quota_but_a_day_counts_them_all(here_with):
    here = here_with(most_clients=2, most_per_day=4, most_per_address=99)
    first, second = await here.register(), await here.register()
    with pytest.raises(TooManyClients):
        await here.register()
    await here.registrations.delete(first.managed.client.id, first.token)
    await here.sql.execute(
        "update clients set disabled_at = now() where id = $1", second.managed.client.id
    )
    await here.register()
    await here.register()
    await here.sql.execute("update clients set disabled_at = now()")
    with pytest.raises(Throttled):
        await here.register()


@pytest.mark.parametrize("change", ["revoked_at = now()", "expires_at = now()"])
async def test_a_token_that_is_over_registers_nobody(here_with, change):
    here = here_with(mode="token")
    issued = await here.tokens.add("one", 5, timedelta(days=1))
    await here.register(issued.value)
    await here.sql.execute(f"update registration_tokens set {change}")
    with pytest.raises(InvalidToken):
        await here.register(issued.value)


@pytest.mark.parametrize(
    "changes",
    [{"name": ""}, {"name": "a\nb"}, {"uses": 0}, {"lifetime": timedelta()},
     {"lifetime": timedelta(days=401)}, {"scopes": ["openid", "keyturn.admin.write"]}],
)  # fmt: skip
async def test_a_token_that_makes_no_sense_is_not_made(here, changes):
    wanted = {"name": "x", "uses": 1, "lifetime": timedelta(days=1), "scopes": None}
    with pytest.raises(InvalidMembers):
        await here.tokens.add(**{**wanted, **changes})
    assert await here.tokens.page(None, 9) == []


# -- whether it was used ---------------------------------------------------------------------------


async def test_a_first_use_is_written_once_by_whoever_sees_it(here):
    client = await here.client()
    row = "select xmin::text, first_used_at from registrations where client_id = $1"
    uses = [FirstUse(here.database), FirstUse(here.database)]
    await asyncio.gather(*(one.note(client) for one in uses for _ in range(5)))
    before = await here.sql.fetchrow(row, client.id)
    assert before["first_used_at"] is not None
    await FirstUse(here.database).note(client)
    await uses[0].note(client)
    assert await here.sql.fetchrow(row, client.id) == before


async def test_a_known_use_and_an_operators_client_cost_no_statement(here):
    client, noted = await here.client(), set()
    await FirstUse(here.database, noted).note(client)
    statements = Counting()
    await FirstUse(statements, noted).note(client)
    await FirstUse(statements).note(replace(client, self_registered=False))
    assert statements.count == 0
    await FirstUse(statements).note(client)
    assert statements.count == 1


async def test_a_use_that_cannot_be_written_refuses_nobody_and_is_written_the_next_time(here):
    client = await here.client()
    away = Database(PostgresSettings(url="postgresql://nobody@127.0.0.1:1/none"), Metrics())
    noted = FirstUse(away)
    await noted.note(client)
    assert noted._noted == set()
    await FirstUse(here.database, noted._noted).note(client)
    assert client.id in noted._noted
    await away.close()


async def test_what_was_never_used_is_closed_after_its_time_and_nothing_else(here):
    old = "now() - interval '31 days'"
    unused = [await here.client(created_at=old) for _ in range(3)]
    used = await here.client(created_at=old, first_used_at="now()")
    young = await here.client(created_at="now() - interval '29 days'")
    taken = await here.client(created_at=old)
    await here.sql.execute("update clients set declared = true where id = $1", taken.id)
    here.audited()
    assert await here.expiry.run() == 3
    assert [await here.is_open(one) for one in unused] == [False] * 3
    assert [await here.is_open(one) for one in (used, young, taken)] == [True] * 3
    assert here.audited() == {"client_expired": 3}
    assert await here.expiry.run() == 0


async def test_more_than_a_batch_is_closed_in_one_run(here, monkeypatch):
    monkeypatch.setattr("keyturn.registrations.expiry.BATCH", 2)
    for _ in range(5):
        await here.client(created_at="now() - interval '31 days'")
    assert await here.expiry.run() == 5


async def test_an_expired_client_is_not_opened_again_and_its_token_is_dead(here):
    issued = await here.register()
    client_id = issued.managed.client.id
    await here.sql.execute("update registrations set created_at = now() - interval '31 days'")
    await here.expiry.run()
    with pytest.raises(InvalidToken):
        await here.registrations.find(client_id, issued.token)
    clients = Administration(here.database, Limits(replicas.ISSUER), here.audit)
    with pytest.raises(InvalidClientMetadata, match="ended for good"):
        await clients.enable(client_id)
    assert not await here.is_open(issued.managed.client)


async def test_only_the_leader_closes_what_was_never_used(here, database_url):
    await here.client(created_at="now() - interval '31 days'")
    settings = patient(database_url)
    leader, other = Leadership(settings, Metrics()), Leadership(settings, Metrics())
    try:
        assert await leader.leads("expire_registrations")
        await ExpireRegistrations(here.expiry, other).run_once()
        assert here.audited()["client_expired"] == 0
        await ExpireRegistrations(here.expiry, leader).run_once()
        assert here.audited()["client_expired"] == 1
    finally:
        await leader.resign()
        await other.resign()


async def test_a_client_that_was_never_used_is_deleted_without_a_walk_through_the_sessions(here):
    issued = await here.register()
    await here.registrations.delete(issued.managed.client.id, issued.token)
    assert "session_ended" not in here.audited()
    used = await here.register()
    await FirstUse(here.database).note(used.managed.client)
    await here.registrations.delete(used.managed.client.id, used.token)
    assert here.audited()["session_ended"] == 1
