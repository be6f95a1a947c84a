"""Clients in PostgreSQL: what is kept of them, and what operators do with one."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from keyturn.clients import secrets, statements
from keyturn.clients.definition import ClientDefinition
from keyturn.errors import InvalidClientMetadata, NotFound
from support.registered import API, JOB, SECRET, WEB, Clients

EVERYTHING = {
    "id": "all",
    "name": "Everything",
    "kind": "public",
    "auth_method": "none",
    "grant_types": ("refresh_token",),
    "scopes": ("a", "b"),
    "audiences": ("urn:z", API),
    "session_api": True,
    "origins": ("https://a.example", "https://b.example"),
    "claims": ("email", "name"),
    "id_token_claims": ("email_verified", "name"),
    "introspects": (),
    "grace": 0,
    "rotation": False,
    "require_dpop": True,
    "access_token_lifetime": 60,
    "idle_lifetime": 3600,
    "absolute_lifetime": 7200,
    "redirect_uris": ("com.example.app:/cb", "https://app.example/cb"),
    "post_logout_redirect_uris": ("https://app.example/bye",),
    "require_pkce": True,
    "skip_consent": True,
    "response_modes": ("form_post",),
    "backchannel_logout_uri": "https://app.example/logged-out",
    "jwks": {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": 43 * "A", "kid": "one"}]},
    "jwks_uri": None,
    "require_par": True,
    "require_signed_request_object": True,
    "profile": "fapi2",
    "token_exchange": {
        "subject_clients": ("b", "a"), "impersonation": True, "delegation": False,
    },
    "client_uri": "https://app.example/about",
    "logo_uri": "https://app.example/logo.png",
    "policy_uri": "https://app.example/privacy",
    "tos_uri": "https://app.example/terms",
}  # fmt: skip


@pytest.fixture
async def clients(database_url):
    async with Clients.of(database_url) as opened:
        yield opened


async def accepted(clients, *given):
    """Return which of some secrets the client `job` is accepted with, asked afresh."""
    active = (await clients.administration.show("job")).client.secrets
    return [secrets.matches(one, active, datetime.now(UTC)) for one in given]


async def test_every_field_comes_back_as_it_went_in(clients):
    async with statements.writing(clients.database) as tx:  # below the rules, which refuse some
        await statements.insert(tx, ClientDefinition.parse(EVERYTHING))
    shown = await clients.administration.show("all")
    assert ClientDefinition.of(shown.client).model_dump() == EVERYTHING
    assert await clients.registry.get("all") == shown.client


async def test_clients_are_listed_by_id_disabled_ones_too(clients):
    for one in ("b", "c", "a"):
        await clients.add(id=one)
    await clients.administration.disable("b")
    listed = await clients.administration.list()
    assert [(one.client.id, one.client.is_active) for one in listed] == [
        ("a", True),
        ("b", False),
        ("c", True),
    ]


async def test_an_id_is_never_given_out_again(clients):
    await clients.add()
    await clients.administration.disable("job")
    with pytest.raises(InvalidClientMetadata, match="never given out again"):
        await clients.add()
    with pytest.raises(InvalidClientMetadata, match="never given out again"):
        await clients.add(WEB, id="job")
    assert not (await clients.administration.show("job")).client.is_active


async def test_tk_7_the_database_itself_refuses_an_id_that_looks_like_a_users(clients):
    for spelling in (str(uuid4()), uuid4().hex):
        with pytest.raises(asyncpg.CheckViolationError):
            await clients.behind.execute(
                "insert into clients (id, name, kind, auth_method, grant_types, scopes, audiences)"
                " values ($1, 'x', 'public', 'none', '{}', '{}', '{}')",
                spelling,
            )


async def test_ca_5_of_a_secret_only_the_hash_is_stored(clients):
    secret = await clients.add()
    row = str(await clients.behind.fetchval("select clients::text from clients"))
    assert hashlib.sha256(secret.encode()).hexdigest() in row
    assert secret not in row
    assert secret.removeprefix("kts_") not in row
    assert await clients.add(WEB) is None


async def test_ca_5_two_secrets_are_active_and_of_three_the_oldest_ends(clients):
    rotate = clients.administration.rotate_secret
    first = await clients.add()
    second = (await rotate("job")).secret
    assert await accepted(clients, first, second) == [True, True]
    third = (await rotate("job")).secret
    assert await accepted(clients, first, second, third) == [False, True, True]


async def test_a_rotated_secret_can_be_given_an_end(clients):
    first = await clients.add()
    second = (await clients.administration.rotate_secret("job", timedelta(hours=1))).secret
    assert await accepted(clients, first, second) == [True, True]
    await clients.behind.execute(
        "update clients set previous_secret_expires_at = now() - interval '1 second'"
    )
    assert await accepted(clients, first, second) == [False, True]


async def test_a_leaked_secret_can_be_ended_at_once(clients):
    first = await clients.add()
    second = (await clients.administration.rotate_secret("job", timedelta())).secret
    assert await accepted(clients, first, second) == [False, True]


async def test_the_old_secret_can_be_dropped_once_nobody_uses_it(clients):
    first = await clients.add()
    second = (await clients.administration.rotate_secret("job")).secret
    await clients.administration.drop_previous_secret("job")
    assert await accepted(clients, first, second) == [False, True]
    before = await clients.versions()
    await clients.administration.drop_previous_secret("job")
    assert await clients.versions() == before


async def test_a_public_client_has_no_secret_to_rotate(clients):
    await clients.add(WEB)
    for act in (clients.administration.rotate_secret, clients.administration.drop_previous_secret):
        with pytest.raises(InvalidClientMetadata, match="holds none"):
            await act("web")
    with pytest.raises(InvalidClientMetadata, match="holds none"):
        await clients.administration.add(ClientDefinition.parse({**WEB, "id": "w2"}), SECRET)


async def test_a_client_that_was_never_registered_is_not_found(clients):
    administration = clients.administration
    for act in (
        administration.show,
        administration.disable,
        administration.enable,
        administration.rotate_secret,
        administration.drop_previous_secret,
    ):
        with pytest.raises(NotFound):
            await act("nobody")


async def test_disabling_twice_writes_once_and_is_audited_once(clients):
    await clients.add()
    await clients.administration.disable("job")
    before = await clients.versions()
    await clients.administration.disable("job")
    assert await clients.versions() == before
    await clients.administration.enable("job")
    await clients.administration.rotate_secret("job")
    assert (await clients.administration.show("job")).client.is_active
    assert clients.events() == [
        ("client_added", "job"),
        ("client_disabled", "job"),
        ("client_enabled", "job"),
        ("client_secret_rotated", "job"),
    ]


async def test_a_refused_definition_writes_nothing(clients):
    with pytest.raises(InvalidClientMetadata):
        await clients.add(JOB, audiences=[])
    assert await clients.versions() == []
    assert clients.events() == []


async def test_every_change_notifies_in_the_transaction_that_makes_it(clients):
    """A change that is rolled back is announced to nobody."""
    heard = []
    await clients.behind.add_listener("keyturn_clients", lambda *told: heard.append(told[-1]))
    await clients.add()
    await clients.administration.disable("job")
    await clients.administration.enable("job")
    await clients.administration.rotate_secret("job")
    await clients.administration.drop_previous_secret("job")
    with pytest.raises(InvalidClientMetadata):
        await clients.add()
    await clients.apply(WEB, {**JOB, "id": "other", "secret": SECRET})
    await clients.behind.fetch("select 1")
    assert heard == ["job"] * 5 + ["web", "other"]
