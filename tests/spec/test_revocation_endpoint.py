"""RV-1 to RV-4: POST /oauth2/revoke (RFC 7009), and what else ends sessions."""

import time
from dataclasses import replace

import pytest

from support.api import PASSWORD

REVOKE = "/oauth2/revoke"
GONE = (400, "invalid_grant", "session: revoked")


@pytest.fixture
async def device(api):
    """Somebody's only device."""
    return await api.sign_in(await api.person())


def is_done(answer):
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["cache-control"] == "no-store"
    return True


async def revocations(api, device):
    return await api.sql.fetch("select * from revocations where id = $1", str(device.session_id))


async def test_RV_1_an_own_refresh_token_ends_the_session_and_its_access_tokens(api, device):
    assert is_done(await api.form(REVOKE, "app", token=device.refresh_token))
    for on in (0, 1):
        assert await api.refusal(await api.refresh(device, on=on)) == GONE
        assert await api.goes_inactive(device.access_token, on=on)
        answer = await api.get("/auth/me", on=on, headers=device.bearer)
        assert await api.refusal(answer) == (401, "invalid_token", "revoked")
    assert (await api.row(device))["revoke_reason"] == "logout"
    assert is_done(await api.form(REVOKE, "app", token=device.refresh_token))


@pytest.mark.parametrize("steps", [1, 3])
async def test_RV_1_any_generation_will_do_and_is_no_reuse(api, device, steps):
    """Whoever gives a token up means it, also with an old one."""
    current = device
    for _ in range(steps):
        current = await api.rotated(current)
    await api.age(current)
    assert is_done(await api.form(REVOKE, "app", token=device.refresh_token))
    assert (await api.row(device))["revoke_reason"] == "logout"
    assert await api.refusal(await api.refresh(current)) == GONE


async def test_RV_1_an_own_access_token_ends_alone(api, device):
    other = (await api.refresh(device)).json()["access_token"]
    assert is_done(await api.form(REVOKE, "app", token=device.access_token))
    for on in (0, 1):
        assert await api.goes_inactive(device.access_token, on=on)
        assert await api.is_active(other, on=on)
    assert (await api.refresh(device)).status_code == 200
    assert (await api.row(device))["revoked_at"] is None


async def test_RV_1_a_machine_revokes_its_own(api):
    tokens = [
        (await api.token("machine", grant_type="client_credentials")).json()["access_token"]
        for _ in range(2)
    ]
    assert is_done(await api.form(REVOKE, "machine", token=tokens[0]))
    assert [await api.is_active(one) for one in tokens] == [False, True]


@pytest.mark.parametrize("revoker", ["shop", "machine", "reader"])
async def test_RV_1_somebody_elses_tokens_live_on(api, device, revoker):
    for token in (device.refresh_token, device.access_token):
        assert is_done(await api.form(REVOKE, revoker, token=token))
    assert await api.is_active(device.access_token)
    assert (await api.refresh(device)).status_code == 200
    assert await revocations(api, device) == []


async def test_RV_1_garbage_gets_the_same_answer_and_changes_nothing(api, device):
    head, body, signature = device.access_token.split(".")
    for token in (
        "x",
        "krt1_" + "A" * 92,
        device.refresh_token[:-1],
        device.refresh_token + "A",
        device.access_token[:-4],
        f"{head}.{body}.",
        f"{head}.{body}.{signature[::-1]}",
        "ü" * 100,
        "a.b.c",
        "." * 4000,
    ):
        assert is_done(await api.form(REVOKE, "app", token=token)), token
    assert await api.is_active(device.access_token)
    assert (await api.row(device))["revoked_at"] is None
    assert await revocations(api, device) == []


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", "id_token"])
async def test_RV_1_whatever_the_hint_says_the_token_is_found(api, device, hint):
    for token in (device.access_token, device.refresh_token):
        assert is_done(await api.form(REVOKE, "app", token=token, token_type_hint=hint))
        assert await api.goes_inactive(device.access_token)
    assert await api.refusal(await api.refresh(device)) == GONE


@pytest.mark.parametrize("kind", ["id_token", "logout_token", "authorization_code"])
async def test_RV_1_a_kind_that_cannot_be_revoked_is_said_to_be_so(api, kind):
    answer = await api.form(REVOKE, "app", token="eyJ.x.y", token_type_hint=kind)
    detail = "token_type_hint: a kind that cannot be revoked"
    assert await api.refusal(answer) == (400, "unsupported_token_type", detail)
    assert is_done(await api.form(REVOKE, "app", token="eyJ.x.y", token_type_hint="nonsense"))


async def test_RV_1_the_client_is_authenticated_before_anything_ends(api):
    device = await api.seed("backend", await api.person())
    wrong = ("backend", "kts_wrong-wrong-wrong-wrong-wrong-1")
    answer = await api.callers[0].post(REVOKE, data={"token": device.refresh_token}, auth=wrong)
    assert await api.refusal(answer) == (401, "invalid_client", "client: wrong secret")
    answer = await api.callers[0].post(REVOKE, data={"token": device.refresh_token})
    assert await api.refusal(answer) == (401, "invalid_client", "client: not named")
    assert (await api.row(device))["revoked_at"] is None
    answer = await api.form(REVOKE, "backend", token="")
    assert await api.refusal(answer) == (400, "invalid_request", "token: missing")
    answer = await api.callers[0].get(REVOKE)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_RV_2_a_revocation_is_durable_before_it_is_answered(outage):
    """PostgreSQL is killed right after the 200: still revoked. While it is away: 503, never 200."""
    api, pair = outage
    person = await api.person()
    ended, kept = [await api.sign_in(person) for _ in range(2)]
    assert is_done(await api.form(REVOKE, "app", token=ended.refresh_token))
    pair.postgres.kill()
    try:
        for token in (kept.refresh_token, kept.access_token):
            answer = await api.form(REVOKE, "app", token=token)
            status, error, _detail = await api.refusal(answer)
            assert (status, error) == (503, "temporarily_unavailable")
        await pair.valkey.restart()
    finally:
        await pair.postgres.start()
    assert await _refreshed(api, kept) == 200
    assert await api.refusal(await api.refresh(ended)) == GONE
    assert await api.goes_inactive(ended.access_token)
    assert await api.is_active(kept.access_token)


async def test_RV_3_other_devices_and_other_clients_stay_signed_in(api):
    person = await api.person()
    device, tablet = [await api.sign_in(person) for _ in range(2)]
    shop = await api.sign_in(person, client="shop")
    somebody_else = await api.sign_in(await api.person())
    assert is_done(await api.form(REVOKE, "app", token=device.refresh_token))
    for other in (tablet, shop, somebody_else):
        assert await api.is_active(other.access_token)
        assert (await api.refresh(other)).status_code == 200
    assert await api.refusal(await api.refresh(device)) == GONE


async def _operator(api, change, person, *arguments):
    await getattr(api.operator.accounts, change)(person.id, *arguments)


async def _disable(api, person, _device):
    await _operator(api, "disable", person)


async def _delete(api, person, _device):
    await _operator(api, "delete", person)


async def _reset(api, person, _device):
    await _operator(api, "set_password", person, PASSWORD + "!")


async def _change(api, _person, device):
    body = device.credential | {"newPassword": PASSWORD + "!"}
    assert (await api.post("/auth/password", body)).status_code == 204


async def _logout_all(api, _person, device):
    assert (await api.post("/auth/logout-all", device.credential)).status_code == 200


async def _logout_others(api, _person, device):
    body = device.credential | {"exceptCurrent": True}
    assert (await api.post("/auth/logout-all", body)).status_code == 200


@pytest.mark.parametrize(
    ("change", "reason", "keeps_own"),
    [
        (_disable, "admin", False),
        (_delete, "admin", False),
        (_reset, "password_change", False),
        (_change, "password_change", True),
        (_logout_all, "logout_all", False),
        (_logout_others, "logout_all", True),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value),
)
async def test_RV_4_sessions_end_at_once_on_every_replica(api, change, reason, keeps_own):
    """MFA changes come with MFA."""
    person = await api.person()
    own, tablet = [await api.sign_in(person) for _ in range(2)]
    shop = await api.sign_in(person, client="shop")
    bystander = await api.sign_in(await api.person())
    await change(api, person, own)
    ended = [tablet, shop] if keeps_own else [own, tablet, shop]
    for on in (0, 1):
        for device in ended:
            assert await api.refusal(await api.refresh(device, on=on)) == GONE
            assert await api.goes_inactive(device.access_token, on=on)
            answer = await api.get("/auth/me", on=on, headers=device.bearer)
            assert await api.refusal(answer) == (401, "invalid_token", "revoked")
    for device in ended:
        assert (await api.row(device))["revoke_reason"] == reason
    for device in (bystander, *([own] if keeps_own else [])):
        assert await api.is_active(device.access_token, on=1)
        assert (await api.refresh(device, on=1)).status_code == 200


async def test_RV_4_an_operator_ends_sessions_by_command(api):
    person = await api.person()
    device, other = [await api.sign_in(person) for _ in range(2)]
    done = api.keyturn("sessions", "revoke", "--session", str(device.session_id))
    assert done.returncode == 0, done.stderr
    assert await api.refusal(await api.refresh(device)) == GONE
    assert (await api.refresh(other)).status_code == 200


async def _refreshed(api, device):
    """Refresh until the database has come back."""
    deadline = time.monotonic() + 30
    while (answer := await api.refresh(replace(device))).status_code == 503:
        assert time.monotonic() < deadline
    return answer.status_code
