"""The admin API as operators' programs use it: accounts, clients, sessions, keys, events."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from support.administering import READ, administered, problem
from support.api import APP, MACHINE, PASSWORD

NOBODY = "00000000-0000-4000-8000-000000000000"
FAILED = (412, "precondition_failed")


@pytest.fixture(scope="module")
async def admin(api):
    async with administered(api) as running:
        yield running


def etag(answer):
    return {"if-match": answer.headers["etag"]}


async def added(admin, **members):
    body = {"email": f"{uuid4().hex}@example.com", "name": "Grace Hopper", **members}
    answer = await admin.call("POST", "/users", body)
    assert answer.status_code == 201, answer.text
    return answer


async def registered(admin, raw=MACHINE, **changes):
    body = {**raw, "id": f"client-{uuid4().hex[:8]}", **changes}
    answer = await admin.call("POST", "/clients", body)
    assert answer.status_code == 201, answer.text
    return answer


# -- accounts ---------------------------------------------------------------------------------


async def test_an_account_is_added_shown_changed_and_erased(admin, api):
    made = await added(admin, password=PASSWORD, email_verified=True)
    user = made.json()
    path = f"/users/{user['id']}"
    shown = await admin.call("GET", path, token=READ)
    assert shown.json() == user
    assert shown.headers["etag"] == made.headers["etag"]
    assert (
        await api.post("/auth/login", {"email": user["email"], "password": PASSWORD})
    ).is_success
    changed = await admin.call("PATCH", path, {"name": None, "email": f"New.{user['email']}"},
                               headers=etag(made))  # fmt: skip
    assert changed.json() == {
        **user, "name": None, "email": f"New.{user['email']}", "email_verified": False,
        "ended": 0,
    }  # fmt: skip
    assert changed.headers["etag"] != made.headers["etag"]
    assert problem(await admin.call("DELETE", path, headers=etag(made))) == FAILED
    gone = await admin.call("DELETE", path, headers=etag(changed))
    assert (gone.status_code, gone.json()) == (200, {"ended": 1})
    assert problem(await admin.call("GET", path)) == (404, "not_found")
    again = await admin.call("POST", "/users", {"email": user["email"], "id": user["id"]})
    assert problem(again) == (409, "account_exists")
    await api.events("user_changed", actor=f"client:{admin.client_id}")


async def test_closing_an_account_ends_its_sessions_and_opening_it_brings_none_back(admin, api):
    person = await api.person()
    device = await api.sign_in(person)
    path = f"/users/{person.id}"
    shown = await admin.call("GET", path)
    closed = await admin.call("PATCH", path, {"disabled": True}, headers=etag(shown))
    assert closed.json()["disabled_at"]
    assert closed.json()["ended"] == 1
    assert (await api.login(person)).status_code == 401
    opened = await admin.call("PATCH", path, {"disabled": False}, headers=etag(closed))
    assert opened.json()["disabled_at"] is None
    assert (await api.refresh(device)).status_code == 400
    await api.events("user_disabled", user_id=person.id, actor=f"client:{admin.client_id}")
    await api.events("session_ended", user_id=person.id, actor=f"client:{admin.client_id}")


async def test_a_password_is_set_and_ends_every_session(admin, api):
    person = await api.person()
    await api.sign_in(person)
    answer = await admin.call(
        "POST", f"/users/{person.id}/password", {"password": "new " + PASSWORD}
    )
    assert (answer.status_code, answer.json()) == (200, {"ended": 1})
    assert (await api.login(person)).status_code == 401
    weak = await admin.call("POST", f"/users/{person.id}/password", {"password": "short"})
    assert problem(weak) == (400, "invalid_password")


async def test_somebody_is_signed_out_everywhere(admin, api):
    person = await api.person()
    first, _ = await api.sign_in(person), await api.sign_in(person)
    answer = await admin.call("POST", f"/users/{person.id}/end-sessions")
    assert answer.json() == {"ended": 2}
    assert (await api.refresh(first)).status_code == 400
    assert problem(await admin.call("POST", f"/users/{NOBODY}/end-sessions")) == (404, "not_found")


async def test_accounts_are_listed_by_page_each_once_and_found_by_address(admin):
    made = {(await added(admin)).json()["id"] for _ in range(5)}
    listed = [one["id"] for one in await admin.pages("/users", limit=2)]
    assert made <= set(listed)
    assert sorted(listed) == listed
    assert len(set(listed)) == len(listed)
    user = (await added(admin)).json()
    found = await admin.get("/users", params={"email": user["email"].upper()})
    assert found == {"items": [user], "next_cursor": None}
    nobody = await admin.get("/users", params={"email": "nobody@example.com"})
    assert nobody == {"items": [], "next_cursor": None}


async def test_an_address_that_is_taken_is_refused_in_any_spelling(admin):
    one, other = (await added(admin)), await added(admin)
    path = f"/users/{other.json()['id']}"
    body = {"email": one.json()["email"].upper()}
    assert problem(await admin.call("POST", "/users", body)) == (409, "account_exists")
    changed = await admin.call("PATCH", path, body, headers=etag(other))
    assert problem(changed) == (409, "account_exists")
    assert (await admin.call("GET", path)).json() == other.json()


# -- changes decided on what was read ----------------------------------------------------------


@pytest.mark.parametrize("precondition", ['"1"', "W/{etag}", "{bare}", '"', "*, x", '"1", {etag}'])
async def test_a_change_fits_only_what_was_read(admin, precondition):
    made = await added(admin)
    tag = made.headers["etag"]
    headers = {"if-match": precondition.format(etag=tag, bare=tag.strip('"'))}
    answer = await admin.call(
        "PATCH", f"/users/{made.json()['id']}", {"name": "X"}, headers=headers
    )
    if precondition in {"*, x", '"1", {etag}'}:
        assert answer.status_code == 200
    else:
        assert problem(answer) == FAILED


async def test_a_change_without_a_precondition_is_refused_before_anything_happens(admin):
    user = (await added(admin)).json()
    client = (await registered(admin)).json()
    required = (428, "precondition_required")
    assert problem(await admin.call("PATCH", f"/users/{user['id']}", {"name": "X"})) == required
    assert problem(await admin.call("DELETE", f"/users/{user['id']}")) == required
    path = f"/clients/{client['id']}"
    assert problem(await admin.call("PUT", path, client["definition"])) == required
    assert (await admin.get(f"/users/{user['id']}")) == user


async def test_of_many_changes_of_the_same_reading_one_happens(admin):
    made = await added(admin)
    path = f"/users/{made.json()['id']}"
    answers = await asyncio.gather(
        *(admin.call("PATCH", path, {"name": f"N{n}"}, headers=etag(made)) for n in range(12))
    )
    assert sorted(one.status_code for one in answers) == [200, *[412] * 11]
    (winner,) = (one for one in answers if one.status_code == 200)
    assert {**await admin.get(path), "ended": 0} == winner.json()


async def test_of_many_descriptions_of_the_same_reading_one_happens(admin):
    made = await registered(admin)
    path, definition = f"/clients/{made.json()['id']}", made.json()["definition"]
    answers = await asyncio.gather(
        *(admin.call("PUT", path, {**definition, "name": f"N{n}"}, headers=etag(made))
          for n in range(8))
    )  # fmt: skip
    assert sorted(one.status_code for one in answers) == [200, *[412] * 7]


# -- asking again ------------------------------------------------------------------------------


async def test_a_repeated_registration_is_answered_again_with_the_same_secret(admin, api):
    body = {**MACHINE, "id": f"client-{uuid4().hex[:8]}"}
    key = {"idempotency-key": uuid4().hex}
    first = await admin.call("POST", "/clients", body, headers=key)
    again = await admin.call("POST", "/clients", body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    secret = first.json()["client_secret"]
    assert len(secret) == len("kts_") + 43
    api.secrets[body["id"]] = secret
    await api.settled()
    token = await api.token(body["id"], grant_type="client_credentials")
    assert token.status_code == 200
    kept = await api.sql.fetch("select creations::text as row from creations")
    assert secret not in str(kept)
    # Once it is accepted no longer, it is not shown any more.
    await admin.call("POST", f"/clients/{body['id']}/rotate-secret", {"old_expires_in": 0})
    later = await admin.call("POST", "/clients", body, headers=key)
    assert (later.status_code, later.json()["client_secret"]) == (201, None)


async def test_a_key_belongs_to_one_request_of_one_caller(admin, api):
    key = {"idempotency-key": uuid4().hex}
    body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    made = await admin.call("POST", "/users", body, headers=key)
    assert made.status_code == 201
    for other in ({**body, "name": "X"}, {**body, "password": PASSWORD + "!"}):
        refused = await admin.call("POST", "/users", other, headers=key)
        assert problem(refused) == (422, "idempotency_key_reused")
    client = await admin.call("POST", "/clients", {**MACHINE, "id": "x"}, headers=key)
    assert problem(client) == (422, "idempotency_key_reused")
    async with administered(api) as somebody:
        theirs = await somebody.call("POST", "/users", body, headers=key)
        assert problem(theirs) == (409, "account_exists")
    again = await admin.call("POST", "/users", body, headers=key)
    assert (again.status_code, again.json()) == (201, made.json())
    await admin.call("DELETE", f"/users/{made.json()['id']}", headers={"if-match": "*"})
    assert problem(await admin.call("POST", "/users", body, headers=key)) == (404, "not_found")


async def test_of_many_with_one_key_one_makes_it_and_all_are_told(admin, api):
    key = {"idempotency-key": uuid4().hex}
    body = {"email": f"{uuid4().hex}@example.com"}
    answers = await asyncio.gather(
        *(admin.call("POST", "/users", body, headers=key) for _ in range(10))
    )
    assert {one.status_code for one in answers} == {201}
    (user_id,) = {one.json()["id"] for one in answers}
    assert sum("idempotency-replayed" not in one.headers for one in answers) == 1
    assert len(await api.events("user_added", user_id=UUID(user_id))) == 1


async def test_what_was_refused_may_be_sent_again_and_a_day_later_a_key_is_free(admin, api):
    key = {"idempotency-key": uuid4().hex}
    taken = (await added(admin)).json()["email"]
    body = {"email": taken}
    assert (await admin.call("POST", "/users", body, headers=key)).status_code == 409
    other = {"email": f"{uuid4().hex}@example.com"}
    assert (await admin.call("POST", "/users", other, headers=key)).status_code == 201
    await api.sql.execute("update creations set expires_at = now() - interval '1 second'")
    third = {"email": f"{uuid4().hex}@example.com"}
    assert (await admin.call("POST", "/users", third, headers=key)).status_code == 201


# -- clients -----------------------------------------------------------------------------------


async def test_a_client_is_described_anew_and_keeps_what_is_not_described(admin, api):
    made = await registered(admin)
    client = made.json()
    path = f"/clients/{client['id']}"
    assert client["definition"]["audiences"] == MACHINE["audiences"]
    definition = {**client["definition"], "name": "Another"}
    changed = await admin.call("PUT", path, definition, headers=etag(made))
    assert changed.json()["definition"] == definition
    assert changed.json()["secrets"] == [{"expires_at": None}]
    assert "client_secret" not in changed.json()
    for wrong in ({"id": "another"}, {"kind": "public", "grant_types": [], "introspects": []}):
        refused = await admin.call("PUT", path, {**definition, **wrong}, headers=etag(changed))
        assert refused.status_code == 400
        assert refused.json()["errors"]
    await api.events("client_changed", client_id=client["id"], actor=f"client:{admin.client_id}")
    nobody = await admin.call("PUT", "/clients/nobody", {**definition, "id": "nobody"},
                              headers=etag(changed))  # fmt: skip
    assert problem(nobody) == (404, "not_found")


async def test_a_description_that_makes_no_sense_is_refused_with_every_reason(admin):
    body = {**MACHINE, "id": "bad id", "scopes": ["a b"], "colour": "red"}
    refused = await admin.call("POST", "/clients", body)
    assert problem(refused) == (400, "invalid_request")
    told = {one["path"] for one in refused.json()["errors"]}
    assert told == {"id", "scopes[0]", ""}
    assert "colour" not in refused.text
    body = {**MACHINE, "id": "fine", "audiences": [], "scopes": ["keyturn.nothing"]}
    refused = await admin.call("POST", "/clients", body)
    assert problem(refused) == (400, "invalid_client_metadata")
    assert {one["path"] for one in refused.json()["errors"]} == {"audiences", "scopes"}


async def test_a_clients_secret_is_rotated_and_the_one_before_ended(admin, api):
    made = await registered(admin)
    client_id, first = made.json()["id"], made.json()["client_secret"]
    path = f"/clients/{client_id}"
    rotated = await admin.call("POST", f"{path}/rotate-secret", {}, headers=etag(made))
    second = rotated.json()["client_secret"]
    assert len(rotated.json()["secrets"]) == 2
    assert (
        problem(await admin.call("POST", f"{path}/rotate-secret", {}, headers=etag(made))) == FAILED
    )
    dropped = await admin.call("POST", f"{path}/drop-previous-secret", headers=etag(rotated))
    assert len(dropped.json()["secrets"]) == 1
    await api.settled()
    for secret, status in ((first, 401), (second, 200)):
        api.secrets[client_id] = secret
        answer = await api.token(client_id, grant_type="client_credentials")
        assert answer.status_code == status
    public = await registered(admin, APP)
    assert public.json()["client_secret"] is None
    refused = await admin.call("POST", f"/clients/{public.json()['id']}/rotate-secret", {})
    assert problem(refused) == (400, "invalid_client_metadata")


async def test_a_disabled_client_gets_nothing_until_it_is_opened_again(admin, api):
    made = await registered(admin)
    client_id = made.json()["id"]
    api.secrets[client_id] = made.json()["client_secret"]
    closed = await admin.call("POST", f"/clients/{client_id}/disable")
    assert closed.json()["disabled_at"]
    await api.settled()
    assert (await api.token(client_id, grant_type="client_credentials")).status_code == 401
    opened = await admin.call("POST", f"/clients/{client_id}/enable", headers=etag(closed))
    assert opened.json()["disabled_at"] is None
    await api.settled()
    assert (await api.token(client_id, grant_type="client_credentials")).status_code == 200
    listed = [one["id"] for one in await admin.pages("/clients", limit=3)]
    assert client_id in listed
    assert sorted(listed) == listed


# -- sessions ----------------------------------------------------------------------------------


async def test_sessions_are_listed_by_whose_they_are_shown_and_ended(admin, api):
    person = await api.person()
    mine = [await api.sign_in(person) for _ in range(3)]
    other = await api.sign_in(person, client="shop", headers={"origin": "https://shop.example.com"})
    ids = {str(one.session_id) for one in mine}
    params = {"user_id": str(person.id), "limit": 2}
    of_user = await admin.pages("/sessions", **params)
    assert {one["id"] for one in of_user} == {*ids, str(other.session_id)}
    of_both = await admin.pages("/sessions", **params, client_id="app")
    assert {one["id"] for one in of_both} == ids
    of_client = await admin.pages("/sessions", client_id="shop", limit=1)
    assert str(other.session_id) in {one["id"] for one in of_client}
    assert {one["client_id"] for one in of_client} == {"shop"}
    everybodys = {one["id"] for one in await admin.pages("/sessions", limit=200)}
    assert {*ids, str(other.session_id)} <= everybodys
    path = f"/sessions/{mine[0].session_id}"
    shown = await admin.get(path)
    assert shown == next(one for one in of_user if one["id"] == shown["id"])
    assert shown["user_id"] == str(person.id)
    assert (await admin.call("DELETE", path)).status_code == 204
    assert problem(await admin.call("DELETE", path)) == (404, "not_found")
    assert (await admin.get(path))["revoke_reason"] == "admin"
    assert (await api.refresh(mine[0])).status_code == 400
    assert len(await admin.pages("/sessions", **params)) == 3


async def test_sessions_end_by_user_by_client_and_from_before_a_time(admin, api):
    person, client_id = await api.person(), await api.client()
    device = await api.sign_in(person, client=client_id)
    kept = await api.sign_in(person)
    assert (await admin.call("POST", "/revoke-sessions", {"client_id": client_id})).json() == {
        "ended": 1
    }
    assert (await api.refresh(device)).status_code == 400
    assert (await api.refresh(kept)).status_code == 200
    past = {"before": (datetime.now(UTC) - timedelta(days=400)).isoformat()}
    assert (await admin.call("POST", "/revoke-sessions", past)).json() == {"ended": 0}
    ended = await admin.call("POST", "/revoke-sessions", {"user_id": str(person.id)})
    assert ended.json() == {"ended": 1}
    for wrong in ({}, {"user_id": str(person.id), "client_id": client_id}, {"before": "2026-01-01"},
                  {"before": 5}, {"user_id": None}):  # fmt: skip
        refused = await admin.call("POST", "/revoke-sessions", wrong)
        assert problem(refused) == (400, "invalid_request")
        assert refused.json()["errors"]


# -- keys --------------------------------------------------------------------------------------


async def test_keys_are_listed_by_their_public_halves_and_not_rotated_before_their_time(admin):
    keys = (await admin.get("/keys"))["items"]
    assert {one["state"] for one in keys} >= {"signing", "next"}
    for one in keys:
        assert set(one["public_jwk"]) == {"kty", "use", "alg", "kid", "n", "e"}
    refused = await admin.call("POST", "/keys/rotate", {})
    assert problem(refused) == (409, "key_not_ready")


# -- events ------------------------------------------------------------------------------------


async def test_events_are_listed_newest_first_filtered_and_by_page(admin, api):
    users = [(await added(admin)).json()["id"] for _ in range(3)]
    actor = f"client:{admin.client_id}"
    await api.events("user_added", user_id=UUID(users[-1]))
    listed = await admin.pages(
        "/audit-events", actor=actor, type="user_added,user_deleted", limit=2
    )
    assert [one["user_id"] for one in listed[:3]] == users[::-1]
    assert {one["actor"] for one in listed} == {actor}
    assert {one["type"] for one in listed} == {"user_added", "user_deleted"}
    one = (await admin.get("/audit-events", params={"user_id": users[0]}))["items"]
    assert [found["type"] for found in one] == ["user_added"]
    assert await admin.pages("/audit-events", user_id=users[0], result="failed") == []
    assert await admin.pages("/audit-events", user_id=users[0], until="2026-01-01T00:00:00Z") == []
    refused = await admin.call("GET", "/audit-events", params={"type": "user_made"})
    assert problem(refused) == (400, "invalid_request")


async def test_who_follows_the_trail_hears_of_everything_once(admin, api):
    follow = {"wait": 20, "type": "user_added", "actor": f"client:{admin.client_id}"}
    start = await admin.get("/audit-events", params={**follow, "wait": 0})
    assert start["items"] == []
    cursor, heard = start["next_cursor"], []
    made = [(await added(admin)).json()["id"] for _ in range(3)]
    while len(heard) < 3:
        page = await admin.get("/audit-events", params={**follow, "cursor": cursor})
        assert page["items"], "answered as soon as there is something"
        heard += [one["user_id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert sorted(heard) == sorted(made)
    waiting = asyncio.create_task(admin.get("/audit-events", params={**follow, "cursor": cursor}))
    late = (await added(admin)).json()["id"]
    assert [one["user_id"] for one in (await waiting)["items"]] == [late]


# -- what is sent wrong ------------------------------------------------------------------------


async def test_DS_6_a_cursor_is_ours_or_refused(admin):
    for _ in range(3):
        await added(admin)
    page = await admin.get("/users", params={"limit": 1})
    cursor = page["next_cursor"]
    changed = [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
               for at in range(0, len(cursor), 5)]  # fmt: skip
    bad = ["", "x", "' ; --", "%00", "\ud800".encode("utf-8", "surrogatepass").hex(), "A" * 2000,
           f"{cursor}A", cursor[:-2], *changed]  # fmt: skip
    for one in bad:
        answer = await admin.call("GET", "/users", params={"limit": 1, "cursor": one})
        assert problem(answer) == (400, "invalid_request"), one
    for path in ("/clients", "/sessions", "/audit-events", "/audit-events?wait=0"):
        glue = "&" if "?" in path else "?"
        foreign = await admin.call("GET", f"{path}{glue}cursor={cursor}")
        assert problem(foreign) == (400, "invalid_request"), path


ODD = ["' ; --", "\x00", "\ud800", "1e400", "-1", "\u202e", "a" * 5000, ""]


async def test_DS_6_odd_values_in_every_parameter_are_refused_and_break_nothing(admin):
    for one in await admin.operations():
        for parameter in one.said["parameters"]:
            if parameter["in"] == "header":
                continue
            for odd in ODD:
                value = quote(odd.encode("utf-8", "surrogatepass"), safe="")
                path, query = one.about_nothing, ""
                if parameter["in"] == "path":
                    path = one.path.replace("{" + parameter["name"] + "}", value)
                else:
                    query = f"?{parameter['name']}={value}"
                body = {} if one.method not in {"GET", "DELETE"} else None
                answer = await admin.call(one.method, path + query, body)
                assert answer.status_code < 500, (one.name, parameter["name"], odd, answer.text)


async def test_DS_6_odd_values_in_every_member_are_refused_and_break_nothing(admin):
    any_version = {"if-match": "*", "content-type": "application/json"}
    user, client = (await added(admin)).json(), (await registered(admin)).json()
    for one in await admin.operations():
        if "requestBody" not in one.said or one.name == "replaceClient":
            continue  # it reads what createClient reads
        path = one.path.replace("{user_id}", user["id"]).replace("{client_id}", client["id"])
        schema = one.said["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for member in await admin.members(schema.rpartition("/")[2]):
            for odd in ('"\' ; --"', '"\\u0000"', '"\\ud800"', "1e400", "null", '["\\ud800"]',
                        "99999999999999999999", '"9999-12-31T23:59:59-23:00"'):  # fmt: skip
                body = f'{{"email": "a@example.com", "{member}": {odd}}}'
                if member == "email":
                    body = f'{{"email": {odd}}}'
                answer = await admin.call(one.method, path, headers=any_version, content=body)
                assert answer.status_code < 500, (one.name, member, odd, answer.text)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"content": b"{}"}, (415, "unsupported_media_type")),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, (415, "unsupported_media_type")),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, (400, "invalid_request")),
        ({"content": b"[]", "headers": {"content-type": "application/json"}}, (400, "invalid_request")),
        ({"content": b'{"email": "a@b.example", "email": "c@b.example"}',
          "headers": {"content-type": "application/json"}}, (400, "invalid_request")),
        ({"content": b" " * 70_000, "headers": {"content-type": "application/json"}},
         (413, "request_too_large")),
        ({"body": {"email": "a@b.example"}, "params": {"x": "y"}}, (400, "invalid_request")),
        ({"body": {"email": "a@b.example"}, "headers": {"idempotency-key": ""}}, (400, "invalid_request")),
        ({"body": {"email": "a@b.example"}, "headers": {"idempotency-key": "a" * 256}},
         (400, "invalid_request")),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_refused_as_problem_details(admin, options, expected):
    options = dict(options)
    answer = await admin.call("POST", "/users", options.pop("body", None), **options)
    assert problem(answer) == expected


async def test_an_unknown_or_repeated_parameter_is_refused(admin):
    for query in ("colour=red", "limit=1&limit=2", "limit=0", "limit=201", "limit=x"):
        answer = await admin.call("GET", f"/users?{query}")
        assert problem(answer) == (400, "invalid_request")


# -- AD-2 --------------------------------------------------------------------------------------


async def test_AD_2_no_answer_holds_a_secret_or_a_hash(admin, api):
    person = await api.person()
    device = await api.sign_in(person)
    made = await registered(admin)
    rows = [
        await api.sql.fetchrow("select password_hash from users where id = $1", person.id),
        await api.sql.fetchrow("select token_hash, next_hash from sessions where id = $1",
                               device.session_id),
        await api.sql.fetchrow("select secret_hash from clients where id = $1", made.json()["id"]),
        *await api.sql.fetch("select private_sealed from signing_keys where private_sealed is not null"),
    ]  # fmt: skip
    hidden = {made.json()["client_secret"], device.refresh_token, device.access_token, PASSWORD}
    for row in rows:
        for value in row.values():
            hidden |= _spellings(value)
    ids = {"user_id": str(person.id), "client_id": made.json()["id"],
           "session_id": str(device.session_id)}  # fmt: skip
    for one in await admin.operations():
        if one.method != "GET":
            continue
        path = one.path.format(**ids)
        answer = await admin.call("GET", path, params={"limit": 200} if "{" not in one.path and
                                  any(p["name"] == "limit" for p in one.said["parameters"]) else {})  # fmt: skip
        assert answer.status_code == 200, answer.text
        assert not [found for found in hidden if found in answer.text], one.name
        assert not {"password", "hash", "sealed", "client_secret"} & set(_names(answer.json()))


def _spellings(value):
    if isinstance(value, str):
        return {value, value.rpartition("$")[2]}
    return {value.hex(), base64.b64encode(value).decode().rstrip("="),
            base64.urlsafe_b64encode(value).decode().rstrip("=")}  # fmt: skip


def _names(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _names(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _names(inner)


async def test_accounts_are_listed_in_the_order_of_their_addresses(admin):
    made = {(await added(admin)).json()["email"] for _ in range(3)}
    listed = [one["email"] for one in await admin.pages("/users", after_email="", limit=2)]
    assert made <= set(listed)
    keys = [one.lower() for one in listed]
    assert keys == sorted(keys)
    least = min(made)
    beyond = [one["email"] for one in await admin.pages("/users", after_email=least, limit=2)]
    assert beyond == listed[listed.index(least) + 1 :]


# -- initial access tokens --------------------------------------------------------------------

SPA = {"redirect_uris": ["https://spa.example/cb"], "token_endpoint_auth_method": "none"}


async def test_a_registration_token_is_made_once_registers_and_ends(admin, api):
    key = {"idempotency-key": uuid4().hex}
    body = {"name": "partners", "uses": 2, "scopes": ["openid"]}
    made = await admin.call("POST", "/registration-tokens", body, headers=key)
    again = await admin.call("POST", "/registration-tokens", body, headers=key)
    assert (made.status_code, again.status_code) == (201, 201)
    assert again.json() == made.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = await admin.call("POST", "/registration-tokens", {**body, "uses": 3}, headers=key)
    assert problem(other) == (422, "idempotency_key_reused")
    value = made.json()["token"]
    shown = {"authorization": f"Bearer {value}"}
    registered = await api.post("/oauth2/register", SPA, headers=shown)
    assert registered.status_code == 201, registered.text
    (token,) = [
        one
        for one in await admin.pages("/registration-tokens", limit=1)
        if one["id"] == made.json()["id"]
    ]
    assert token == {**{k: v for k, v in made.json().items() if k != "token"}, "used": 1}
    for _ in range(2):
        ended = await admin.call("DELETE", f"/registration-tokens/{token['id']}")
        assert (ended.status_code, ended.content) == (204, b"")
    assert (await api.post("/oauth2/register", SPA, headers=shown)).status_code == 401
    assert problem(await admin.call("DELETE", f"/registration-tokens/{NOBODY}")) == (
        404, "not_found",
    )  # fmt: skip
    await api.events("registration_token_added", actor=f"client:{admin.client_id}")
    await api.events("registration_token_revoked", actor=f"client:{admin.client_id}")


@pytest.mark.parametrize(
    "changes",
    [{"name": ""}, {"name": "\n"}, {"uses": 0}, {"expires_in": 0}, {"expires_in": 40_000_000},
     {"scopes": []}, {"scopes": ["a b"]}, {"scopes": ["never"]}, {"token": "kti_mine"}],
)  # fmt: skip
async def test_a_registration_token_beyond_bounds_is_refused(admin, changes):
    answer = await admin.call("POST", "/registration-tokens", {"name": "x", **changes})
    assert problem(answer)[0] == 400


# -- a clients file ---------------------------------------------------------------------------


async def test_clients_are_applied_as_a_file_says_and_a_second_time_nothing_changes(admin, api):
    name = f"client-{uuid4().hex[:8]}"
    entry = {**APP, "id": name}
    wanted = {"clients": [entry]}
    dry = await admin.call("POST", "/apply-clients", {**wanted, "dry_run": True})
    assert problem(await admin.call("GET", f"/clients/{name}")) == (404, "not_found")
    first = await admin.call("POST", "/apply-clients", wanted)
    assert first.json() == dry.json()
    (change,) = first.json()["changes"]
    assert (change["client_id"], change["is_new"], change["writes"]) == (name, True, True)
    again = await admin.call("POST", "/apply-clients", wanted)
    assert [one["writes"] for one in again.json()["changes"]] == [False]
    assert (await admin.get(f"/clients/{name}"))["declared"] is True


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"secret_hash": "0" * 64}, "clients[0].secret_hash"),
        ({"secret": "x" * 40}, "clients[0]"),
        ({"secret_file": "/etc/passwd"}, "clients[0]"),
        ({"grace": 99}, "clients[0].grace"),
        ({"origins": ["null"]}, "clients[0].origins[0]"),
    ],
)
async def test_a_file_that_makes_no_sense_changes_nothing(admin, changes, path):
    good = {**APP, "id": f"client-{uuid4().hex[:8]}"}
    bad = {**APP, "id": f"client-{uuid4().hex[:8]}", **changes}
    answer = await admin.call("POST", "/apply-clients", {"clients": [bad, good]})
    assert problem(answer)[0] == 400
    assert path in [one["path"] for one in answer.json()["errors"]]
    assert problem(await admin.call("GET", f"/clients/{good['id']}")) == (404, "not_found")


# -- events, from any place -------------------------------------------------------------------


async def test_a_follower_goes_on_from_any_event_and_does_not_see_itself(admin):
    user = (await added(admin)).json()
    about = {"user_id": user["id"]}
    whole = await admin.get("/audit-events", params={**about, "wait": 0, "after": "0"})
    while not whole["items"]:
        whole = await admin.get(
            "/audit-events", params={**about, "wait": 5, "after": whole["after"] or "0"}
        )
    assert [one["type"] for one in whole["items"]] == ["user_added"]
    at = whole["items"][0]["cursor"]
    rest = await admin.get("/audit-events", params={**about, "wait": 0, "after": at})
    assert rest["items"] == []
    mine = {"actor": f"client:{admin.client_id}", "type": "admin_call"}
    place = rest["after"]
    seen = []
    for _ in range(6):
        page = await admin.get("/audit-events", params={**mine, "wait": 1, "after": place})
        seen += [one["detail"]["operation"] for one in page["items"]]
        place = page["after"]
    assert seen.count("listAuditEvents") <= 1
    bad = await admin.call("GET", "/audit-events", params={"after": "mine"})
    assert problem(bad) == (400, "invalid_request")
