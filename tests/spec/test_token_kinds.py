"""JW-2, AC-6: every kind of thing there is, at every door that takes one; made, not listed by hand.

Each kind is good exactly where `GOOD` says, and refused in the door's own way everywhere else.
"""

import json
from uuid import UUID

import pytest

from keyturn import paths
from keyturn.hosted import Hosted
from keyturn.routes import public_routes
from support.administering import READ, administered, problem
from support.api import GATEWAY, MACHINE, OTHER_AUDIENCE, PASSWORD
from support.assertions import Signer
from support.browserless import CALLBACK, SPA, VERIFIER, Browserless, forms_of, request_of, told
from support.farewell import logout_token_of
from support.forging import unb64
from support.possession import Holder
from support.pushing import pushed, visit
from support.signing import RequestSigner, jwks, key_for
from support.television import DEVICE_CODE, Television, answered

(EXCHANGE,) = GATEWAY["grant_types"]
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
WRONG_ADDRESS = "code: the redirect URI is not that of the request"


def types(token):
    return unb64(token.split(".")[0])


KEY = key_for("ES256")
PUSHED = "urn:ietf:params:oauth:request_uri:"


@pytest.fixture(scope="module")
async def spa(api):
    """A public client that has every grant of people, and signs its requests."""
    grants = [*SPA["grant_types"], DEVICE_CODE]
    return await api.client({**SPA, "jwks": jwks(KEY), "grant_types": grants})


async def exchange(api, client, token):
    """Bring a token of that application to where its gateway exchanges them."""
    fields = {"subject_token": token, "subject_token_type": ACCESS_TOKEN}
    return await api.token(gateway_of(client), grant_type=EXCHANGE, **fields)


def gateway_of(client):
    return f"gateway-of-{client}"


@pytest.fixture(scope="module")
async def signer(api):
    """A machine that proves itself by the key with which the public client signs its requests."""
    return await Signer(api.issuer, kid=KEY.kid, key=KEY).registered(api, MACHINE)


@pytest.fixture(scope="module")
async def admin(api):
    async with administered(api) as running:
        yield running


@pytest.fixture(scope="module")
async def doors(signer, admin):
    """Every door, those among them that need a client of their own."""
    return {**DOORS, ASSERTING: as_assertion(signer), ADMINISTERING: as_administrator(admin)}


@pytest.fixture(scope="module")
async def things(api, spa, signer, admin):
    """One of each kind, of one person."""
    browser, person = Browserless(api), await api.person()
    page = await browser.authorize(spa)
    form = forms_of(page)["login"]
    given = await browser.tokens(spa, person, scope="openid offline_access")
    machine = await api.token("machine", grant_type="client_credentials")
    logout_token = await logout_token_of(api, spa, given["id_token"])
    device, waiting = [await Television.begun(api, spa) for _ in range(2)]
    await answered(browser, person, device)
    gateway = await api.client(
        GATEWAY, id=gateway_of(spa), token_exchange={"subject_clients": [spa, gateway_of(spa)]}
    )
    api.secrets[gateway_of(spa)] = api.secrets[gateway]
    exchanged = await exchange(api, spa, given["access_token"])
    initial, managing = await registering(api)
    return browser, {
        "initial access token": initial,
        "registration token": managing,
        "access token": given["access_token"],
        "ID token": given["id_token"],
        "refresh token": given["refresh_token"],
        "exchanged token": exchanged.json()["access_token"],
        "machine's token": machine.json()["access_token"],
        "administrator's token": admin.tokens[READ],
        "client assertion": signer.signed(),
        "logout token": logout_token,
        "DPoP proof": Holder.of().proof("POST", api.issuer + paths.TOKEN),
        "code": told(await browser.authorize(spa))["code"],
        "handle of a request": form.fields["request"],
        "pushed request": await pushed(api, spa),
        "request object": RequestSigner(spa, api.issuer, KEY).request(request_of(spa)),
        "token of a form": form.fields["csrf"],
        "device code": device.told["device_code"],
        "user code": waiting.code,
        **{f"{kind} cookie": next(v for name, v in browser.cookies.items() if kind in name)
           for kind in ("login", "browser")},
    }  # fmt: skip


async def registering(api):
    """A token that lets clients register, and one that came with a client."""
    made = api.keyturn("registration-tokens", "add", "kinds", "--uses", "1000", "--json")
    initial = json.loads(made.stdout)["token"]
    answer = await register(api, initial)
    return initial, answer.json()["registration_access_token"]


async def register(api, token):
    """Register with this as initial access token."""
    bearer = {"authorization": f"Bearer {token}"}
    members = {"redirect_uris": [CALLBACK]}
    return await api.callers[0].post(paths.REGISTER, json=members, headers=bearer)


async def at_register(api, _client, _browser, token):
    answer = await register(api, token)
    assert answer.status_code == 201 or answer.json()["error"] == "invalid_token"
    return answer.status_code == 201


async def at_registration(api, _client, _browser, token):
    """At the clients that registered themselves, each at its own address."""
    clients = await api.sql.fetch(
        "select id from clients where self_registered and disabled_at is null"
        " order by created_at desc limit 20"
    )
    assert clients
    address = paths.REGISTRATION.replace("{client_id}", "{}")
    bearer = {"authorization": f"Bearer {token}"}
    given = [await api.get(address.format(one["id"]), headers=bearer) for one in clients]
    assert {one.status_code for one in given} <= {200, 401}
    return 200 in {one.status_code for one in given}


async def at_userinfo(api, _client, _browser, token):
    bearer = {"authorization": f"Bearer {token}"}
    answer = await api.get("/oauth2/userinfo", headers=bearer)
    assert answer.status_code == 200 or answer.json()["error"] == "invalid_token"
    return answer.status_code == 200


async def at_introspection(api, _client, _browser, token):
    return await api.is_active(token)


async def at_request(_api, client, browser, token):
    answer = told(await browser.authorize(client, prompt="none", id_token_hint=token))
    assert "code" in answer or answer["error"] == "invalid_request"
    return "code" in answer


async def at_pushed_request(_api, client, browser, token):
    uri = token if token.startswith(PUSHED) else PUSHED + token
    answer = await visit(browser, client, uri)
    assert answer.status_code in {303, 400}
    return answer.status_code == 303


async def at_push(api, client, _browser, token):
    answer = await api.form(paths.PAR, client, request=token)
    assert answer.status_code == 201 or answer.json()["error"] == "invalid_request_object"
    return answer.status_code == 201


async def at_proof(api, _client, _browser, token):
    proof = {"dpop": token}
    answer = await api.form(paths.TOKEN, "machine", headers=proof, grant_type="client_credentials")
    assert answer.status_code == 200 or answer.json()["error"] == "invalid_dpop_proof"
    return answer.status_code == 200


def as_assertion(signer):
    async def at_door(api, _client, _browser, token):
        fields = {"grant_type": "client_credentials", **signer.form(token)}
        answer = await api.token(None, **fields)
        assert answer.status_code == 200 or answer.json()["error"] == "invalid_client"
        return answer.status_code == 200

    return at_door


def as_administrator(admin):
    async def at_door(_api, _client, _browser, token):
        let_in = set()
        for one in await admin.operations():
            body = None if one.method in {"GET", "DELETE"} else {}
            answer = await admin.call(one.method, one.about_nothing, body, token=token)
            if answer.status_code >= 400:
                let_in.add(problem(answer) != (401, "invalid_token"))
            else:
                let_in.add(True)
        (good,) = let_in
        return good

    return at_door


async def at_sign_out(api, _client, browser, token):
    # Cookies are left behind: whoever is signed out here is still needed.
    looking = Browserless(api, cookies=dict(browser.cookies))
    if types_of_id(token):
        # A genuine hint would sign the person out for good; another browser shows as much.
        looking.cookies = {}
        goodbye = SPA["post_logout_redirect_uris"][0]
        answer = await looking.open(
            "/oauth2/logout", {"id_token_hint": token, "post_logout_redirect_uri": goodbye}
        )
        return answer.headers.get("location") == goodbye
    answer = await looking.open("/oauth2/logout", {"id_token_hint": token})
    assert "logout" in forms_of(answer), "nobody is signed out by something that is no hint"
    return False


def types_of_id(token):
    return token.count(".") == 2 and b'"JWT"' in types(token)


async def at_refresh(api, client, _browser, token):
    answer = await api.token(client, grant_type="refresh_token", refresh_token=token)
    assert answer.status_code == 200 or answer.json()["error"] == "invalid_grant"
    return answer.status_code == 200


async def at_code(api, client, _browser, token):
    answer = await api.token(
        client, grant_type="authorization_code", code=token, code_verifier=VERIFIER,
        redirect_uri="https://elsewhere.example/",
    )  # fmt: skip
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    # A wrong redirect URI uses no code up; the private reason tells whether it was one.
    return await api.refusal(answer) == (400, "invalid_grant", WRONG_ADDRESS)


async def at_device_code(api, client, _browser, token):
    answer = await api.token(
        client, grant_type=DEVICE_CODE, device_code=token, resource=OTHER_AUDIENCE
    )
    # A resource that was not granted uses no code up.
    assert answer.json()["error"] in {"invalid_grant", "invalid_target"}
    return answer.json()["error"] == "invalid_target"


async def at_device_page(_api, _client, browser, token):
    form = await browser.open(paths.DEVICE_PAGE)
    answer = await browser.submit(form, "device-code", user_code=token)
    assert answer.status_code in {200, 400}
    return "device" in forms_of(answer)


async def at_exchange(api, client, _browser, token):
    answer = await exchange(api, client, token)
    assert answer.status_code == 200 or answer.json()["error"] == "invalid_request"
    return answer.status_code == 200


async def at_revocation(api, client, _browser, token):
    """Another client's word: whatever it is, nothing happens, and nobody is told what it was."""
    answer = await api.form("/oauth2/revoke", "machine", token=token)
    assert (answer.status_code, answer.content) == (200, b"")
    return False


def as_session_credential(method, path):
    async def at_door(api, _client, _browser, token):
        members = {"refreshToken": token, "password": PASSWORD, "newPassword": PASSWORD}
        answer = await api.post(path, members, method=method)
        assert answer.status_code in {204, 400, 401, 404}, answer.text
        return answer.status_code == 204 and path != paths.LOGOUT

    return at_door


def as_bearer(path):
    async def at_door(api, _client, _browser, token):
        answer = await api.get(path, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200 or answer.json()["error"] == "invalid_token"
        return answer.status_code == 200

    return at_door


def as_handle(path):
    async def at_door(_api, _client, browser, token):
        answer = await browser.send("GET", path, params={"request": token})
        assert answer.status_code in {200, 303, 400}
        return answer.status_code != 400

    return at_door


async def as_login_cookie(api, _client, browser, token):
    name = next(one for one in browser.cookies if "login" in one)
    stranger = Browserless(api, cookies={name: token})
    answer = await stranger.send("GET", paths.ACCOUNT_PAGE)
    assert answer.status_code in {200, 303}
    return answer.status_code == 200


ASSERTING = f"{paths.TOKEN} as client assertion"
ADMINISTERING = "/admin/v1 as bearer"
SESSION = paths.SESSION.replace("{session_id}", str(UUID(int=1)))
CREDENTIALS = {
    paths.REFRESH: "POST", paths.LOGOUT: "POST", paths.LOGOUT_ALL: "POST",
    paths.REAUTHENTICATE: "POST", paths.PASSWORD: "POST", SESSION: "DELETE",
}  # fmt: skip
DOORS = {
    f"{paths.USERINFO} as bearer": at_userinfo,
    f"{paths.ME} as bearer": as_bearer(paths.ME),
    f"{paths.SESSIONS} as bearer": as_bearer(paths.SESSIONS),
    f"{paths.REGISTER} as bearer": at_register,
    f"{paths.REGISTRATION} as bearer": at_registration,
    f"{paths.INTROSPECT} as token": at_introspection,
    f"{paths.REVOKE} as token": at_revocation,
    f"{paths.AUTHORIZE} as hint": at_request,
    f"{paths.AUTHORIZE} as request_uri": at_pushed_request,
    f"{paths.PAR} as request": at_push,
    f"{paths.END_SESSION} as hint": at_sign_out,
    f"{paths.TOKEN} as refresh_token": at_refresh,
    f"{paths.TOKEN} as code": at_code,
    f"{paths.TOKEN} as device_code": at_device_code,
    f"{paths.DEVICE_PAGE} as user_code": at_device_page,
    f"{paths.TOKEN} as subject": at_exchange,
    f"{paths.TOKEN} as DPoP proof": at_proof,
    **{f"{path} as credential": as_session_credential(CREDENTIALS[path], path)
       for path in CREDENTIALS},
    f"{paths.LOGIN_PAGE} as handle": as_handle(paths.LOGIN_PAGE),
    f"{paths.CONSENT_PAGE} as handle": as_handle(paths.CONSENT_PAGE),
    f"{paths.ACCOUNT_PAGE} as cookie": as_login_cookie,
    f"{paths.RESUME} as handle": as_handle(paths.RESUME),  # last: it finishes the request
}  # fmt: skip
GOOD = {
    ("access token", f"{paths.USERINFO} as bearer"),
    ("access token", f"{paths.INTROSPECT} as token"),
    ("access token", f"{paths.TOKEN} as subject"),
    ("exchanged token", f"{paths.INTROSPECT} as token"),
    ("exchanged token", f"{paths.TOKEN} as subject"),
    ("machine's token", f"{paths.INTROSPECT} as token"),
    ("administrator's token", ADMINISTERING),
    ("client assertion", ASSERTING),
    ("DPoP proof", f"{paths.TOKEN} as DPoP proof"),
    ("initial access token", f"{paths.REGISTER} as bearer"),
    ("registration token", f"{paths.REGISTRATION} as bearer"),
    ("ID token", f"{paths.AUTHORIZE} as hint"),
    ("ID token", f"{paths.END_SESSION} as hint"),
    ("refresh token", f"{paths.TOKEN} as refresh_token"),
    ("code", f"{paths.TOKEN} as code"),
    ("pushed request", f"{paths.AUTHORIZE} as request_uri"),
    ("request object", f"{paths.PAR} as request"),
    ("device code", f"{paths.TOKEN} as device_code"),
    ("user code", f"{paths.DEVICE_PAGE} as user_code"),
    ("handle of a request", f"{paths.RESUME} as handle"),
    ("handle of a request", f"{paths.LOGIN_PAGE} as handle"),
    ("handle of a request", f"{paths.CONSENT_PAGE} as handle"),
    ("login cookie", f"{paths.ACCOUNT_PAGE} as cookie"),
}
TAKES_NOTHING = {
    paths.JWKS, paths.OPENID_CONFIGURATION, paths.OAUTH_METADATA, paths.SESSION_OPENAPI,
    paths.STATIC, paths.LOGIN, paths.SIGNED_OUT, paths.DEVICE_AUTHORIZATION, paths.STATUS_LIST,
}  # fmt: skip
"""Doors to which nothing that we handed out is brought, but the login cookie to say goodbye with."""


async def test_JW_2_every_route_is_a_door_of_the_matrix_or_takes_nothing(api):
    parts = api.operator
    routes = {one.path for one in public_routes(parts, Hosted.of(parts))}
    doors = {name.split(" as ")[0] for name in DOORS} - {SESSION} | {paths.SESSION}
    assert doors | TAKES_NOTHING == routes
    assert not doors & TAKES_NOTHING


@pytest.mark.parametrize("door", [ASSERTING, ADMINISTERING, *DOORS])
async def test_JW_2_a_kind_is_good_at_its_own_doors_and_at_no_other(api, spa, things, doors, door):
    browser, held = things
    assert len(held) >= 20
    good = {kind for kind, token in held.items() if await doors[door](api, spa, browser, token)}
    assert good == {kind for kind, where in GOOD if where == door}


async def test_JW_2_every_kind_of_jwt_has_a_type_of_its_own(things):
    _, held = things
    assert b'"typ":"at+jwt"' in types(held["access token"])
    assert b'"typ":"JWT"' in types(held["ID token"])
    assert b'"typ":"logout+jwt"' in types(held["logout token"])
    assert b'"typ": "dpop+jwt"' in types(held["DPoP proof"])
