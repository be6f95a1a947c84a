"""IN-1 to IN-4: POST /oauth2/introspect."""

import base64
import json

import pytest

from keyturn.clients.administration import Administration
from keyturn.clients.rules import Limits
from keyturn.db.migrate import migrate
from keyturn.sessions.end import end_sessions_of_user
from support.keys import signing_key
from support.protocol import protocol
from support.replicas import AUDIENCE, ISSUER
from support.servers import private_pair

PATH = "/oauth2/introspect"
INACTIVE = b'{"active":false}'


@pytest.fixture
async def site(keyed_database_url, redis_url):
    async with protocol(keyed_database_url, redis_url) as running:
        yield running


async def answer_for(site, token, caller="api"):
    return await site.post(PATH, caller, token=token)


async def test_a_live_token_is_described_and_nothing_more_is(site):
    started, token = await site.sign_in()
    answer = await answer_for(site, token)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert said["active"] is True
    assert said["iss"] == ISSUER
    assert said["sub"] == str(site.user_id)
    assert said["aud"] == AUDIENCE
    assert said["client_id"] == "web"
    assert said["sid"] == str(started.session.id)
    assert said["token_type"] == "Bearer"
    assert said["exp"] > said["iat"] >= said["auth_time"] - 1
    assert set(said) == {
        *("active", "token_type", "iss", "sub", "aud", "client_id", "exp", "iat", "jti"),
        *("sid", "auth_time", "acr", "amr"),
    }


async def test_a_machines_token_has_no_session(site):
    said = (await answer_for(site, await site.machine_token())).json()
    assert said["active"] is True
    assert said["sub"] == "machine"
    assert "sid" not in said


async def test_in_1_a_public_caller_is_refused(site):
    _, token = await site.sign_in()
    answer = await answer_for(site, token, "web")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("caller", ["billing", "curious"])
async def test_in_1_a_caller_outside_the_tokens_audience_learns_nothing(site, caller):
    _, token = await site.sign_in()
    answer = await answer_for(site, token, caller)
    assert (answer.status_code, answer.content) == (200, INACTIVE)


async def test_in_2_every_inactive_answer_is_the_same(site):
    started, token = await site.sign_in()
    claims = _claims(token)
    foreign = signing_key(7).sign(json.dumps(claims).encode())
    keyring = site.parts.keyring.signing
    expired = keyring.sign(json.dumps(claims | {"exp": claims["iat"] - 3600}).encode())
    elsewhere = keyring.sign(json.dumps(claims | {"iss": "https://other.example"}).encode())
    ended, revoked = await site.sign_in()
    await site.post("/oauth2/revoke", "web", token=ended.refresh_token)
    for given in (foreign, expired, elsewhere, revoked, "x", "a.b.c", started.refresh_token):
        answer = await answer_for(site, given)
        assert (answer.status_code, answer.content) == (200, INACTIVE), given


async def test_in_2_what_our_key_signed_as_something_else_is_no_access_token(site):
    _, token = await site.sign_in()
    head = base64.urlsafe_b64encode(
        json.dumps({"alg": "RS256", "typ": "JWT", "kid": _head(token)["kid"]}).encode()
    )
    swapped = f"{head.decode().rstrip('=')}.{token.split('.', 1)[1]}"
    assert (await answer_for(site, swapped)).content == INACTIVE


async def test_in_3_a_revoked_session_and_a_revoked_token_are_inactive_at_once(site):
    started, token = await site.sign_in()
    other_started, other = await site.sign_in()
    await site.post("/oauth2/revoke", "web", token=started.refresh_token)
    await site.post("/oauth2/revoke", "web", token=other)
    assert not await site.is_active(token)
    assert not await site.is_active(other)
    answer = await site.refresh("web", other_started.refresh_token)
    assert await site.is_active(answer.json()["access_token"])


async def test_in_3_all_sessions_of_a_user_end_without_any_announcement(site):
    """What disable, delete and password change do: in the transaction, the copy told or not."""
    _, token = await site.sign_in()
    async with site.parts.database.transaction() as tx:
        await end_sessions_of_user(tx, site.user_id, "admin")
    assert not await site.is_active(token)


async def test_in_3_tokens_of_a_disabled_client_are_inactive(site):
    token = await site.machine_token()
    assert await site.is_active(token)
    settings = site.parts.settings
    administration = Administration(site.parts.database, Limits(settings.issuer), site.parts.audit)
    await administration.disable("machine")
    site.parts.registry.invalidate("machine")
    assert not await site.is_active(token)


async def test_in_4_a_modified_token_is_not_accepted(site):
    _, token = await site.sign_in()
    head, body, signature = token.split(".")
    for mutated in (
        token[:-1],
        token + "A",
        token + "=",
        f"{head}.{body}.{signature}=",
        f"{head}.{body}.{signature.swapcase()}",
        f"{head}.{body[:-1]}.{signature}",
        f"{head}=.{body}.{signature}",
        f" {token}",
        f"{token} ",
        token.upper(),
    ):
        answer = await answer_for(site, mutated)
        assert (answer.status_code, answer.content) == (200, INACTIVE), mutated


async def test_with_both_stores_away_the_answer_is_neither_yes_nor_no():
    async with private_pair() as pair:
        await migrate(pair.postgres_url)
        async with protocol(pair.postgres_url, pair.redis_url) as site:
            _, token = await site.sign_in()
            assert await site.is_active(token)
            pair.valkey.kill()
            assert await site.is_active(token)
            pair.postgres.kill()
            answer = await answer_for(site, token)
            assert answer.status_code == 503
            assert answer.json()["error"] == "temporarily_unavailable"
            assert int(answer.headers["retry-after"]) >= 1
            assert (await answer_for(site, "garbage")).content == INACTIVE


def _claims(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def _head(token):
    return json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
