"""The session API's table, row by row: shapes, failures, lifetimes (README, Session API).

Cookies and `Origin` have rows of their own in `test_browser_rules`; here tokens travel in bodies.
"""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from support.api import APP, DEVICE, OTHER_AUDIENCE, PASSWORD, claims_of
from support.replicas import AUDIENCE

NEW_PASSWORD = "staple battery horse"
SUPERSEDED = (401, "invalid_grant", "session: superseded token used")
GONE = (401, "invalid_grant", "session: revoked")
NONE = (401, "invalid_grant", "session credential: none")
WEEK, MONTH, DAY = 7 * 86400, 30 * 86400, 86400
CREDENTIAL_CALLS = (
    ("POST", "/auth/refresh", {}),
    ("POST", "/auth/logout-all", {}),
    ("POST", "/auth/reauthenticate", {"password": PASSWORD}),
    ("POST", "/auth/password", {"newPassword": NEW_PASSWORD}),
    ("DELETE", "/auth/sessions/{id}", {}),
)
"""Everything a session credential is for, but logout, which takes any genuine one."""
CHALLENGE = 'Bearer realm="keyturn"'


@pytest.fixture
async def person(api):
    """Somebody with an account."""
    return await api.person()


@pytest.fixture
async def device(api, person):
    """Where they are signed in."""
    return await api.sign_in(person)


async def call(api, device, step, **more):
    """Make one call of `CREDENTIAL_CALLS` with the device's credential in the body."""
    method, path, members = step
    body = {**device.credential, **members}
    return await api.post(path.format(id=device.session_id), body, method=method, **more)


# -- POST /auth/login --------------------------------------------------------------------------


async def test_login_answers_tokens_and_the_person(api, person):
    answer = await api.login(person)
    assert answer.status_code == 200
    given = answer.json()
    assert set(given) == {
        *("accessToken", "tokenType", "expiresIn", "refreshToken", "refreshExpiresIn"),
        *("sessionId", "user"),
    }
    assert given["user"] == {"id": str(person.id), "email": person.email, "name": person.name}
    assert (given["tokenType"], given["expiresIn"]) == ("Bearer", 600)
    assert abs(given["refreshExpiresIn"] - WEEK) <= 1
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert "set-cookie" not in answer.headers
    claims = claims_of(given["accessToken"])
    assert claims["sub"] == str(person.id)
    assert claims["sid"] == given["sessionId"]
    assert claims["aud"] == [AUDIENCE, api.issuer]
    assert claims["acr"] == "urn:keyturn:acr:password"
    assert claims["amr"] == ["pwd"]
    assert claims["exp"] - claims["iat"] == 600
    assert not {"email", "name"} & set(claims)


async def test_login_gives_the_scopes_asked_for_and_no_others(api, person):
    for asked, granted in (("orders.read", "orders.read"), (None, "orders.read orders.write")):
        members = {} if asked is None else {"scope": asked}
        given = (await api.login(person, **members)).json()
        assert claims_of(given["accessToken"])["scope"] == granted
    answer = await api.login(person, scope="orders.read stock.read")
    detail = "scope: not allowed for this client"
    assert await api.refusal(answer) == (400, "invalid_scope", detail)


async def test_login_is_refused_alike_for_unknown_disabled_deleted_and_wrong(api):
    people = {name: await api.person() for name in ("disabled", "deleted", "wrong password")}
    await api.operator.accounts.disable(people["disabled"].id)
    await api.operator.accounts.delete(people["deleted"].id)
    people["wrong password"] = replace(people["wrong password"], password="wrong-wrong-wrong")
    people["unknown"] = replace(people["deleted"], email=f"{uuid4().hex}@example.com")
    seen = set()
    for reason, person in people.items():
        answer = await api.login(person)
        logged = "unknown" if reason == "deleted" else reason
        refusal = (401, "invalid_credentials", f"account: {logged}")
        assert await api.refusal(answer) == refusal
        assert answer.headers["www-authenticate"] == CHALLENGE
        own = {"date", "x-request-id"}
        body = {**answer.json(), "requestId": ""}
        seen.add((str(body), str([h for h in answer.headers.items() if h[0] not in own])))
    assert len(seen) == 1


async def test_login_takes_any_spelling_of_the_address(api, person):
    shouted = replace(person, email=f"  {person.email.upper()} ")
    assert (await api.login(shouted)).json()["user"]["email"] == person.email


async def test_login_is_throttled_alike_for_known_and_unknown_addresses(api, person):
    seen = []
    for email in (person.email, f"{uuid4().hex}@example.com"):
        guesser = replace(person, email=email, password="wrong-wrong-wrong")
        statuses = [(await api.login(guesser)).status_code for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        answer = await api.login(replace(guesser, password=PASSWORD))
        refusal = (429, "too_many_requests", "throttle: account")
        assert await api.refusal(answer) == refusal
        assert int(answer.headers["retry-after"]) >= 1
        seen.append({**answer.json(), "requestId": ""})
    assert seen[0] == seen[1]


@pytest.mark.parametrize("scope", [" ", "orders.read ", "orders.read  orders.write", "orders.réad"])
async def test_login_reads_scopes_by_the_grammar_of_the_protocol(api, person, scope):
    """A blank is not a wish for no scopes at all."""
    answer = await api.login(person, scope=scope)
    assert await api.refusal(answer) == (400, "invalid_scope", "scope: malformed")
    rows = await api.sql.fetchval("select count(*) from sessions where user_id = $1", person.id)
    assert rows == 0


@pytest.mark.parametrize(
    ("remember", "seconds", "stored"), [({}, WEEK, None), (True, MONTH, True), (False, DAY, False)]
)
async def test_how_long_a_sign_in_lasts_is_the_persons_choice(
    api, person, remember, seconds, stored
):
    members = {} if remember == {} else {"rememberMe": remember}
    device = await api.sign_in(person, **members)
    row = await api.row(device)
    assert row["expires_at"] - row["created_at"] == timedelta(seconds=seconds)
    assert row["idle_expires_at"] - row["created_at"] == timedelta(seconds=min(seconds, WEEK))
    assert row["remembered"] is stored
    left = (await api.post("/auth/refresh", device.credential)).json()["refreshExpiresIn"]
    assert abs(left - min(seconds, WEEK)) <= 1


async def test_a_clients_own_absolute_lifetime_is_the_ceiling(api, person):
    client = await api.client(absolute_lifetime=3600, idle_lifetime=600)
    for remember in (True, False):
        device = await api.sign_in(person, client=client, rememberMe=remember)
        row = await api.row(device)
        assert row["expires_at"] - row["created_at"] == timedelta(hours=1)
        assert row["idle_expires_at"] - row["created_at"] == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "json: email: missing; password: missing"),
        ({"email": "a@example.com", "password": PASSWORD, "rememberme": True}, "json: an unknown member"),
        ({"email": "a@example.com", "password": PASSWORD, "rememberMe": "yes"}, "json: rememberMe: bool_type"),
        ({"email": "a@example.com", "password": 12345678}, "json: password: string_type"),
        ({"email": "a@example.com", "password": PASSWORD, "transport": "header"}, "json: transport: literal_error"),
        ({"email": "a" * 1025, "password": PASSWORD}, "json: email: string_too_long"),
        ({"email": "a\0@example.com", "password": PASSWORD}, "json: email: string_pattern_mismatch"),
        ({"email": "a@example.com", "password": PASSWORD, "remember_me": True}, "json: an unknown member"),
    ],
    ids=["empty", "misspelt", "wrong type", "number", "transport", "long", "nul", "snake case"],
)  # fmt: skip
async def test_login_refuses_what_it_does_not_understand(api, body, detail):
    answer = await api.post("/auth/login", body)
    assert await api.refusal(answer) == (400, "invalid_request", detail)


async def test_login_refuses_json_that_is_not_one_object(api):
    headers = {"content-type": "application/json", "x-keyturn-client": "app"}
    for content in (
        b"[]",
        b'"x"',
        b"{",
        b'{"email":"a@example.com","email":"b@example.com","password":"x"}',
        b'{"email":"\xff","password":"x"}',
        b"[" * 5000,
    ):
        answer = await api.callers[0].post("/auth/login", content=content, headers=headers)
        detail = "json: not one object with each member once"
        assert await api.refusal(answer) == (400, "invalid_request", detail)


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None],
)
@pytest.mark.parametrize(
    "path", ["login", "refresh", "logout", "logout-all", "reauthenticate", "password"]
)
async def test_post_takes_json_only(api, device, path, kind):
    """A page of any origin can send those without asking first."""
    headers = {"x-keyturn-client": "app"} | ({"content-type": kind} if kind else {})
    content = json.dumps(device.credential).encode()
    answer = await api.callers[0].post(f"/auth/{path}", content=content, headers=headers)
    refusal = (415, "unsupported_media_type", "content-type: not application/json")
    assert await api.refusal(answer) == refusal
    assert (await api.row(device))["revoked_at"] is None


async def test_the_client_is_named_and_must_be_one_of_the_session_api(api, person):
    detail = "X-Keyturn-Client: unknown, disabled or not for the session API"
    for client in ("nobody", "machine", "reader", "backend"):
        answer = await api.login(person, client=client)
        assert await api.refusal(answer) == (401, "invalid_client", detail)
    answer = await api.login(person, client=None)
    detail = "X-Keyturn-Client: missing, and there is not exactly one client"
    assert await api.refusal(answer) == (400, "invalid_request", detail)


# -- POST /auth/refresh ------------------------------------------------------------------------


async def test_refresh_answers_the_child_and_a_fresh_access_token(api, device):
    answer = await api.post("/auth/refresh", device.credential)
    assert answer.status_code == 200
    given = answer.json()
    assert set(given) == {
        *("accessToken", "tokenType", "expiresIn", "refreshToken", "refreshExpiresIn"),
        "sessionId",
    }
    assert given["refreshToken"] != device.refresh_token
    assert given["accessToken"] != device.access_token
    assert given["sessionId"] == str(device.session_id)
    assert (given["tokenType"], given["expiresIn"]) == ("Bearer", 600)
    assert answer.headers["cache-control"] == "no-store"
    before, after = claims_of(device.access_token), claims_of(given["accessToken"])
    for name in ("sub", "sid", "aud", "scope", "auth_time", "amr", "client_id"):
        assert before[name] == after[name]
    assert before["jti"] != after["jti"]


async def test_refresh_and_the_protocols_door_share_one_lineage(api, device):
    there = (await api.refresh(device)).json()["refresh_token"]
    here = (await api.post("/auth/refresh", device.credential, on=1)).json()["refreshToken"]
    assert here == there


async def test_refresh_says_401_invalid_grant_whatever_is_wrong(api, person, device):
    current = await api.rotated(device)
    await api.age(current)
    expired = await api.sign_in(person)
    await api.set(expired, "idle_expires_at = now()")
    for token, reason in (
        (device.refresh_token, "session: superseded token used"),
        (current.refresh_token, "session: revoked"),
        (expired.refresh_token, "session: expired"),
        ("x", "refresh token: malformed"),
        ("krt1_" + "AQ" + "A" * 90, "refresh token: bad tag"),
    ):
        answer = await api.post("/auth/refresh", {"refreshToken": token})
        assert await api.refusal(answer) == (401, "invalid_grant", reason)
        assert answer.headers["www-authenticate"] == CHALLENGE
    answer = await api.post("/auth/refresh", {})
    assert await api.refusal(answer) == NONE


# -- POST /auth/logout -------------------------------------------------------------------------


async def test_logout_ends_this_session_only_and_again_is_no_error(api, person, device):
    other = await api.sign_in(person)
    for _ in range(2):
        answer = await api.post("/auth/logout", device.credential)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["cache-control"] == "no-store"
    assert (await api.row(device))["revoke_reason"] == "logout"
    assert await api.refusal(await api.post("/auth/refresh", device.credential)) == GONE
    assert await api.goes_inactive(device.access_token, on=1)
    assert (await api.post("/auth/refresh", other.credential)).status_code == 200


@pytest.mark.parametrize("steps", [1, 4])
async def test_logout_takes_any_genuine_generation_and_is_no_reuse(api, device, steps):
    current = device
    for _ in range(steps):
        current = await api.rotated(current)
    await api.age(current)
    assert (await api.post("/auth/logout", device.credential)).status_code == 204
    assert (await api.row(device))["revoke_reason"] == "logout"


async def test_logout_without_or_with_rubbish_is_204_and_changes_nothing(api, device):
    for body in ({}, {"refreshToken": "x"}, {"refreshToken": device.refresh_token[:-1] + "!"}):
        answer = await api.post("/auth/logout", body)
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.row(device))["revoked_at"] is None


# -- GET /auth/me ------------------------------------------------------------------------------


async def test_me_is_the_bearer(api, person, device):
    answer = await api.get("/auth/me", headers=device.bearer)
    assert answer.status_code == 200
    assert answer.json() == {"id": str(person.id), "email": person.email, "name": person.name}
    assert answer.headers["cache-control"] == "no-store"


async def test_me_refuses_everything_but_a_token_for_us(api, person, device):
    elsewhere = (await api.refresh(device, resource=AUDIENCE)).json()["access_token"]
    machine = (await api.token("machine", grant_type="client_credentials")).json()["access_token"]
    foreign = await api.seed("backend", person, audiences=(AUDIENCE, api.issuer))
    protocol = (await api.refresh(foreign)).json()["access_token"]
    for headers, detail in (
        ({}, "token: none, or more than one"),
        ({"authorization": "Basic x"}, "token: none, or more than one"),
        ({"authorization": "Bearer"}, "token: none, or more than one"),
        ([*device.bearer.items(), *device.bearer.items()], "token: none, or more than one"),
        ({"authorization": f"Bearer {elsewhere}"}, "aud: not for this audience"),
        ({"authorization": f"Bearer {machine}"}, "aud: not for this audience"),
        ({"authorization": f"Bearer {protocol}"}, "bearer: of a client that has no session API"),
    ):
        answer = await api.get("/auth/me", headers=headers)
        assert await api.refusal(answer) == (401, "invalid_token", detail)
        challenge = answer.headers["www-authenticate"]
        if headers in ({}, {"authorization": "Basic x"}):
            assert challenge == CHALLENGE, (
                "RFC 6750 section 3.1: nothing was shown, nothing is wrong"
            )
        else:
            assert challenge.startswith(f'{CHALLENGE}, error="invalid_token"')
    answer = await api.get("/auth/me", headers={"authorization": f"Bearer {device.refresh_token}"})
    assert (await api.refusal(answer))[:2] == (401, "invalid_token")


# -- GET /auth/sessions, DELETE /auth/sessions/{id} --------------------------------------------


async def test_sessions_lists_where_one_is_signed_in_the_latest_first(api, person, device):
    shop = await api.sign_in(person, client="shop", headers={"user-agent": "Telephone"})
    await api.sign_in(await api.person())
    ended, idle = [await api.sign_in(person) for _ in range(2)]
    await api.post("/auth/logout", ended.credential)
    await api.set(idle, "idle_expires_at = now()")
    answer = await api.get("/auth/sessions", headers=device.bearer)
    assert answer.status_code == 200
    assert set(answer.json()) == {"sessions"}
    second, first = answer.json()["sessions"][::-1]
    assert [first["id"], second["id"]] == [str(shop.session_id), str(device.session_id)]
    assert set(first) == {"id", "clientName", "device", "ip", "createdAt", "lastUsedAt", "current"}
    assert (first["clientName"], first["device"], first["current"]) == ("shop", "Telephone", False)
    assert (second["clientName"], second["device"]) == ("app", DEVICE)
    assert (second["ip"], second["current"]) == ("127.0.0.1", True)
    for line in (first, second):
        for moment in (line["createdAt"], line["lastUsedAt"]):
            assert abs(datetime.fromisoformat(moment) - datetime.now(UTC)) < timedelta(minutes=2)


async def test_sessions_tells_when_a_session_was_last_used(api, person, device):
    await api.set(device, "created_at = created_at - interval '1 h', rotated_at = rotated_at - interval '1 h', idle_expires_at = idle_expires_at - interval '1 h'")  # fmt: skip
    (before,) = (await api.get("/auth/sessions", headers=device.bearer)).json()["sessions"]
    assert before["lastUsedAt"] == before["createdAt"]
    await api.post("/auth/refresh", device.credential)
    (after,) = (await api.get("/auth/sessions", headers=device.bearer)).json()["sessions"]
    assert after["createdAt"] == before["createdAt"]
    used = datetime.fromisoformat(after["lastUsedAt"])
    assert used - datetime.fromisoformat(before["lastUsedAt"]) > timedelta(minutes=59)


async def test_sessions_needs_a_bearer_or_a_cookie(api):
    answer = await api.get("/auth/sessions", headers={"x-keyturn-client": "app"})
    assert await api.refusal(answer) == NONE
    answer = await api.get("/auth/sessions", headers={"authorization": "Bearer x"})
    assert (await api.refusal(answer))[:2] == (401, "invalid_token")


async def test_delete_ends_one_session_of_ones_own_with_the_credential_in_a_json_body(
    api, person, device
):
    other = await api.sign_in(person, client="shop")
    path = f"/auth/sessions/{other.session_id}"
    answer = await api.post(path, device.credential, method="DELETE")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await api.goes_inactive(other.access_token, on=1)
    assert (await api.row(other))["revoke_reason"] == "logout"
    assert (await api.row(device))["generation"] == 0
    answer = await api.post(path, device.credential, method="DELETE")
    assert await api.refusal(answer) == (404, "not_found", "session: none of this user")
    answer = await call(api, device, ("DELETE", "/auth/sessions/{id}", {}))
    assert answer.status_code == 204
    assert await api.refusal(await api.post("/auth/refresh", device.credential)) == GONE


async def test_delete_does_not_know_somebody_elses_session(api, device):
    other = await api.sign_in(await api.person())
    for wanted, detail in (
        (other.session_id, "session: none of this user"),
        (uuid4(), "session: none of this user"),
        ("not-an-id", "session: not an id"),
    ):
        answer = await api.post(f"/auth/sessions/{wanted}", device.credential, method="DELETE")
        assert await api.refusal(answer) == (404, "not_found", detail)
    assert (await api.row(other))["revoked_at"] is None


async def test_delete_does_not_take_a_bearer_token(api, device):
    """An access token has been shown to APIs: it must not end sessions."""
    answer = await api.callers[0].delete(
        f"/auth/sessions/{device.session_id}",
        headers={**device.bearer, "x-keyturn-client": "app"},
    )
    assert await api.refusal(answer) == NONE
    assert (await api.row(device))["revoked_at"] is None


# -- POST /auth/logout-all ---------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
async def test_logout_all_ends_every_session_or_every_other_one(api, person, device, keep):
    others = [await api.sign_in(person, client=client) for client in ("app", "shop")]
    bystander = await api.sign_in(await api.person())
    answer = await api.post(
        "/auth/logout-all", device.credential | ({"exceptCurrent": True} if keep else {})
    )
    assert (answer.status_code, answer.json()) == (200, {"ended": 2 if keep else 3})
    for other in others:
        assert await api.goes_inactive(other.access_token, on=1)
    own = await api.post("/auth/refresh", device.credential)
    assert own.status_code == (200 if keep else 401)
    assert (await api.row(bystander))["revoked_at"] is None
    assert (await api.login(person)).status_code == 200


async def test_logout_all_also_ends_a_sign_in_that_is_under_way(api, person, device):
    """A password that was proved before it starts no session after it: whoever commits last."""
    results = await asyncio.gather(
        *(api.login(person, on=n) for n in (0, 1)),
        api.post("/auth/logout-all", device.credential),
        *(api.login(person, on=n) for n in (0, 1)),
    )
    assert results[2].status_code == 200
    closed_at = await api.sql.fetchval("select valid_after from users where id = $1", person.id)
    live = await api.sql.fetch(
        "select auth_time from sessions where user_id = $1 and revoked_at is null", person.id
    )
    assert all(row["auth_time"] > closed_at for row in live)
    for answer in (*results[:2], *results[3:]):
        assert answer.status_code in {200, 401}


# -- POST /auth/reauthenticate, /auth/password -------------------------------------------------


async def test_reauthenticate_moves_auth_time_and_acr_and_later_refreshes_carry_them(
    api, person, device
):
    await api.set(device, "auth_time = auth_time - interval '10 minutes'")
    stale = claims_of((await api.post("/auth/refresh", device.credential)).json()["accessToken"])
    assert stale["acr"] == "urn:keyturn:acr:session"
    answer = await api.post(
        "/auth/reauthenticate", device.credential | {"password": PASSWORD}, on=1
    )
    assert answer.status_code == 200
    given = answer.json()
    assert set(given) == {"accessToken", "tokenType", "expiresIn", "sessionId"}
    fresh = claims_of(given["accessToken"])
    later = claims_of((await api.post("/auth/refresh", device.credential)).json()["accessToken"])
    for claims in (fresh, later):
        assert claims["acr"] == "urn:keyturn:acr:password"
        assert abs(claims["auth_time"] - time.time()) < 60
        assert claims["auth_time"] > stale["auth_time"]
        assert claims["amr"] == ["pwd"]
    row = await api.row(device)
    assert int(row["auth_time"].timestamp()) == fresh["auth_time"]
    assert row["generation"] == 1


async def test_reauthenticate_with_a_wrong_password_changes_nothing_and_is_throttled(
    api, person, device
):
    before = await api.row(device)
    body = device.credential | {"password": "wrong-wrong-wrong"}
    for _ in range(5):
        answer = await api.post("/auth/reauthenticate", body)
        refusal = (401, "invalid_credentials", "account: wrong password")
        assert await api.refusal(answer) == refusal
    answer = await api.post("/auth/reauthenticate", body)
    assert await api.refusal(answer) == (429, "too_many_requests", "throttle: account")
    after = await api.row(device)
    assert (after["auth_time"], after["revoked_at"]) == (before["auth_time"], None)


async def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(api, person, device):
    other = await api.sign_in(person, client="shop")
    answer = await api.post("/auth/password", device.credential | {"newPassword": NEW_PASSWORD})
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.row(other))["revoke_reason"] == "password_change"
    assert await api.goes_inactive(other.access_token, on=1)
    assert (await api.post("/auth/refresh", device.credential)).status_code == 200
    refusal = (401, "invalid_credentials", "account: wrong password")
    assert await api.refusal(await api.login(person)) == refusal
    assert (await api.login(replace(person, password=NEW_PASSWORD))).status_code == 200
    (event,) = await api.events("password_changed", user_id=person.id)
    assert json.loads(event["detail"]) == {"by": "user"}


@pytest.mark.parametrize("password", ["short", "x" * 129])
async def test_a_new_password_must_be_one(api, person, device, password):
    answer = await api.post("/auth/password", device.credential | {"newPassword": password})
    status, code, _detail = await api.refusal(answer)
    assert (status, code) == (400, "invalid_password")
    assert (await api.login(person)).status_code == 200


# -- what all session credentials have in common -----------------------------------------------


@pytest.mark.parametrize("step", CREDENTIAL_CALLS, ids=lambda step: step[1])
async def test_a_credential_works_after_the_access_token_has_expired(api, step):
    """It is the credential that counts: the access token is not even sent."""
    client = await api.client(access_token_lifetime=1)
    device = await api.sign_in(await api.person(), client=client)
    stale = {"authorization": "Bearer " + device.access_token[:-6] + "AAAAAA"}
    answer = await call(api, device, step, client=client, headers=stale)
    assert answer.status_code in {200, 204}, answer.text


@pytest.mark.parametrize("step", CREDENTIAL_CALLS[1:], ids=lambda step: step[1])
async def test_a_credential_is_checked_and_never_rotated(api, person, device, step):
    before = await api.row(device)
    answer = await call(api, device, step)
    assert answer.status_code in {200, 204}, answer.text
    after = await api.row(device)
    for column in ("generation", "token_hash", "rotated_at", "idle_expires_at"):
        assert before[column] == after[column]
    assert "refreshToken" not in answer.text


@pytest.mark.parametrize("step", CREDENTIAL_CALLS[1:], ids=lambda step: step[1])
@pytest.mark.parametrize("which", ["parent in the grace", "child that a commit lost"])
async def test_a_credential_is_good_wherever_a_refresh_would_be(api, device, step, which):
    """Cases 5 and 4 of the rotation paper; nothing is written for them."""
    if which == "parent in the grace":
        await api.refresh(device)
        presented = device
    else:
        codec = api.operator.codec
        child = codec.encode(codec.child(codec.decode(device.refresh_token, "app")), "app")
        presented = replace(device, refresh_token=child)
    before = await api.row(device)
    answer = await call(api, presented, step)
    assert answer.status_code in {200, 204}, answer.text
    assert (await api.row(device))["generation"] == before["generation"]


@pytest.mark.parametrize("step", CREDENTIAL_CALLS, ids=lambda step: step[1])
async def test_a_superseded_credential_ends_the_session(api, device, step):
    current = await api.rotated(device)
    await api.age(current)
    assert await api.refusal(await call(api, device, step)) == SUPERSEDED
    assert (await api.row(device))["revoke_reason"] == "reuse"
    assert await api.refusal(await call(api, current, step)) == GONE
    await api.events("refresh_reuse", session_id=device.session_id)


@pytest.mark.parametrize("step", CREDENTIAL_CALLS, ids=lambda step: step[1])
async def test_a_credential_is_demanded_and_a_bearer_token_is_none(api, device, step):
    method, path, members = step
    answer = await api.post(
        path.format(id=device.session_id), members, method=method, headers=device.bearer
    )
    assert await api.refusal(answer) == NONE
    assert (await api.row(device))["revoked_at"] is None


async def test_the_documents_of_the_api_name_every_path(api):
    answer = await api.get("/auth/openapi.json")
    assert set(answer.json()["paths"]) == {
        *("/auth/login", "/auth/refresh", "/auth/logout", "/auth/me", "/auth/sessions"),
        *("/auth/sessions/{session_id}", "/auth/logout-all", "/auth/reauthenticate"),
        "/auth/password",
    }
    for path in answer.json()["paths"]:
        wrong = await api.callers[0].put(path.replace("{session_id}", "x"))
        assert await api.refusal(wrong) == (405, "method_not_allowed", "router")


async def test_the_access_token_never_outlives_the_session(api):
    client = await api.client(absolute_lifetime=60, idle_lifetime=60)
    device = await api.sign_in(await api.person(), client=client)
    claims = claims_of(device.access_token)
    assert claims["exp"] <= (await api.row(device))["expires_at"].timestamp()
    assert claims["exp"] - claims["iat"] <= 60


async def test_members_of_the_user_are_copied_only_for_clients_that_list_them(api, person):
    client = await api.client(claims=["email", "name"], audiences=[OTHER_AUDIENCE])
    device = await api.sign_in(person, client=client)
    for token in (
        device.access_token,
        (await api.post("/auth/refresh", device.credential, client=client)).json()["accessToken"],
    ):
        claims = claims_of(token)
        assert (claims["email"], claims["name"]) == (person.email, person.name)
        assert claims["aud"] == [OTHER_AUDIENCE, api.issuer]
    assert APP["audiences"] == [AUDIENCE]
