"""TK-1 to TK-8: POST /oauth2/token (RFC 6749 section 3.2, OAuth 2.1, RFC 8707)."""

from dataclasses import dataclass

import asyncpg
import pytest
from starlette.requests import ClientDisconnect

from keyturn.errors import Throttled, Unavailable
from keyturn.oauth.token import Token
from keyturn.telemetry.metrics import Metrics
from keyturn.web.body import BodyLimits
from keyturn.web.forms import Forms
from support.api import APP, MACHINE, OTHER_AUDIENCE, claims_of
from support.asgi import request
from support.replicas import AUDIENCE

TOKEN = "/oauth2/token"
FORM = {"content-type": "application/x-www-form-urlencoded"}
GRANT = {"grant_type": "client_credentials"}


async def test_TK_1_only_post_is_answered(api):
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        answer = await api.callers[0].request(method, TOKEN)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST"), method
        assert answer.headers["cache-control"] == "no-store"
        if method != "HEAD":
            assert await api.refusal(answer) == (405, "method_not_allowed", "router")


@pytest.mark.parametrize("path", [TOKEN, "/oauth2/revoke", "/oauth2/introspect"])
async def test_TK_1_only_a_form_is_read(api, path):
    caller, auth = api.callers[0], ("machine", api.secrets["machine"])
    bodies = [
        {"json": GRANT},
        {"files": {"grant_type": (None, "client_credentials")}},
        {"content": b"grant_type=client_credentials"},
        {"content": b"grant_type=client_credentials", "headers": {"content-type": "text/plain"}},
        {
            "content": b"grant_type=client_credentials",
            "headers": {"content-type": FORM["content-type"] + "x"},
        },
    ]
    for body in bodies:
        answer = await caller.post(path, auth=auth, **body)
        refusal = (415, "unsupported_media_type", "content-type: not a form")
        assert await api.refusal(answer) == refusal


async def test_TK_1_a_charset_may_stand_there_and_must_be_utf_8(api):
    caller, auth = api.callers[0], ("machine", api.secrets["machine"])
    kind = FORM["content-type"]
    for good in (f"{kind};charset=UTF-8", f'{kind.upper()} ; charset="utf-8"'):
        answer = await caller.post(
            TOKEN,
            auth=auth,
            content=b"grant_type=client_credentials",
            headers={"content-type": good},
        )
        assert answer.status_code == 200, good
    answer = await caller.post(
        TOKEN,
        auth=auth,
        content=b"grant_type=x",
        headers={"content-type": f"{kind};charset=utf-16"},
    )
    detail = "content-type: a charset other than UTF-8"
    assert await api.refusal(answer) == (415, "unsupported_media_type", detail)


@pytest.mark.parametrize("path", [TOKEN, "/oauth2/revoke", "/oauth2/introspect"])
@pytest.mark.parametrize(
    "name", ["client_secret", "client_id", "client_assertion", "refresh_token", "token", "password"]
)
async def test_TK_2_credentials_in_the_url_are_a_bad_request(api, path, name):
    """Even beside good ones: whoever sends them there has written them into every log."""
    secret = api.secrets["machine"]
    answer = await api.callers[0].post(
        f"{path}?{name}={secret}", data={**GRANT, "token": "x"}, auth=("machine", secret)
    )
    assert await api.refusal(answer) == (400, "invalid_request", "query: carries a credential")
    assert secret not in api.replicas[0].log.read_text()


async def test_TK_2_a_secret_in_the_url_does_not_authenticate(api):
    secret = api.secrets["poster"]
    answer = await api.callers[0].post(
        f"{TOKEN}?client_secret={secret}", data={**GRANT, "client_id": "poster"}
    )
    assert await api.refusal(answer) == (400, "invalid_request", "query: carries a credential")


@pytest.mark.parametrize(
    "name",
    ["grant_type", "refresh_token", "scope", "client_id", "client_secret", "anything"],
)
async def test_TK_3_a_parameter_given_twice_is_refused(api, name):
    device = await api.sign_in(await api.person())
    good = {
        "grant_type": "refresh_token",
        "refresh_token": device.refresh_token,
        "client_id": "app",
        "scope": "orders.read",
        "client_secret": "x",
        "anything": "x",
    }
    for second in (good[name], "another", ""):
        pairs = [
            (key, value) for key, value in good.items() if key != "client_secret" or name == key
        ]
        body = "&".join(f"{key}={value}" for key, value in [*pairs, (name, second)])
        answer = await api.callers[0].post(TOKEN, content=body, headers=FORM)
        assert await api.refusal(answer) == (
            400,
            "invalid_request",
            "form: a parameter is repeated",
        )
    assert (await api.row(device))["generation"] == 0


async def test_TK_3_an_empty_value_counts_as_left_out(api):
    device = await api.sign_in(await api.person())
    answer = await api.refresh(device, scope="", resource="", client_secret="")
    assert answer.status_code == 200
    assert answer.json()["scope"] == "orders.read orders.write"
    for fields, detail in (
        ({"grant_type": ""}, "grant_type: missing"),
        ({"grant_type": "refresh_token", "refresh_token": ""}, "refresh_token: missing"),
    ):
        answer = await api.token("app", **fields)
        assert await api.refusal(answer) == (400, "invalid_request", detail)


async def test_TK_4_a_success_is_not_kept_by_caches_and_says_what_it_is(api):
    answer = await api.token("machine", **GRANT)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert answer.headers["content-type"] == "application/json"
    assert "set-cookie" not in answer.headers
    given = answer.json()
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 300)
    claims = claims_of(given["access_token"])
    assert claims["exp"] - claims["iat"] == given["expires_in"]


async def test_TK_4_the_scope_is_said_also_when_it_is_what_was_asked_for(api):
    device = await api.sign_in(await api.person())
    for asked, given in (
        ({}, "orders.read orders.write"),
        ({"scope": "orders.write"}, "orders.write"),
        ({"scope": "orders.write orders.read"}, "orders.read orders.write"),
    ):
        answer = (await api.refresh(device, **asked)).json()
        assert answer["scope"] == given
        assert claims_of(answer["access_token"])["scope"] == given
        assert answer["expires_in"] == 600


async def test_TK_4_an_error_is_not_kept_either(api):
    for answer in (
        await api.token("machine", grant_type="nonsense"),
        await api.token("nobody", **GRANT),
        await api.token("app", grant_type="refresh_token", refresh_token="x"),
        await api.callers[0].get("/oauth2/nothing-here"),
    ):
        await api.refusal(answer)


async def test_TK_4_without_scopes_there_is_no_member_scope(api):
    """RFC 6749 section 3.3 has no text for no scopes."""
    client = await api.client(MACHINE, scopes=[])
    answer = (await api.token(client, **GRANT)).json()
    assert set(answer) == {"access_token", "token_type", "expires_in"}
    assert "scope" not in claims_of(answer["access_token"])
    said = (await api.form("/oauth2/introspect", "reader", token=answer["access_token"])).json()
    assert (said["active"], said["sub"], "scope" in said) == (True, client, False)


async def test_TK_5_a_grant_nobody_knows(api):
    for name in (
        "nonsense",
        "REFRESH_TOKEN",
        "refresh_token ",
        "urn:ietf:params:oauth:grant-type:x",
    ):
        answer = await api.token("machine", grant_type=name)
        detail = "grant_type: none of ours"
        assert await api.refusal(answer) == (400, "unsupported_grant_type", detail)


async def test_TK_5_a_grant_that_is_not_this_clients(api):
    device = await api.sign_in(await api.person())
    detail = "grant_type: not one of this client's"
    for client, fields in (
        ("app", GRANT),
        ("machine", {"grant_type": "refresh_token", "refresh_token": device.refresh_token}),
        ("reader", GRANT),
    ):
        answer = await api.token(client, **fields)
        assert await api.refusal(answer) == (400, "unauthorized_client", detail), client
    assert (await api.row(device))["generation"] == 0


async def test_TK_5_who_is_asking_is_decided_before_what_is_asked(api):
    """A stranger does not learn which grants there are."""
    for name in ("nonsense", "client_credentials", ""):
        answer = await api.token("nobody", grant_type=name)
        assert await api.refusal(answer) == (401, "invalid_client", "client: unknown")


async def test_TK_6_there_is_no_password_grant_and_no_implicit_one(api):
    person = await api.person()
    for client in ("app", "machine", "backend"):
        for name in ("password", "implicit", "token"):
            answer = await api.token(
                client, grant_type=name, username=person.email, password=person.password
            )
            detail = "grant_type: none of ours"
            assert await api.refusal(answer) == (400, "unsupported_grant_type", detail)
    for document in ("openid-configuration", "oauth-authorization-server"):
        said = (await api.get(f"/.well-known/{document}")).json()
        assert not {"password", "implicit"} & set(said["grant_types_supported"])
        assert said["response_types_supported"] == ["code"]


async def test_TK_6_no_client_can_be_registered_for_them(api):
    done = api.keyturn("clients", "add", "tk-6", "--grant", "password", "--grant", "implicit")
    assert done.returncode == 1
    assert "grant_types[0]" in done.stderr
    assert "grant_types[1]" in done.stderr


async def test_TK_7_a_machine_gets_an_access_token_and_nothing_else(api):
    given = (await api.token("machine", **GRANT)).json()
    assert set(given) == {"access_token", "token_type", "expires_in", "scope"}
    claims = claims_of(given["access_token"])
    assert claims["sub"] == claims["client_id"] == "machine"
    assert set(claims) == {"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope"}
    rows = await api.sql.fetchval("select count(*) from sessions where client_id = 'machine'")
    assert rows == 0


async def test_TK_7_no_client_can_be_named_like_a_user(api):
    """Its tokens would be taken for theirs: `sub` is the client's id."""
    person = await api.person()
    done = api.keyturn(
        "clients", "add", str(person.id), "--grant", "client_credentials", "--audience", AUDIENCE
    )
    assert done.returncode == 1
    assert "must not look like a UUID" in done.stderr
    for spelling in (str(person.id), person.id.hex, str(person.id).upper()):
        with pytest.raises(asyncpg.CheckViolationError):
            await api.sql.execute(
                "insert into clients (id, name, kind, auth_method, grant_types, scopes, audiences)"
                " values ($1, 'x', 'confidential', 'client_secret_basic', '{}', '{}', '{}')",
                spelling,
            )


async def test_TK_8_a_machine_never_gets_more_than_it_is_registered_for(api):
    for scope in ("orders.write", "orders.read orders.write", "openid", "keyturn.admin.write"):
        answer = await api.token("machine", **GRANT, scope=scope)
        detail = "scope: not allowed for this client"
        assert await api.refusal(answer) == (400, "invalid_scope", detail)
    for resource in ("https://elsewhere.example.com", AUDIENCE + "/", "*", api.issuer, "machine"):
        answer = await api.token("machine", **GRANT, resource=resource)
        detail = "resource: not allowed for this client"
        assert await api.refusal(answer) == (400, "invalid_target", detail)


async def test_TK_8_what_is_asked_for_within_the_list_is_given_exactly(api):
    for asked, scope, audience in (
        ({}, "orders.read stock.read", AUDIENCE),
        ({"scope": "stock.read"}, "stock.read", AUDIENCE),
        ({"resource": OTHER_AUDIENCE}, "orders.read stock.read", OTHER_AUDIENCE),
    ):
        claims = claims_of((await api.token("machine", **GRANT, **asked)).json()["access_token"])
        assert (claims["scope"], claims["aud"]) == (scope, audience)


async def resources(api, client, *named, **fields):
    """Ask for an access token for several resources: `resource` repeated (RFC 8707)."""
    form = {**fields, "resource": list(named)}
    if client == "app":
        return await api.callers[0].post(TOKEN, data={**form, "client_id": client})
    return await api.callers[0].post(TOKEN, data=form, auth=(client, api.secrets[client]))


async def test_TK_8_JW_7_several_resources_are_listed_each_once(api):
    asked = (OTHER_AUDIENCE, "", AUDIENCE, OTHER_AUDIENCE)
    answer = await resources(api, "machine", *asked, **GRANT)
    assert claims_of(answer.json()["access_token"])["aud"] == [OTHER_AUDIENCE, AUDIENCE]
    device = await api.sign_in(await api.person())
    fields = {"grant_type": "refresh_token", "refresh_token": device.refresh_token}
    answer = await resources(api, "app", AUDIENCE, api.issuer, **fields)
    assert claims_of(answer.json()["access_token"])["aud"] == [AUDIENCE, api.issuer]


async def test_TK_8_JW_7_one_resource_too_many_is_refused_with_all_the_others(api):
    for named in (
        (AUDIENCE, "https://elsewhere.example.com"),
        ("https://elsewhere.example.com", AUDIENCE),
        (f"{AUDIENCE} {OTHER_AUDIENCE}",),
    ):
        answer = await resources(api, "machine", *named, **GRANT)
        detail = "resource: not allowed for this client"
        assert await api.refusal(answer) == (400, "invalid_target", detail)
    device = await api.sign_in(await api.person())
    fields = {"grant_type": "refresh_token", "refresh_token": device.refresh_token}
    answer = await resources(api, "app", AUDIENCE, OTHER_AUDIENCE, **fields)
    assert await api.refusal(answer) == (400, "invalid_target", "resource: not granted")


async def test_TK_8_a_malformed_scope_is_no_scope(api):
    for scope in (" ", "orders.read  stock.read", " orders.read", 'orders."read', "orders.réad"):
        answer = await api.token("machine", **GRANT, scope=scope)
        assert await api.refusal(answer) == (400, "invalid_scope", "scope: malformed"), scope


async def test_TK_8_a_refresh_never_gets_more_than_the_session_or_the_client_has(api):
    person = await api.person()
    device = await api.sign_in(person, scope="orders.read")
    for asked, code, detail in (
        ({"scope": "orders.write"}, "invalid_scope", "scope: more than was granted"),
        ({"scope": "orders.read openid"}, "invalid_scope", "scope: more than was granted"),
        ({"resource": OTHER_AUDIENCE}, "invalid_target", "resource: not granted"),
        ({"resource": f"{AUDIENCE} {OTHER_AUDIENCE}"}, "invalid_target", "resource: not granted"),
    ):
        answer = await api.refresh(device, **asked)
        assert await api.refusal(answer) == (400, code, detail)
    row = await api.row(device)
    assert (row["generation"], row["revoked_at"]) == (0, None)


@pytest.mark.parametrize("door", ["token", "refresh", "reauthenticate"])
async def test_TK_8_what_a_client_has_lost_no_door_gives_any_more(api, door):
    """The session was granted more than the client may have now."""
    client = await api.client(audiences=[AUDIENCE, OTHER_AUDIENCE])
    person = await api.person()
    device = await api.sign_in(person, client=client)
    await api.redefine(client, scopes=["orders.read"], audiences=[OTHER_AUDIENCE])
    claims = claims_of(await _token_from(api, door, device, person))
    assert claims["scope"] == "orders.read"
    assert claims["aud"] == api.issuer
    assert (await api.row(device))["scopes"] == APP["scopes"]


async def _token_from(api, door, device, person):
    if door == "token":
        answer = await api.refresh(device)
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]
    body = device.credential | ({"password": person.password} if door != "refresh" else {})
    answer = await api.post(f"/auth/{door}", body, client=device.client_id)
    assert answer.status_code == 200, answer.text
    return answer.json()["accessToken"]


# -- what operators see of it --------------------------------------------------------------------


def counted(api, result, grant="unsupported"):
    return api.replicas[0].metric("keyturn_token_requests_total", grant_type=grant, result=result)


@pytest.mark.parametrize(
    ("form", "result"),
    [
        (b"grant_type=client_credentials&scope=a&scope=a", "invalid_request"),
        (b"a=" + b"x" * 16384, "request_too_large"),
        (None, "unsupported_media_type"),
    ],
    ids=["malformed", "large", "no form"],
)
async def test_a_request_that_cannot_be_read_is_counted_too(api, form, result):
    before = counted(api, result)
    headers = FORM if form else {"content-type": "application/json"}
    await api.callers[0].post(TOKEN, content=form or b"{}", headers=headers)
    assert counted(api, result) == before + 1


@dataclass(frozen=True)
class Failing:
    """An authentication that ends in one way only."""

    failure: Exception

    async def authenticate(self, _request, _form):
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "result"),
    [
        (Throttled("x", retry_after=1), "too_many_requests"),
        (Unavailable("x"), "temporarily_unavailable"),
        (RuntimeError("nobody foresaw this"), "server_error"),
        (ClientDisconnect(), None),
    ],
    ids=["429", "503", "500", "nobody is left"],
)
async def test_every_answer_is_counted_as_what_it_is(failure, result):
    metrics, forms = Metrics(), Forms(BodyLimits(100, 1.0))
    door = Token(forms, Failing(failure), None, {}, metrics, first_use=None)
    with pytest.raises(type(failure)):
        await door.post(request(*FORM.items(), body=(b"grant_type=refresh_token",)))
    counts = {
        sample.labels["result"]: sample.labels["grant_type"]
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "keyturn_token_requests_total" and sample.value
    }
    assert counts == ({} if result is None else {result: "refresh_token"})
