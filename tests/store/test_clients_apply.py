"""Applying a clients file: idempotent, all or nothing, and respectful of what operators did."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyturn.clients import secrets
from keyturn.clients.clients_file import parse
from keyturn.clients.rules import Limits
from keyturn.errors import InvalidClientMetadata
from support.assertions import Signer
from support.registered import JOB, OTHER_SECRET, SECRET, WEB, Clients

FILED = {**JOB, "secret": SECRET}


@pytest.fixture
async def clients(database_url):
    async with Clients.of(database_url) as opened:
        yield opened


async def accepted(clients, *given):
    active = (await clients.administration.show("job")).client.secrets
    return [secrets.matches(one, active, datetime.now(UTC)) for one in given]


async def test_a_second_run_writes_nothing(clients):
    file = (
        {**WEB, "scopes": ["b", "a"], "origins": ["https://z.example", "https://a.example"]},
        {**FILED, "claims": ["name", "email"], "grace": 5, "idle_lifetime": 3600},
        {**WEB, "id": "closed", "disabled": True},
    )
    first = await clients.apply(*file)
    before = await clients.versions()
    second = await clients.apply(*file, prune=True)
    assert len(first.writes) == 3
    assert second.writes == ()
    assert await clients.versions() == before
    assert clients.events() == [
        ("client_added", "web"),
        ("client_added", "job"),
        ("client_added", "closed"),
    ]


async def test_only_what_differs_is_written_and_shown(clients):
    await clients.apply(WEB, FILED)
    before = await clients.versions()
    plan = await clients.apply({**WEB, "name": "Shop", "grace": 3}, FILED)
    (change,) = plan.writes
    shown = [(one.name, one.before, one.after) for one in change.fields]
    assert shown == [("name", "web", "Shop"), ("grace", None, 3)]
    assert [one[0] for one in await clients.versions() if one not in before] == ["web"]
    assert (await clients.administration.show("web")).client.name == "Shop"


async def test_a_client_that_turns_to_keys_has_no_secret_left_and_gets_the_file_s_when_it_returns(
    clients,
):
    await clients.apply(FILED)
    await clients.administration.rotate_secret("job")
    keyed = {**JOB, "auth_method": "private_key_jwt", "jwks": Signer.of("https://x").jwks}
    (change,) = (await clients.apply(keyed)).writes
    assert change.secret == "ended"
    assert (await clients.administration.show("job")).client.secrets == ()
    assert (await clients.apply(keyed)).writes == ()
    (change,) = (await clients.apply(FILED)).writes
    assert change.secret == "set"
    assert await accepted(clients, SECRET) == [True]


async def test_what_a_file_leaves_out_returns_to_its_default(clients):
    await clients.apply({**WEB, "grace": 3, "name": "Shop"})
    await clients.apply(WEB)
    client = (await clients.administration.show("web")).client
    assert (client.grace, client.name) == (None, "web")


async def test_a_dry_run_shows_the_same_and_writes_nothing(clients):
    await clients.apply(FILED)
    clients.events()
    before = await clients.versions()
    shown = await clients.apply(WEB, dry_run=True, prune=True)
    assert await clients.versions() == before
    assert clients.events() == []
    assert shown == await clients.apply(WEB, prune=True)


async def test_prune_disables_only_what_an_earlier_file_named(clients):
    await clients.add(WEB, id="by-hand")
    await clients.apply(WEB, FILED)
    await clients.apply(WEB)
    assert all(one.client.is_active for one in (await clients.registered()).values())
    plan = await clients.apply(WEB, prune=True)
    assert [(one.client_id, one.state) for one in plan.writes] == [("job", "disable")]
    state = {one: row.client.is_active for one, row in (await clients.registered()).items()}
    assert state == {"web": True, "job": False, "by-hand": True}


async def test_a_client_made_by_hand_is_adopted_with_both_its_secrets(clients):
    made = await clients.add()
    plan = await clients.apply(FILED)
    assert plan.writes[0].adopted
    assert await accepted(clients, made, SECRET) == [True, True]
    await clients.apply(prune=True)
    assert not (await clients.administration.show("job")).client.is_active


async def test_a_new_secret_in_the_file_rotates(clients):
    await clients.apply(FILED)
    plan = await clients.apply({**JOB, "secret": OTHER_SECRET})
    assert [one.secret for one in plan.writes] == ["set"]
    assert await accepted(clients, SECRET, OTHER_SECRET) == [True, True]
    assert (await clients.apply({**JOB, "secret": OTHER_SECRET})).writes == ()


async def test_an_unchanged_file_does_not_bring_a_leaked_secret_back(clients):
    """Seen as the trap of `clients_file`, which is applied at every start of a server."""
    await clients.apply(FILED)
    await clients.administration.rotate_secret("job")
    await clients.administration.drop_previous_secret("job")
    plan = await clients.apply(FILED)
    assert plan.writes == ()
    assert "rotated away" in plan.changes[0].note
    assert await accepted(clients, SECRET) == [False]


async def test_a_client_disabled_in_an_emergency_stays_disabled_until_the_file_opens_it(clients):
    await clients.apply(WEB)
    await clients.administration.disable("web")
    plan = await clients.apply(WEB)
    assert plan.writes == ()
    assert "stays disabled" in plan.changes[0].note
    await clients.apply({**WEB, "disabled": False})
    assert (await clients.administration.show("web")).client.is_active
    await clients.apply({**WEB, "disabled": True})
    assert not (await clients.administration.show("web")).client.is_active


async def test_a_client_keeps_its_kind_and_the_whole_file_is_refused(clients):
    await clients.apply(WEB)
    before = await clients.versions()
    turned = {**JOB, "id": "web", "secret": SECRET}
    with pytest.raises(InvalidClientMetadata) as caught:
        await clients.apply({**WEB, "id": "new"}, turned, prune=True)
    assert [problem.path for problem in caught.value.problems] == ["clients[1].kind"]
    assert await clients.versions() == before


async def test_a_write_that_fails_half_way_leaves_nothing(clients):
    """The second client's insert is refused by the database: the first one is gone, too."""
    await clients.behind.execute(
        "create function refuse() returns trigger language plpgsql as"
        " $$ begin if new.id = 'job' then raise 'no'; end if; return new; end $$;"
        "create trigger refuse before insert on clients for each row execute function refuse()"
    )
    with pytest.raises(Exception, match="no"):
        await clients.apply(WEB, FILED)
    assert await clients.versions() == []
    assert clients.events() == []


async def test_servers_that_start_together_apply_one_file_once(clients, database_url):
    async with Clients.of(database_url) as other:
        plans = await asyncio.gather(
            *(one.apply(WEB, FILED) for one in (clients, other, clients, other))
        )
    assert sorted(len(plan.writes) for plan in plans) == [0, 0, 0, 2]


async def test_nothing_that_is_shown_holds_a_secret_or_its_hash(clients):
    declared = parse({"clients": [FILED]}, Limits("https://login.example"), Path())
    digest = declared[0].secret_hash.hex()
    plan = await clients.apply(FILED)
    shown = repr(plan) + json.dumps([one.fields for one in plan.changes], default=repr)
    assert SECRET not in shown
    assert digest not in shown
    assert repr(declared[0].secret_hash) not in shown


async def test_a_thousand_clients_are_applied_in_one_go(clients):
    file = [{**WEB, "id": f"app-{number}"} for number in range(1000)]
    assert len((await clients.apply(*file)).writes) == 1000
    assert (await clients.apply(*file)).writes == ()
    for number in range(1000):
        assert await clients.registry.get(f"app-{number}") is not None
