"""AD-1, AD-3, JW-2, JW-3, JW-4: who may call which operation; the matrix is made of the document."""

import hmac
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from support.administering import OPS, READ, WRITE, administered, problem
from support.api import claims_of
from support.browserless import Browserless
from support.farewell import logout_token_of
from support.forging import Forger, b64
from support.keys import private_key

BAD = (401, "invalid_token")
POOR = (403, "insufficient_scope")


@pytest.fixture(scope="module")
async def admin(api):
    async with administered(api) as running:
        yield running


async def machine_token(api, **changes):
    client_id = await api.client({**OPS, **changes})
    answer = await api.token(client_id, grant_type="client_credentials")
    return client_id, answer.json()["access_token"]


@pytest.fixture(scope="module")
async def strangers(api, spa, admin):
    """Everything that must not be let in, by what it is."""
    person = await api.person()
    device = await api.sign_in(person)
    given = await Browserless(api).tokens(spa, person, scope="openid offline_access")
    forger = await Forger.of(api, device)
    machine = Forger(forger.key, forger.kid, claims_of(admin.tokens[WRITE]))
    told = {**machine.header, "alg": "HS256"}
    hmacs = {
        f"HS256 with the {kind}": _hmac(machine.segments(told), key)
        for kind, key in machine.public_half().items()
    }
    disabled, token_of_disabled = await machine_token(api)
    await api.clients.disable(disabled)
    revoker, revoked = await machine_token(api)
    assert (await api.form("/oauth2/revoke", revoker, token=revoked)).status_code == 200
    await api.settled()
    other = await api.token("machine", grant_type="client_credentials")
    sub = str(person.id)
    return {
        "none": None,
        "garbage": "garbage",
        "three dots": "a.b.c",
        "user's token, session API": device.access_token,
        "user's token, code flow": given["access_token"],
        "ID token": given["id_token"],
        "refresh token": given["refresh_token"],
        "logout token": await logout_token_of(api, spa, given["id_token"]),
        "machine's token, other audience": other.json()["access_token"],
        "of a disabled client": token_of_disabled,
        "revoked": revoked,
        "expired": machine.signed(claims=machine.body(exp=int(datetime.now(UTC).timestamp()) - 1)),
        "of another issuer": machine.signed(claims=machine.body(iss="https://evil.example")),
        "of a user, for this audience": machine.signed(claims=machine.body(sub=sub)),
        "of a session": machine.signed(claims=machine.body(sid=str(uuid4()))),
        "bound to a key": machine.signed(claims=machine.body(cnf={"jkt": "x"})),
        "of an unknown client": machine.signed(
            claims=machine.body(sub="nobody", client_id="nobody")
        ),
        "typ JWT": machine.signed({**machine.header, "typ": "JWT"}),
        "under another key": machine.with_key(private_key()).signed(),
        "with its own key": machine.signed({**machine.header, "jwk": {"kty": "RSA"}}),
        "with a place of keys": machine.signed({**machine.header, "jku": machine.sink}),
        "kid of a path": machine.signed({**machine.header, "kid": "../../dev/null"}),
        "kid of SQL": machine.signed({**machine.header, "kid": "' OR 1=1"}),
        **{f"alg {alg}": _unsigned(machine, alg) for alg in ("none", "None", "nOnE")},
        **hmacs,
    }


def _hmac(text, key):
    return f"{text}.{b64(hmac.digest(key, text.encode(), 'sha256'))}"


def _unsigned(machine, alg):
    return f"{machine.segments({**machine.header, 'alg': alg})}."


async def outcomes(admin, token):
    """Return what each operation says to a token, asked about nothing."""
    said = {}
    for one in await admin.operations():
        body = None if one.method in {"GET", "DELETE"} else {}
        answer = await admin.call(one.method, one.about_nothing, body, token=token)
        said[one.name] = (one, answer)
    return said


async def test_AD_1_JW_2_JW_3_JW_4_no_stranger_is_let_in_anywhere(admin, strangers):
    assert len(strangers) > 30
    for kind, token in strangers.items():
        for one, answer in (await outcomes(admin, token)).values():
            assert problem(answer) == BAD, f"{kind} at {one.name}"


async def test_AD_1_a_machine_without_the_scope_gets_nothing(admin, api):
    audience = f"{api.issuer}/admin"
    _, token = await machine_token(api, scopes=["orders.read"], audiences=[audience])
    for one, answer in (await outcomes(admin, token)).values():
        assert problem(answer) == POOR, one.name
        assert f'scope="{one.scope}"' in answer.headers["www-authenticate"]


async def test_AD_1_who_may_read_sees_and_changes_nothing(admin):
    for one, answer in (await outcomes(admin, READ)).values():
        assert one.scope == (READ if one.method == "GET" else WRITE)
        if one.method == "GET":
            assert answer.status_code in {200, 404}, one.name
        else:
            assert problem(answer) == POOR, one.name


async def test_AD_1_who_may_write_may_do_everything(admin):
    for one, answer in (await outcomes(admin, WRITE)).values():
        assert answer.status_code in {200, 400, 404, 409, 428}, (one.name, answer.text)
        assert str(answer.status_code) in one.said["responses"], one.name


async def test_AD_1_a_scope_that_was_taken_away_is_gone_at_once(admin, api):
    client_id, token = await machine_token(api)
    assert (await admin.call("GET", "/keys", token=token)).status_code == 200
    shown = await admin.call("GET", f"/clients/{client_id}")
    definition = {**shown.json()["definition"], "scopes": ["orders.read"]}
    etag = {"if-match": shown.headers["etag"]}
    changed = await admin.call("PUT", f"/clients/{client_id}", definition, headers=etag)
    assert changed.status_code == 200, changed.text
    await api.settled()
    assert problem(await admin.call("GET", "/keys", token=token)) == POOR


async def test_AD_1_the_token_travels_in_one_header_only(admin):
    token = admin.tokens[WRITE]
    for headers in (
        [("authorization", f"Bearer {token}")] * 2,
        [("authorization", f"Basic {token}")],
        [("authorization", token)],
        [("cookie", f"access_token={token}")],
    ):
        answer = await admin.caller.get("/admin/v1/keys", headers=headers)
        assert problem(answer) == BAD
    asked = await admin.caller.get("/admin/v1/keys", params={"access_token": token})
    assert problem(asked) == BAD
    assert "error" not in asked.headers["www-authenticate"], "none was shown (RFC 6750 3.1)"


async def test_AD_1_the_public_port_knows_no_administration(admin, api):
    for one in await admin.operations():
        headers = {"authorization": f"Bearer {admin.tokens[WRITE]}"}
        path = f"/admin/v1{one.about_nothing}"
        answer = await api.callers[0].request(one.method, path, headers=headers)
        assert answer.status_code == 404
    assert (await api.get("/admin/v1/openapi.json")).status_code == 404


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/users/", "/users/7/secrets", "//keys"])
async def test_AD_1_what_is_not_in_the_document_is_not_there(admin, path):
    for method in ("GET", "POST", "DELETE"):
        answer = await admin.call(method, path)
        assert problem(answer) == (404, "not_found")


async def test_AD_1_a_path_takes_the_methods_of_the_document_and_no_other(admin):
    ways = {}
    for one in await admin.operations():
        ways.setdefault(one.path, set()).add(one.method)
    for path, methods in ways.items():
        answer = await admin.call("TRACE", path)
        assert problem(answer) == (405, "method_not_allowed"), path
        assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == methods


async def test_AD_3_every_call_leaves_an_event_that_says_who_did_what_from_where(admin, api):
    for token in (WRITE, READ):
        for one, answer in (await outcomes(admin, token)).values():
            request_id = answer.headers["x-request-id"]
            (event,) = await api.events("admin_call", request_id=request_id)
            assert event["actor"] == f"client:{admin.client_id}"
            assert str(event["ip"]) == "127.0.0.1"
            assert event["result"] == ("ok" if answer.status_code < 400 else "failed")
            told = {"operation": one.name, "status": answer.status_code}
            assert json.loads(event["detail"]) == told
            if "{user_id}" in one.path:
                assert event["user_id"] == UUID(int=7)
            if "{client_id}" in one.path:
                assert event["client_id"] == "client-nobody"
            if "{session_id}" in one.path:
                assert event["session_id"] == UUID(int=7)


async def test_AD_3_a_call_of_nobody_is_in_the_log_and_cannot_fill_the_trail(admin, api):
    answer = await admin.call("GET", "/users", token="garbage")
    known = await admin.call("GET", "/users")
    await api.events("admin_call", request_id=known.headers["x-request-id"])
    count = await api.sql.fetchval(
        "select count(*) from audit_events where request_id = $1", answer.headers["x-request-id"]
    )
    assert count == 0
    line = await api.logs[_port(api)].of(answer.headers["x-request-id"])
    assert (line["error"], line["status"], line["ip"]) == ("invalid_token", 401, "127.0.0.1")
    assert line["detail"]


def _port(api):
    return next(iter(api.logs))
