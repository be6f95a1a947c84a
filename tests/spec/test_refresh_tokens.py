"""RT-1 to RT-9: refresh tokens at POST /oauth2/token (RFC 6749 section 6, RFC 9700 section 4.14).

A session rotates at most once per grace (the rotation paper departs from RFC 9700 there and says
so), so a test lets the last rotation lie further back instead of waiting.
"""

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.sessions.lifetimes import Lifetimes
from keyturn.sessions.refresh_token import RefreshToken
from support.api import APP, PASSWORD, claims_of, joined
from support.replicas import AUDIENCE

REFRESHES = "keyturn_refresh_rotations_total"
DAY = timedelta(days=1)


@pytest.fixture
async def device(api):
    """Somebody's only device."""
    return await api.sign_in(await api.person())


async def is_refused(api, answer, detail, status=400):
    assert await api.refusal(answer) == (status, "invalid_grant", f"session: {detail}")
    return True


async def test_RT_1_each_use_gives_a_new_token_and_the_old_one_dies_after_the_grace(api, device):
    seen = [device.refresh_token]
    for generation in range(1, 4):
        await api.age(device)
        answer = await api.refresh(device, seen[-1], on=generation % 2)
        assert answer.status_code == 200
        seen.append(answer.json()["refresh_token"])
        row = await api.row(device)
        assert (row["generation"], row["revoked_at"]) == (generation, None)
    assert len(set(seen)) == 4
    await api.age(device)
    assert await is_refused(api, await api.refresh(device, seen[-2]), "superseded token used")


async def test_RT_1_inside_the_grace_parent_and_child_lead_to_the_same_token(api, device):
    """Amended by the rotation paper: at most one rotation per grace."""
    first = (await api.refresh(device)).json()
    for presented in (device.refresh_token, first["refresh_token"]):
        for on in (0, 1):
            again = (await api.refresh(device, presented, on=on)).json()
            assert again["refresh_token"] == first["refresh_token"]
            assert again["access_token"] != first["access_token"]
    assert (await api.row(device))["generation"] == 1


async def test_RT_1_the_grandparent_is_dead_inside_the_grace_too(api, device):
    child = await api.rotated(device)
    grandchild = await api.rotated(child)
    assert (await api.refresh(child)).json()["refresh_token"] == grandchild.refresh_token
    assert await is_refused(api, await api.refresh(device), "superseded token used")


async def test_RT_1_a_client_with_grace_zero_rotates_on_every_use(api):
    client = await api.client(grace=0)
    device = await api.sign_in(await api.person(), client=client)
    seen = [device.refresh_token]
    for _ in range(3):
        seen.append((await api.refresh(device, seen[-1])).json()["refresh_token"])
    assert len(set(seen)) == 4
    assert await is_refused(api, await api.refresh(device, seen[-2]), "superseded token used")


async def test_RT_1_only_a_confidential_client_may_do_without_rotation(api):
    device = await api.seed("steady", await api.person())
    for _ in range(3):
        await api.age(device)
        assert (await api.refresh(device)).json()["refresh_token"] == device.refresh_token
    done = api.keyturn(
        "clients", "add", "rt-1", "--session-api", "--no-rotation", "--audience", AUDIENCE
    )
    assert done.returncode == 1
    assert "rotation" in done.stderr


@pytest.mark.parametrize("client", ["app", "backend"])
async def test_RT_2_reuse_after_the_grace_ends_the_session_and_is_audited(api, client):
    person = await api.person()
    began = await api.sign_in(person) if client == "app" else await api.seed(client, person)
    other = await api.sign_in(person, client="shop")
    stolen, device = began, await api.rotated(began, on=1)
    await api.age(device)
    before = api.metric(REFRESHES, result="reuse")
    ended = api.metric("keyturn_sessions_revoked_total", reason="reuse")
    assert await is_refused(api, await api.refresh(stolen), "superseded token used")
    row = await api.row(device)
    assert row["revoke_reason"] == "reuse"
    assert api.metric(REFRESHES, result="reuse") == before + 1
    assert api.metric("keyturn_sessions_revoked_total", reason="reuse") == ended + 1
    (event,) = await api.events("refresh_reuse", session_id=device.session_id)
    assert (event["user_id"], event["client_id"]) == (person.id, client)
    for on in (0, 1):
        for token in (device, stolen):
            assert await is_refused(api, await api.refresh(token, on=on), "revoked")
        assert await api.goes_inactive(device.access_token, on=on)
    assert (await api.refresh(other)).status_code == 200


@pytest.mark.parametrize("generations", [2, 5])
async def test_RT_2_an_ancestor_of_any_age_is_recognised(api, device, generations):
    current = device
    for _ in range(generations):
        current = await api.rotated(current)
    await api.age(current)
    assert await is_refused(api, await api.refresh(device), "superseded token used")
    assert (await api.row(device))["revoke_reason"] == "reuse"


async def test_RT_2_what_was_never_ours_ends_nothing(api, device):
    """A tag by the right key over another secret: an alarm for the operator, no verdict."""
    current = await api.rotated(device)
    codec = api.operator.codec
    token = codec.decode(current.refresh_token, "app")
    before = api.metric(REFRESHES, result="alarm")
    for generation in (0, 1, 2, 7):
        forged = RefreshToken(token.key_id, token.session_id, generation, bytes(32))
        text = codec.encode(forged, "app")
        assert await is_refused(api, await api.refresh(current, text), "alarm")
    assert api.metric(REFRESHES, result="alarm") == before + 4
    assert (await api.row(device))["revoked_at"] is None
    await api.age(current)
    assert (await api.refresh(current)).status_code == 200


@pytest.mark.parametrize("thief", ["shop", "backend", "steady"])
async def test_RT_3_another_clients_token_is_rubbish_and_nothing_changes(api, device, thief):
    answer = await api.refresh(replace(device, client_id=thief))
    assert await api.refusal(answer) == (400, "invalid_grant", "refresh token: bad tag")
    row = await api.row(device)
    assert (row["generation"], row["revoked_at"]) == (0, None)
    assert (await api.refresh(device)).status_code == 200


async def test_RT_3_at_the_session_api_too(api, device):
    for path in ("refresh", "logout-all", "reauthenticate", "password"):
        body = device.credential | {
            "reauthenticate": {"password": PASSWORD},
            "password": {"newPassword": PASSWORD + "!"},
        }.get(path, {})
        answer = await api.post(f"/auth/{path}", body, client="shop")
        assert await api.refusal(answer) == (401, "invalid_grant", "refresh token: bad tag")
    assert (await api.post("/auth/logout", device.credential, client="shop")).status_code == 204
    assert (await api.row(device))["revoked_at"] is None


@pytest.mark.parametrize(
    ("client_id", "secret", "detail"),
    [
        ("backend", "kts_wrong-wrong-wrong-wrong-wrong-1", "client: wrong secret"),
        ("nobody", "kts_wrong-wrong-wrong-wrong-wrong-1", "client: unknown"),
        ("backend", None, "client: registered for client_secret_basic, not none"),
    ],
)
async def test_RT_4_nothing_is_decided_before_the_client_is_authenticated(
    api, client_id, secret, detail
):
    """An old token without the client's secret: neither a reuse verdict nor a rotation."""
    began = await api.seed("backend", await api.person())
    device = await api.rotated(began)
    await api.age(device)
    fields = {"grant_type": "refresh_token", "client_id": client_id}
    auth = (client_id, secret) if secret else None
    for token in (began.refresh_token, device.refresh_token):
        answer = await api.callers[0].post(
            "/oauth2/token", data={**fields, "refresh_token": token}, auth=auth
        )
        assert await api.refusal(answer) == (401, "invalid_client", detail)
    row = await api.row(device)
    assert (row["generation"], row["revoked_at"]) == (1, None)
    assert (await api.refresh(device)).status_code == 200


async def test_RT_4_an_old_token_by_another_client_ends_nothing(api, device):
    current = await api.rotated(device)
    await api.age(current)
    for thief in ("shop", "backend"):
        answer = await api.refresh(replace(device, client_id=thief))
        assert await api.refusal(answer) == (400, "invalid_grant", "refresh token: bad tag")
    assert (await api.row(device))["revoked_at"] is None
    assert (await api.refresh(current)).status_code == 200


async def test_RT_5_a_subset_is_given_more_is_not_and_narrowing_does_not_stick(api, device):
    narrow = await api.refresh(device, scope="orders.read")
    assert narrow.json()["scope"] == "orders.read"
    current = replace(device, refresh_token=narrow.json()["refresh_token"])
    for in_grace in (True, False):
        if not in_grace:
            await api.age(current)
        answer = await api.refresh(current, scope="orders.read orders.admin")
        refusal = (400, "invalid_scope", "scope: more than was granted")
        assert await api.refusal(answer) == refusal
    assert (await api.row(device))["generation"] == 1
    wide = await api.refresh(current)
    assert wide.json()["scope"] == "orders.read orders.write"
    assert claims_of(wide.json()["access_token"])["scope"] == "orders.read orders.write"


async def refreshed(api, device, on):
    """Ask as an app does: a busy machine sheds some, and they come again with the same token."""
    async with asyncio.timeout(30):
        while (answer := await api.refresh(device, on=on)).status_code == 503:
            await asyncio.sleep(0.1)
    return answer


async def test_RT_6_a_hundred_at_once_get_one_child_and_one_lineage_goes_on(api, device):
    before = api.metric(REFRESHES, result="rotated")
    answers = await asyncio.gather(*(refreshed(api, device, on=n % 2) for n in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    children = {answer.json()["refresh_token"] for answer in answers}
    assert len(children) == 1
    assert api.metric(REFRESHES, result="rotated") == before + 1
    assert len({answer.json()["access_token"] for answer in answers}) == 100
    current = replace(device, refresh_token=children.pop())
    for generation in range(2, 5):
        current = await api.rotated(current, on=generation % 2)
        assert (await api.row(device))["generation"] == generation
    await api.age(current)
    assert await is_refused(api, await api.refresh(device), "superseded token used")
    assert await is_refused(api, await api.refresh(current), "revoked")


async def test_RT_6_with_grace_zero_exactly_one_of_many_rotates_and_the_others_are_reuse(api):
    """Grace 0 has no "at once": the strictest reading of RFC 9700, for who asks for it."""
    client = await api.client(grace=0)
    device = await api.sign_in(await api.person(), client=client)
    answers = await asyncio.gather(*(api.refresh(device, on=n % 2) for n in range(10)))
    given = [answer.json()["refresh_token"] for answer in answers if answer.is_success]
    assert len(set(given)) == 1
    assert {answer.status_code for answer in answers} <= {200, 400}
    row = await api.row(device)
    assert (row["generation"], row["revoke_reason"]) == (1, "reuse")


async def test_RT_7_an_unused_session_ends_and_use_keeps_it(api):
    client = await api.client(idle_lifetime=3600, absolute_lifetime=7200)
    device = await api.sign_in(await api.person(), client=client)
    await api.set(device, "idle_expires_at = now() + interval '1 minute'")
    current = await api.rotated(device)
    row = await api.row(device)
    assert row["idle_expires_at"] - row["rotated_at"] == timedelta(hours=1)
    await api.set(device, "idle_expires_at = now() - interval '1 millisecond'")
    for past in (0, 60):
        await api.age(device, past)
        for on in (0, 1):
            for token in (current, device):
                assert await is_refused(api, await api.refresh(token, on=on), "expired")
    assert (await api.row(device))["generation"] == 1


async def test_RT_7_rotation_never_moves_the_absolute_end(api):
    client = await api.client(idle_lifetime=3600, absolute_lifetime=7200)
    device = await api.sign_in(await api.person(), client=client)
    born = await api.row(device)
    assert born["expires_at"] - born["created_at"] == timedelta(hours=2)
    current = device
    for _ in range(3):
        current = await api.rotated(current)
        assert (await api.row(device))["expires_at"] == born["expires_at"]
    await api.set(device, "expires_at = now() + interval '5 minutes'")
    current = await api.rotated(current)
    row = await api.row(device)
    assert row["idle_expires_at"] == row["expires_at"]
    claims = claims_of(current.access_token)
    assert claims["exp"] <= row["expires_at"].timestamp()
    await api.set(device, "expires_at = now() - interval '1 millisecond'")
    for past in (0, 60):
        await api.age(device, past)
        assert await is_refused(api, await api.refresh(current), "expired")


async def test_RT_7_the_end_is_written_in_the_token_too(api):
    """Even a restored backup cannot bring a session back that its id says is over."""
    over = Lifetimes(absolute=-2 * DAY, idle=DAY, remembered=None)
    device = await api.seed("app", await api.person(), lifetimes=over)
    await api.set(
        device, "expires_at = now() + interval '1 day', idle_expires_at = now() + interval '1 day'"
    )
    assert await is_refused(api, await api.refresh(device), "expired by its id")
    assert (await api.row(device))["generation"] == 0


async def test_RT_7_both_ends_survive_a_restart(api, fresh_process):
    client = await api.client(idle_lifetime=3600, absolute_lifetime=7200)
    idle, over, live = [await api.sign_in(await api.person(), client=client) for _ in range(3)]
    await api.set(idle, "idle_expires_at = now()")
    await api.set(over, "expires_at = now()")
    before = await api.row(live)
    async with joined(api, fresh_process) as restarted:
        await restarted.settled()  # behind a pooler it polls: the client is younger than it
        for device in (idle, over):
            assert await is_refused(restarted, await restarted.refresh(device), "expired")
        assert (await restarted.refresh(live)).status_code == 200
    after = await api.row(live)
    assert after["expires_at"] == before["expires_at"]
    assert after["generation"] == 1


async def test_RT_7_a_database_clock_that_stepped_back_signs_nobody_out(api, device):
    """The last rotation lies in the future: the parent is still answered with its child."""
    current = await api.rotated(device)
    await api.set(device, "rotated_at = now() + interval '1 hour'")
    answer = await api.refresh(device)
    assert answer.json()["refresh_token"] == current.refresh_token
    following = await api.refresh(current)
    assert following.status_code == 200
    assert following.json()["refresh_token"] != current.refresh_token
    row = await api.row(device)
    assert row["generation"] == 2
    assert abs(row["rotated_at"] - datetime.now(UTC)) < timedelta(minutes=1)


async def test_RT_7_an_ended_session_is_not_brought_back_in_the_same_second(api, device):
    """Replay right after logout, inside the grace: current, parent and their child."""
    current = await api.rotated(device)
    assert (await api.post("/auth/logout", current.credential)).status_code == 204
    codec = api.operator.codec
    child = codec.encode(codec.child(codec.decode(current.refresh_token, "app")), "app")
    for on in (0, 1):
        for token in (current.refresh_token, device.refresh_token, child):
            assert await is_refused(api, await api.refresh(device, token, on=on), "revoked")


@pytest.mark.parametrize("change", ["disable", "delete", "set_password", "logout_everywhere"])
async def test_RT_8_whatever_ends_the_sessions_of_a_user_ends_refreshes(api, change):
    person = await api.person()
    device = await api.sign_in(person)
    arguments = (PASSWORD + "!",) if change == "set_password" else ()
    await getattr(api.operator.accounts, change)(person.id, *arguments)
    for on in (0, 1):
        assert await is_refused(api, await api.refresh(device, on=on), "revoked")
    if change == "disable":
        await api.operator.accounts.enable(person.id)
        assert await is_refused(api, await api.refresh(device), "revoked")


async def test_RT_8_a_client_that_is_closed_or_lost_the_grant(api):
    """Amended by the rotation paper: `invalid_client`, for who asks is decided first."""
    client = await api.client()
    device = await api.sign_in(await api.person(), client=client)
    await api.redefine(client, grant_types=[])
    refusal = await api.refusal(await api.refresh(device))
    assert refusal == (400, "unauthorized_client", "grant_type: not one of this client's")
    await api.redefine(client)
    await api.clients.disable(client)
    await api.settled()
    assert await api.refusal(await api.refresh(device)) == (
        401,
        "invalid_client",
        "client: disabled",
    )
    assert (await api.row(device))["generation"] == 0


async def test_RT_8_scopes_and_resources_are_cut_to_what_the_client_may_have_now(api):
    client = await api.client()
    device = await api.sign_in(await api.person(), client=client)
    await api.redefine(client, scopes=["orders.write"])
    given = (await api.refresh(device)).json()
    assert given["scope"] == claims_of(given["access_token"])["scope"] == "orders.write"
    await api.age(device)
    refusal = await api.refusal(
        await api.refresh(device, given["refresh_token"], scope="orders.read")
    )
    assert refusal == (400, "invalid_scope", "scope: more than was granted")


async def test_RT_8_a_session_whose_only_resource_is_gone_gives_nothing(api):
    client = await api.client()
    device = await api.seed(client, await api.person(), audiences=(AUDIENCE,))
    await api.redefine(client, audiences=["https://new.example.com"])
    refusal = await api.refusal(await api.refresh(device))
    assert refusal == (400, "invalid_target", "resource: not granted")
    await api.redefine(client, APP)
    assert (await api.refresh(device)).status_code == 200


async def test_RT_8_the_session_must_be_there(api, device):
    await api.sql.execute("delete from sessions where id = $1", device.session_id)
    assert await is_refused(api, await api.refresh(device), "unknown")


async def test_a_session_bound_to_a_key_needs_a_proof_at_every_door(api, device):
    """Without one nothing is decided or changed."""
    current = await api.rotated(device)
    await api.age(current)
    await api.set(device, "dpop_jkt = 'thumbprint'")
    refusal = (400, "invalid_dpop_proof", "session: bound to another key")
    for token in (current, device):
        assert await api.refusal(await api.refresh(token)) == refusal
        assert await api.refusal(await api.post("/auth/refresh", token.credential)) == refusal
        assert await api.refusal(await api.post("/auth/logout-all", token.credential)) == refusal
    row = await api.row(device)
    assert (row["generation"], row["revoked_at"]) == (1, None)


async def test_RT_9_a_token_is_plain_text_with_a_long_secret_and_no_jwt(api):
    person = await api.person()
    devices = [await api.sign_in(person) for _ in range(3)]
    secrets = set()
    for device in devices:
        token = device.refresh_token
        assert len(token) == 97
        assert token.startswith("krt1_")
        assert set(token) <= {chr(code) for code in range(0x21, 0x7F)}
        assert "." not in token
        raw = base64.urlsafe_b64decode(token[5:])
        secrets.add(raw[21:53])
    assert len(secrets) == 3
    assert all(len(set(secret)) > 16 for secret in secrets)


async def test_RT_9_the_database_holds_only_hashes(api, device):
    tokens = [device.refresh_token, (await api.rotated(device)).refresh_token]
    dump = await _dump(api)
    for token in tokens:
        raw = base64.urlsafe_b64decode(token[5:])
        for secret in (raw, raw[21:53], token.encode()):
            for spelling in (secret.hex(), base64.b64encode(secret).decode()[:-2]):
                assert spelling not in dump
        assert token not in dump
        assert token[31:] not in dump
    assert (await api.row(device))["token_hash"].hex() in dump


async def test_RT_9_any_other_text_is_malformed_and_never_an_error(api, device):
    token = device.refresh_token
    for text, detail in (
        (token[:-1], "malformed"),
        (token + "A", "malformed"),
        (token + "=", "malformed"),
        (token.replace("krt1_", "krt2_"), "malformed"),
        (token[5:], "malformed"),
        (token.upper(), "malformed"),
        ("x" * 5000, "malformed"),
        ("ü" * 97, "malformed"),
        (token[:-1] + ("A" if token[-1] != "A" else "Q"), "bad tag"),
        ("krt1_" + token[5:].swapcase(), "unknown key id"),
        ("krt1_" + "A" * 92, "unknown key id"),
        ("krt1_" + "AQ" + "A" * 90, "bad tag"),
    ):
        refusal = await api.refusal(await api.refresh(device, text))
        assert refusal[:2] == (400, "invalid_grant"), text
        assert refusal[2] in {f"refresh token: {detail}", "refresh token: bad tag"}, text
    assert (await api.refresh(device)).status_code == 200


async def _dump(api):
    """Every table, as text; byte strings in hexadecimal, as pg_dump writes them."""
    tables = await api.sql.fetch(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema')"
    )
    parts = []
    for table in tables:
        rows = await api.sql.fetch(f"select t::text as line from {table['name']} t")
        parts += [row["line"] for row in rows]
    return "\n".join(parts)
