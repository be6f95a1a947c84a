"""RV-1 to RV-3: POST /oauth2/revoke."""

import pytest

from keyturn.db.migrate import migrate
from keyturn.db.queries import Query
from support.protocol import protocol
from support.servers import private_pair

PATH = "/oauth2/revoke"
COUNT = Query("test", "", "select count(*) from revocations")


@pytest.fixture
async def site(keyed_database_url, redis_url):
    async with protocol(keyed_database_url, redis_url) as running:
        yield running


async def revocations(site):
    return (await site.parts.database.fetch_row(COUNT))["count"]


def is_empty_success(answer):
    return (
        answer.status_code == 200
        and answer.content == b""
        and (answer.headers["cache-control"] == "no-store")
    )


async def test_rv_1_an_own_refresh_token_ends_the_session_and_its_access_tokens(site):
    started, access_token = await site.sign_in()
    assert await site.is_active(access_token)
    assert is_empty_success(await site.post(PATH, "web", token=started.refresh_token))
    assert not await site.is_active(access_token)
    answer = await site.refresh("web", started.refresh_token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_rv_1_an_old_generation_ends_the_session_too_and_is_no_reuse(site):
    started, access_token = await site.sign_in()
    await site.parts.database.execute(
        Query("test", "", "update sessions set rotated_at = now() - interval '1 hour'")
    )
    first = await site.refresh("web", started.refresh_token)
    await site.parts.database.execute(
        Query("test", "", "update sessions set rotated_at = now() - interval '1 hour'")
    )
    await site.refresh("web", first.json()["refresh_token"])
    assert is_empty_success(await site.post(PATH, "web", token=started.refresh_token))
    assert not await site.is_active(access_token)
    row = await site.parts.database.fetch_row(
        Query("test", "", "select revoke_reason from sessions")
    )
    assert row["revoke_reason"] != "reuse"


async def test_rv_1_an_own_access_token_ends_alone(site):
    started, access_token = await site.sign_in()
    assert is_empty_success(await site.post(PATH, "web", token=access_token))
    assert not await site.is_active(access_token)
    answer = await site.refresh("web", started.refresh_token)
    assert answer.status_code == 200
    assert await site.is_active(answer.json()["access_token"])


async def test_rv_1_a_machine_revokes_its_own_token(site):
    token = await site.machine_token()
    assert await site.is_active(token)
    assert is_empty_success(await site.post(PATH, "machine", token=token))
    assert not await site.is_active(token)


@pytest.mark.parametrize("revoker", ["mobile", "machine", "api"])
async def test_rv_1_somebody_elses_tokens_live_on(site, revoker):
    started, access_token = await site.sign_in()
    for token in (started.refresh_token, access_token):
        assert is_empty_success(await site.post(PATH, revoker, token=token))
    assert await site.is_active(access_token)
    assert (await site.refresh("web", started.refresh_token)).status_code == 200
    assert await revocations(site) == 0


async def test_rv_1_garbage_gets_the_same_answer_and_changes_nothing(site):
    started, access_token = await site.sign_in()
    head, body, signature = access_token.split(".")
    for token in (
        "x",
        "krt1_" + "A" * 92,
        started.refresh_token[:-1],
        started.refresh_token + "A",
        access_token[:-4],
        f"{head}.{body}.",
        f"{head}.{body}.{signature[::-1]}",
        "ü" * 100,
        "a.b.c",
    ):
        assert is_empty_success(await site.post(PATH, "web", token=token)), token
    assert await site.is_active(access_token)
    assert await revocations(site) == 0


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", "id_token"])
async def test_rv_1_whatever_the_hint_says_the_token_is_found(site, hint):
    started, access_token = await site.sign_in()
    answer = await site.post(PATH, "web", token=access_token, token_type_hint=hint)
    assert is_empty_success(answer)
    assert not await site.is_active(access_token)
    answer = await site.post(PATH, "web", token=started.refresh_token, token_type_hint=hint)
    assert is_empty_success(answer)
    assert (await site.refresh("web", started.refresh_token)).status_code == 400


async def test_rv_1_an_unknown_hint_for_garbage_is_ignored(site):
    answer = await site.post(PATH, "web", token="x", token_type_hint="nonsense")
    assert is_empty_success(answer)


@pytest.mark.parametrize("kind", ["id_token", "logout_token", "authorization_code"])
async def test_rv_1_a_kind_that_cannot_be_revoked_is_said_to_be_so(site, kind):
    answer = await site.post(PATH, "web", token="eyJ.x.y", token_type_hint=kind)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_token_type")


@pytest.mark.parametrize("path", [PATH, "/oauth2/introspect"])
async def test_ca_4_a_confidential_client_must_prove_itself_here_too(site, path):
    answer = await site.caller.post(path, data={"client_id": "machine", "token": "x"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    answer = await site.caller.post(path, data={"token": "x"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_without_a_token_the_request_is_invalid(site):
    answer = await site.post(PATH, "web")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_rv_3_other_devices_and_other_clients_stay_signed_in(site):
    signed_in = [await site.sign_in("web"), await site.sign_in("web"), await site.sign_in("mobile")]
    started, access_token = signed_in.pop(0)
    await site.post(PATH, "web", token=started.refresh_token)
    assert not await site.is_active(access_token)
    for _, other in signed_in:
        assert await site.is_active(other)


async def test_rv_2_a_revocation_is_durable_before_it_is_answered():
    """PostgreSQL is away: 503. PostgreSQL dies right after the 200: still revoked."""
    async with private_pair() as pair:
        await migrate(pair.postgres_url)
        async with protocol(pair.postgres_url, pair.redis_url) as site:
            sessions = [await site.sign_in() for _ in range(3)]
            (first, access_token), (second, other), (_, third) = sessions
            assert is_empty_success(await site.post(PATH, "web", token=first.refresh_token))
            assert is_empty_success(await site.post(PATH, "web", token=third))
            pair.postgres.kill()
            await pair.valkey.restart()
            for token in (second.refresh_token, other):
                answer = await site.post(PATH, "web", token=token)
                assert answer.status_code == 503
                assert answer.json()["error"] == "temporarily_unavailable"
                assert int(answer.headers["retry-after"]) >= 1
            await pair.postgres.start()
            assert not await site.is_active(access_token)
            assert not await site.is_active(third)
            assert await site.is_active(other)
