"""DC: clients register themselves and manage what they registered (RFC 7591, RFC 7592)."""

import json
import re
from dataclasses import dataclass
from uuid import uuid4

import httpx2
import pytest
from authlib.oauth2.rfc7591 import ClientMetadataClaims

from keyturn.applications import public_app
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.parts import Parts
from keyturn.telemetry.logs import stderr_writer
from support import replicas
from support.api import joined
from support.browserless import CALLBACK, GOODBYE, Browserless, forms_of, told

REGISTER = "/oauth2/register"
WEB = {"client_name": "Orders", "redirect_uris": [CALLBACK]}
KEY = {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "one",
       "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
       "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}  # fmt: skip
EVERYTHING = {
    "redirect_uris": ["https://a.example/cb", "com.example.app:/cb"],
    "post_logout_redirect_uris": ["https://a.example/bye"],
    "backchannel_logout_uri": "https://a.example/out",
    "token_endpoint_auth_method": "client_secret_post",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "response_modes": ["query"],
    "client_name": "Everything",
    "client_uri": "https://a.example/",
    "logo_uri": "https://a.example/logo.png",
    "policy_uri": "https://a.example/privacy",
    "tos_uri": "https://a.example/terms",
    "scope": "openid email",
    "contacts": ["ops@a.example"],
    "software_id": "4NRB1-0XZABZI9E6-5SM3R",
    "software_version": "2.1",
    "jwks": {"keys": [KEY]},
    "require_pushed_authorization_requests": True,
    "require_signed_request_object": True,
}


@dataclass
class Registrar:
    """Speaks to the registration endpoint of one server, with an initial access token or none."""

    api: object
    initial: str | None

    async def register(self, members, *, initial=..., **options):
        token = self.initial if initial is ... else initial
        headers = {"authorization": f"Bearer {token}"} if token else {}
        headers["content-type"] = "application/json"
        content = json.dumps(members)  # escapes halves of characters, which UTF-8 cannot say
        return await self.api.callers[0].post(REGISTER, content=content, headers=headers, **options)

    async def registered(self, members=WEB, **changes):
        answer = await self.register({**members, **changes})
        assert answer.status_code == 201, answer.text
        said = answer.json()
        if "client_secret" in said:
            self.api.secrets[said["client_id"]] = said["client_secret"]
        return said

    async def known(self, members=WEB, **changes):
        """Register, and wait until every replica knows the client."""
        said = await self.registered(members, **changes)
        await self.api.settled()
        return said

    async def manage(self, method, client_id, token, **options):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        path = f"{REGISTER}/{client_id}"
        return await self.api.callers[0].request(method, path, headers=headers, **options)

    async def own(self, method, said, **options):
        token = said["registration_access_token"]
        return await self.manage(method, said["client_id"], token, **options)


def made(api, *words):
    done = api.keyturn("registration-tokens", "add", "tests", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def registrar(api):
    return Registrar(api, made(api, "--uses", "100000")["token"])


@pytest.fixture(scope="module")
async def anybody(api):
    """A third replica, where anybody may register; eight a day from this address."""
    environ = {
        **api.settings,
        "KEYTURN_REGISTRATION__MODE": "open",
        "KEYTURN_REGISTRATION__MOST_PER_ADDRESS": "8",
        "KEYTURN_THROTTLE__CLIENT_ATTEMPTS": "40",  # the tests before count, too
    }
    with replicas.replicas(environ) as (one,):
        async with joined(api, one) as running:
            yield Registrar(running, None)


async def row(api, client_id):
    return dict(await api.sql.fetchrow("select * from clients where id = $1", client_id))


# -- off, and who may ------------------------------------------------------------------------------


async def test_DC_1_it_is_off_by_default_as_if_it_were_not_there():
    parts = Parts.of(load_settings(replicas.settings("postgresql:///nowhere", None)), SystemClock())
    transport = httpx2.ASGITransport(app=public_app(parts, stderr_writer()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://inside") as caller:
        for method, path in [("POST", REGISTER), ("GET", f"{REGISTER}/x"), ("PUT", f"{REGISTER}/x"),
                             ("DELETE", f"{REGISTER}/x"), ("POST", "/oauth2/nowhere")]:  # fmt: skip
            answer = await caller.request(method, path, json={})
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found"), path
        document = (await caller.get("/.well-known/openid-configuration")).json()
    assert "registration_endpoint" not in document
    await parts.close()


async def test_the_metadata_name_it_when_it_is_on(api):
    for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        document = (await api.get(path)).json()
        assert document["registration_endpoint"] == api.issuer + REGISTER


@pytest.mark.parametrize("initial", [None, "", "kti_nobodys", "a b", ".."])
async def test_DC_1_without_a_good_initial_token_nobody_registers(api, registrar, initial):
    answer = await registrar.register(WEB, initial=initial)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_token"
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="keyturn"')
    assert ("invalid_token" in challenge) == bool(initial)


async def test_DC_1_an_initial_token_is_good_for_so_many_clients_so_long_until_revoked(
    api, registrar
):
    two = made(api, "--uses", "2")
    given = [await registrar.register(WEB, initial=two["token"]) for _ in range(3)]
    assert [one.status_code for one in given] == [201, 201, 403]
    assert given[2].json()["error"] == "too_many_clients"
    await api.events("registration_refused", result="failed")
    assert (await registrar.own("DELETE", given[0].json())).status_code == 204
    assert (await registrar.register(WEB, initial=two["token"])).status_code == 201
    assert api.keyturn("registration-tokens", "revoke", two["id"]).returncode == 0
    for act in ("registration_token_added", "registration_token_revoked"):
        done = await api.events(act, actor="cli")
        assert two["id"] in {json.loads(one["detail"])["invitation"] for one in done}
    assert (await registrar.register(WEB, initial=two["token"])).status_code == 401
    late = made(api)
    await api.sql.execute(
        "update registration_tokens set expires_at = now() where id = $1::uuid", late["id"]
    )
    assert (await registrar.register(WEB, initial=late["token"])).status_code == 401
    listed = json.loads(api.keyturn("registration-tokens", "list", "--json").stdout)["tokens"]
    found = {one["id"]: one for one in listed}
    assert (found[two["id"]]["used"], found[late["id"]]["used"]) == (2, 0)
    assert found[two["id"]]["revokedAt"] is not None
    assert two["token"] not in json.dumps(listed)


async def test_DC_1_an_initial_token_may_allow_fewer_scopes_then_and_later(api, registrar):
    narrow = made(api, "--scope", "openid")["token"]
    said = (await registrar.register({**WEB, "scope": "openid email"}, initial=narrow)).json()
    assert said["scope"] == "openid"
    update = {**WEB, "client_id": said["client_id"], "scope": "openid email orders.read"}
    assert (await registrar.own("PUT", said, json=update)).json()["scope"] == "openid"


# -- what is registered ----------------------------------------------------------------------------


async def test_what_was_registered_is_told_and_works(api, registrar):
    answer = await registrar.register(WEB)
    said = answer.json()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert said["client_id"].startswith("dyn-")
    assert said["registration_client_uri"] == f"{api.issuer}{REGISTER}/{said['client_id']}"
    assert said["client_secret_expires_at"] == 0
    assert len(said["registration_access_token"]) >= 47
    assert said["scope"] == "email offline_access openid orders.read profile"
    assert said["response_types"] == ["code"]
    assert said["grant_types"] == ["authorization_code"]
    assert said["token_endpoint_auth_method"] == "client_secret_basic"
    ClientMetadataClaims(said, {}, {}, {}).validate()
    await api.events("client_registered", client_id=said["client_id"])


async def test_a_client_that_registered_signs_people_in(api, registrar):
    said = await registrar.known(grant_types=["authorization_code", "refresh_token"])
    given = await Browserless(api).tokens(said["client_id"], await api.person(), scope="openid")
    assert given["id_token"]
    refreshed = await api.token(
        said["client_id"], grant_type="refresh_token", refresh_token=given["refresh_token"]
    )
    assert refreshed.status_code == 200
    used = await api.sql.fetchval(
        "select first_used_at from registrations where client_id = $1", said["client_id"]
    )
    assert used is not None


async def test_every_member_comes_back_as_it_was_sent(registrar):
    said = await registrar.registered(EVERYTHING)
    for member, value in EVERYTHING.items():
        expected = sorted(value) if isinstance(value, list) and member != "contacts" else value
        if member == "scope":
            expected = "email openid"
        assert said[member] == expected, member
    read = (await registrar.own("GET", said)).json()
    assert read == {k: v for k, v in said.items() if not k.startswith("client_secret")}


async def test_dpop_bound_access_tokens_is_a_member(api, registrar):
    said = await registrar.registered(dpop_bound_access_tokens=True)
    assert said["dpop_bound_access_tokens"] is True
    assert (await row(api, said["client_id"]))["require_dpop"] is True


async def test_a_public_client_has_no_secret_and_pages_where_its_redirect_uris_are(api, registrar):
    uris = ["https://spa.example/cb", "https://SPA.example:443/x", "http://127.0.0.1/cb",
            "com.example.app:/cb"]  # fmt: skip
    said = await registrar.registered(redirect_uris=uris, token_endpoint_auth_method="none")
    assert "client_secret" not in said
    stored = await row(api, said["client_id"])
    assert stored["kind"] == "public"
    assert stored["secret_hash"] is None
    assert stored["origins"] == ["http://127.0.0.1", "https://spa.example"]
    assert (await row(api, (await registrar.registered())["client_id"]))["origins"] == []


FORBIDDEN = {
    "client_id": "mine", "id": "mine", "client_secret": "mine" * 20, "kind": "public",
    "trusted": True, "session_api": True, "skip_consent": True, "require_pkce": False,
    "introspects": ["https://api.example.com"], "claims": ["email"], "id_token_claims": ["email"],
    "token_exchange": {"subject_clients": ["app"]}, "profile": "fapi2", "rotation": False,
    "grace": 60, "access_token_lifetime": 3600, "idle_lifetime": 10**7, "absolute_lifetime": 10**7,
    "audiences": ["https://other.example"], "audience": "https://other.example",
    "origins": ["https://evil.example"], "self_registered": False, "declared": True,
    "disabled_at": None, "disabled": False, "secret_hash": "00" * 32, "roles": ["admin"],
    "admin": True, "registration_access_token": "ktr_mine", "client_id_issued_at": 1,
    "client_secret_expires_at": 1, "scopes": ["keyturn.admin.write"],
}  # fmt: skip
"""What is an operator's to give, and what is nobody's."""
SERVERS = ("id", "secret_hash", "secret_set_at", "created_at", "updated_at", "name")


async def test_DC_1_what_is_not_theirs_to_set_is_ignored_whoever_sends_it(api, registrar):
    plain = await registrar.registered()
    greedy = await registrar.registered(**FORBIDDEN)
    scope = await registrar.registered(scope="openid keyturn.admin.write orders.write orders.read")
    assert scope["scope"] == "openid orders.read"
    wanted = await row(api, plain["client_id"])
    assert wanted["self_registered"] is True
    assert (wanted["skip_consent"], wanted["session_api"]) == (False, False)
    stored = await row(api, greedy["client_id"])
    assert {k: v for k, v in stored.items() if k not in SERVERS} == {
        k: v for k, v in wanted.items() if k not in SERVERS
    }
    assert set(greedy) == set(plain)
    assert greedy["client_secret"].startswith("kts_")
    update = {**WEB, **FORBIDDEN, "client_id": greedy["client_id"],
              "client_secret": greedy["client_secret"]}  # fmt: skip
    assert (await registrar.own("PUT", greedy, json=update)).status_code == 200
    after = await row(api, greedy["client_id"])
    assert {**after, "updated_at": None} == {**stored, "updated_at": None}


NOT_ALLOWED = {
    "client_credentials": {"grant_types": ["client_credentials"]},
    "token exchange": {"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]},
    "implicit": {"grant_types": ["implicit"], "response_types": ["token"]},
    "hybrid": {"response_types": ["code id_token"]},
    "a device that gets codes": {"grant_types": ["refresh_token"], "response_types": ["code"],
                                 "redirect_uris": None},
    "administrative scopes alone": {"scope": "keyturn.admin.write"},
    "a scope that is no text": {"scope": ["openid"]},
    "an unknown method": {"token_endpoint_auth_method": "tls_client_auth"},
    "no method": {"token_endpoint_auth_method": ["none"]},
    "a name of another type": {"client_name": 7},
    "a name that hides": {"client_name": "Bank\N{RIGHT-TO-LEFT OVERRIDE}"},
    "a name with NUL": {"client_name": "a\0"},
    "an endless name": {"client_name": "n" * 201},
    "a switch that is a word": {"dpop_bound_access_tokens": "yes"},
    "private keys": {"jwks": {"keys": [{**KEY, "d": KEY["x"]}]}},
    "a shared key": {"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}},
    "keys twice": {"jwks": {"keys": [KEY]}, "jwks_uri": "https://a.example/jwks"},
    "keys with NUL": {"jwks": {"keys": [{**KEY, "kid": "a\0"}]}},
    "keys with half a character": {"jwks": {"keys": [KEY], "x": "\ud800"}},
    "no keys": {"token_endpoint_auth_method": "private_key_jwt"},
    "keys by http": {"jwks_uri": "http://a.example/jwks"},
    "keys of this machine": {"jwks_uri": "https://127.0.0.1/jwks"},
    "keys of the cloud": {"jwks_uri": "https://169.254.169.254/jwks"},
    "logouts of this machine": {"backchannel_logout_uri": "https://[::1]/out"},
    "another ID token": {"id_token_signed_response_alg": "none"},
    "pairwise subjects": {"subject_type": "pairwise"},
    "too many contacts": {"contacts": ["a@b.example"] * 11},
    **{f"{member} by {uri}": {member: uri}
       for member in ("logo_uri", "client_uri", "policy_uri", "tos_uri")
       for uri in ("http://a.example/", "javascript:alert(1)", "data:text/html,x", "https:///x")},
    "a link that reads like another's": {"client_uri": "https://bank.example@a.example/"},
    "a link with NUL behind it": {"tos_uri": "https://a.example/#\0"},
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_ALLOWED)
async def test_DC_1_what_is_not_allowed_is_refused_and_says_where(api, registrar, case):
    before = await api.sql.fetchval("select count(*) from registrations")
    answer = await registrar.register({**WEB, **NOT_ALLOWED[case]})
    assert answer.status_code == 400, answer.text
    said = answer.json()
    assert said["error"] == "invalid_client_metadata"
    assert set(said["members"]) <= set(NOT_ALLOWED[case]) | {"jwks"}
    assert said["members"]
    assert await api.sql.fetchval("select count(*) from registrations") == before


UNFIT = [
    "https://a.example/cb#f", "https://a.example/cb#", "javascript:alert(1)", "JavaScript:alert(1)",
    "data:text/html,x", "file:///etc/passwd", "vbscript:x", "http://a.example/cb",
    "https://user@a.example/cb", "https://user:pw@a.example/cb", "https://*.a.example/cb",
    "https://a.example/*", "/cb", "", "//a.example/cb", "https://", "https:///cb", "myapp:/cb",
    "myapp://cb", "https://a.example/c b", "https://a.example/\n", "https://a.example/\0",
    "https://a.example\\@evil.example/", "http://127.0.0.1.evil.example/cb",
    "https://a.example:99999/cb", "https://a.example/" + "x" * 600, 7, None, ["https://a.example"],
]  # fmt: skip


@pytest.mark.parametrize("uri", UNFIT)
async def test_RU_4_an_unfit_redirect_uri_is_never_registered(api, registrar, uri):
    said = await registrar.registered()
    for members in ([uri], ["https://a.example/cb", uri]):
        update = {"client_id": said["client_id"], "redirect_uris": members}
        for answer in (
            await registrar.register({"redirect_uris": members}),
            await registrar.own("PUT", said, json=update),
        ):
            assert answer.status_code == 400, answer.text
            assert answer.json()["error"] == "invalid_redirect_uri"
            assert answer.json()["members"] == ["redirect_uris"]
    assert (await row(api, said["client_id"]))["redirect_uris"] == [CALLBACK]


@pytest.mark.parametrize("uris", [[], None, "https://a.example/cb", {}, ["https://a.example/"] * 2])
async def test_RU_4_the_list_itself_must_be_one(registrar, uris):
    answer = await registrar.register({"redirect_uris": uris})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize("uri", ["https://a.example/cb?x=1", "http://127.0.0.1/cb",
                                 "http://[::1]:80/cb", "http://localhost:3000/cb",
                                 "com.example.app:/cb"])  # fmt: skip
async def test_RU_4_a_fit_one_is(registrar, uri):
    assert (await registrar.registered(redirect_uris=[uri]))["redirect_uris"] == [uri]


async def test_a_software_statement_is_not_believed(registrar):
    answer = await registrar.register({**WEB, "software_statement": "eyJhbGciOiJub25lIn0.e30."})
    assert (answer.status_code, answer.json()["error"]) == (400, "unapproved_software_statement")


BODIES = {
    "a form": (b"a=b", "application/x-www-form-urlencoded", 415),
    "no type": (b"{}", None, 415),
    "another charset": (b"{}", "application/json; charset=latin-1", 415),
    "no JSON": (b"{", "application/json", 400),
    "a list": (b"[]", "application/json", 400),
    "a member twice": (b'{"redirect_uris": ["https://a.example/"], "redirect_uris": []}',
                       "application/json", 400),
    "a key twice": (b'{"jwks": {"keys": [], "keys": []}}', "application/json", 400),
    "no number": (b'{"a": NaN}', "application/json", 400),
    "too deep": (b'{"a":' * 3000, "application/json", 400),
    "no UTF-8": (b'{"client_name": "\xff"}', "application/json", 400),
    "too large": (b'{"client_name": "' + b"x" * 20000 + b'"}', "application/json", 413),
}  # fmt: skip


@pytest.mark.parametrize("case", BODIES)
async def test_only_one_json_object_is_read(api, registrar, case):
    content, kind, status = BODIES[case]
    headers = {"authorization": f"Bearer {registrar.initial}"}
    headers |= {"content-type": kind} if kind else {}
    answer = await api.callers[0].post(REGISTER, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert "members" not in answer.json()


# -- managing --------------------------------------------------------------------------------------


async def test_an_update_replaces_everything_that_is_theirs(api, registrar):
    said = await registrar.registered(EVERYTHING)
    update = {"client_id": said["client_id"], "client_secret": said["client_secret"],
              "redirect_uris": ["https://b.example/cb"], "client_name": "Other"}  # fmt: skip
    answer = await registrar.own("PUT", said, json=update)
    assert answer.status_code == 200, answer.text
    now = answer.json()
    assert now["registration_access_token"] == said["registration_access_token"]
    assert now["redirect_uris"] == ["https://b.example/cb"]
    assert now["client_name"] == "Other"
    assert set(EVERYTHING) - set(now) == {
        "post_logout_redirect_uris", "backchannel_logout_uri", "client_uri", "logo_uri",
        "policy_uri", "tos_uri", "contacts", "software_id", "software_version", "jwks",
    }  # fmt: skip
    assert now["require_pushed_authorization_requests"] is False
    assert (await registrar.own("GET", said)).json() == now
    await api.events("client_updated", client_id=said["client_id"])


async def test_an_update_keeps_what_operators_set_and_takes_their_trust_back(api, registrar):
    said = await registrar.registered()
    await api.sql.execute(
        "update clients set skip_consent = true, access_token_lifetime = '90 s' where id = $1",
        said["client_id"],
    )
    assert (
        await registrar.own("PUT", said, json={**WEB, "client_id": said["client_id"]})
    ).status_code == 200
    stored = await row(api, said["client_id"])
    assert (stored["skip_consent"], stored["access_token_lifetime"].seconds) == (False, 90)


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"client_id": None}, "client_id"),
        ({"client_id": "demo"}, "client_id"),
        ({"client_secret": "kts_wrong"}, "client_secret"),
        ({"client_secret": 7}, "client_secret"),
        ({"client_secret": "\ud800"}, "client_secret"),
        ({"token_endpoint_auth_method": "none"}, "token_endpoint_auth_method"),
    ],
)
async def test_an_update_names_its_client_and_changes_no_kind(api, registrar, changes, member):
    said = await registrar.registered()
    before = await row(api, said["client_id"])
    update = {**WEB, "client_id": said["client_id"], **changes}
    answer = await api.callers[0].put(
        f"{REGISTER}/{said['client_id']}",
        content=json.dumps(update),
        headers={
            "authorization": f"Bearer {said['registration_access_token']}",
            "content-type": "application/json",
        },
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert answer.json()["members"] == [member]
    assert await row(api, said["client_id"]) == before


async def test_who_goes_over_to_a_secret_gets_a_new_one(api, registrar):
    by_key = await registrar.registered(
        token_endpoint_auth_method="private_key_jwt", jwks={"keys": [KEY]}
    )
    assert "client_secret" not in by_key
    update = {**WEB, "client_id": by_key["client_id"]}
    now = (await registrar.own("PUT", by_key, json=update)).json()
    assert now["client_secret"].startswith("kts_")
    assert now["client_secret_expires_at"] == 0
    again = (await registrar.own("PUT", by_key, json=update)).json()
    assert "client_secret" not in again


async def test_DC_2_a_token_manages_its_own_client_and_no_other(api, registrar):
    mine, other = await registrar.registered(), await registrar.registered(client_name="Other")
    before = await row(api, other["client_id"])
    token = mine["registration_access_token"]
    answers = set()
    for client_id in (other["client_id"], "app", "machine", "dyn-nobody", "é"):
        for method in ("GET", "PUT", "DELETE"):
            body = {"json": {**WEB, "client_id": client_id}} if method == "PUT" else {}
            answer = await registrar.manage(method, client_id, token, **body)
            answers.add((answer.status_code, answer.text, answer.headers["www-authenticate"]))
    assert len(answers) == 1, "an answer tells which clients exist"
    ((status, _, challenge),) = answers
    assert status == 401
    assert 'error="invalid_token"' in challenge
    assert await row(api, other["client_id"]) == before
    for wrong in (None, "", registrar.initial, "ktr_", token[:-1], token + "A", token.upper()):
        answer = await registrar.manage("GET", mine["client_id"], wrong)
        assert answer.status_code == 401
    assert (await registrar.own("GET", mine)).status_code == 200


async def test_DC_2_tokens_are_kept_as_hashes_only(api, registrar):
    said = await registrar.registered()
    text = str(await api.sql.fetch("select r::text from registrations r"))
    text += str(await api.sql.fetch("select t::text from registration_tokens t"))
    text += str(await api.sql.fetch("select c::text from clients c"))
    for secret in (said["registration_access_token"], said["client_secret"], registrar.initial):
        assert secret not in text
    assert said["client_id"] in text


async def test_a_deleted_client_is_closed_for_good_and_its_sessions_end(api, registrar):
    said = await registrar.known(grant_types=["authorization_code", "refresh_token"])
    client_id, person = said["client_id"], await api.person()
    given = await Browserless(api).tokens(client_id, person, scope="openid")
    answer = await registrar.own("DELETE", said)
    assert (answer.status_code, answer.content) == (204, b"")
    await api.settled()
    assert (await registrar.own("GET", said)).status_code == 401
    assert (await registrar.own("DELETE", said)).status_code == 401
    refreshed = await api.token(
        client_id, grant_type="refresh_token", refresh_token=given["refresh_token"]
    )
    assert (refreshed.status_code, refreshed.json()["error"]) == (401, "invalid_client")
    ended = await api.sql.fetch("select * from sessions where client_id = $1", client_id)
    assert [one["revoke_reason"] for one in ended] == ["client_deleted"]
    assert await api.goes_inactive(given["access_token"])
    assert api.keyturn("clients", "enable", client_id).returncode == 1
    assert (await row(api, client_id))["disabled_at"] is not None
    await api.events("client_deleted", client_id=client_id)


async def test_the_token_of_a_client_that_operators_closed_or_took_over_is_refused(api, registrar):
    closed, taken = await registrar.registered(), await registrar.registered()
    assert api.keyturn("clients", "disable", closed["client_id"]).returncode == 0
    await api.sql.execute("update clients set declared = true where id = $1", taken["client_id"])
    for said in (closed, taken):
        assert (await registrar.own("GET", said)).status_code == 401
    assert api.keyturn("clients", "enable", closed["client_id"]).returncode == 0
    assert (await registrar.own("GET", closed)).status_code == 200


async def test_other_methods_are_not_allowed(registrar):
    answer = await registrar.manage("POST", "x", None)
    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")
    answer = await registrar.api.callers[0].get(REGISTER)
    assert answer.status_code == 405


async def test_pages_of_other_origins_read_nothing(registrar):
    headers = {"origin": "https://spa.example", "access-control-request-method": "POST"}
    answer = await registrar.api.callers[0].options(REGISTER, headers=headers)
    assert not [one for one in answer.headers if one.startswith("access-control")]


# -- open ------------------------------------------------------------------------------------------


async def test_DC_2_anybody_may_register_where_it_is_open_a_few_a_day(anybody):
    given = [await anybody.register(WEB) for _ in range(9)]
    assert [one.status_code for one in given] == [201] * 8 + [429]
    assert given[-1].json()["error"] == "too_many_requests"
    assert int(given[-1].headers["retry-after"]) > 0
    # What is deleted was registered all the same.
    assert (await anybody.own("DELETE", given[0].json())).status_code == 204
    assert (await anybody.register(WEB)).status_code == 429
    # Who has a token is not held against its address; a bad one is no way in.
    assert (await anybody.register(WEB, initial="kti_bad")).status_code == 401
    # Nonsense is counted, too; twice as often where Redis was late and the process counted.
    statuses = [(await anybody.register({})).status_code for _ in range(90)]
    assert set(statuses) == {400, 429} or set(statuses) == {429}
    assert statuses[-1] == 429


# -- people ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["query", "form_post"])
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "openid bogus", "prompt": "none"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
    ],
)
async def test_AZ_8_a_refusal_before_anybody_did_anything_is_shown_not_sent(
    api, phisher, changes, error, mode
):
    browser = Browserless(api)
    page = await browser.authorize(phisher, response_mode=mode, **changes)
    assert page.status_code == 400
    assert "location" not in page.headers
    assert page.headers["content-type"].startswith("text/html")
    assert "refresh" not in page.headers
    assert "<script" not in page.text
    assert "app.example.com" in page.text
    assert "registered itself" in page.text
    if mode == "form_post":
        form = forms_of(page)["answer"]
        assert (form.method, form.action) == ("post", CALLBACK)
        sent = form.fields
    else:
        link = re.search(r'id="continue" rel="noopener noreferrer nofollow" href="([^"]+)"',
                         page.text)[1]  # fmt: skip
        query = link.replace("&amp;", "&").removeprefix(CALLBACK + "?")
        sent = dict(httpx2.QueryParams(query))
    assert sent["error"] == error
    assert sent["state"] == "st-1"
    assert sent["iss"] == api.issuer


async def test_AZ_8_what_operators_registered_is_answered_at_once(api, rp):
    answer = await Browserless(api).authorize(rp, prompt="none")
    assert told(answer)["error"] == "login_required"


async def test_AZ_8_who_said_no_is_sent_back_at_once(api, phisher):
    browser = Browserless(api)
    question = await browser.sign_in(await browser.authorize(phisher), await api.person())
    assert told(await browser.submit(question, "consent", "deny"))["error"] == "access_denied"


async def test_AZ_8_a_sign_out_where_nobody_is_signed_in_leads_to_no_stranger(api, registrar, rp):
    said = await registrar.known(post_logout_redirect_uris=[GOODBYE])
    person = await api.person()
    for client_id, leads_on in ((said["client_id"], False), (rp, True)):
        browser = Browserless(api)
        given = await browser.tokens(client_id, person, scope="openid")
        asked = {"id_token_hint": given["id_token"], "post_logout_redirect_uri": GOODBYE}
        stranger = await Browserless(api).open("/oauth2/logout", asked)
        assert (stranger.headers.get("location") == GOODBYE) is leads_on
        own = await browser.open("/oauth2/logout", asked)
        assert own.headers["location"] == GOODBYE, "who is signed in there meant it"


HOSTILE = '<svg/onload=alert(1)> & "it" {{7*7}}'
LINKED = {
    "client_name": HOSTILE,
    "redirect_uris": [CALLBACK],
    "client_uri": "https://a.example/?a='&b=1",
    "policy_uri": "https://b.example/privacy#part",
    "tos_uri": "https://c.example/terms",
    "logo_uri": "https://d.example/logo.svg",
}


@pytest.fixture(scope="module")
async def phisher(registrar):
    return (await registrar.known(LINKED))["client_id"]


async def test_SS_3_P11_people_are_told_who_asks_and_links_are_links_only(api, phisher):
    browser = Browserless(api)
    asked = await browser.authorize(phisher)
    assert "login" in forms_of(asked)
    page = await browser.sign_in(asked, await api.person())
    assert "consent" in forms_of(page)
    check_what_is_said_of_the_client(asked)
    check_what_is_said_of_the_client(page)


def check_what_is_said_of_the_client(page):
    assert "Nobody here has checked" in page.text
    links = re.findall(r'<a href="(https://[abcd]\.example[^"]*)" ([^>]*)>([^<]+)</a> \(([^)]+)\)',
                       page.text)  # fmt: skip
    assert [(one[0], one[2], one[3]) for one in links] == [
        ("https://a.example/?a=&#39;&amp;b=1", "Website", "a.example"),
        ("https://b.example/privacy#part", "Privacy policy", "b.example"),
        ("https://c.example/terms", "Terms of service", "c.example"),
        ("https://d.example/logo.svg", "Logo", "d.example"),
    ]
    assert {one[1] for one in links} == {'target="_blank" rel="noopener noreferrer nofollow"'}
    assert not re.search(r"<(img|script|iframe|object|link)[^>]*example", page.text)
    policy = page.headers["content-security-policy"]
    assert not re.search(r"[abcd]\.example", policy)
    assert "img-src 'self' data:;" in policy


async def test_WB_6_names_and_links_are_shown_escaped(api, phisher):
    browser = Browserless(api)
    warned = await browser.authorize(phisher, prompt="none", state=HOSTILE)
    posted = await browser.authorize(
        phisher, prompt="none", state=HOSTILE, response_mode="form_post"
    )
    question = await browser.sign_in(await browser.authorize(phisher), await api.person())
    for page in (warned, posted, question):
        assert "<svg" not in page.text
        assert "{{7*7}}" in page.text
        assert "&lt;svg/onload=alert(1)&gt;" in page.text


async def test_consent_of_what_operators_registered_says_nothing_of_the_kind(api, rp):
    browser = Browserless(api)
    asked = await browser.authorize(rp)
    page = await browser.sign_in(asked, await api.person())
    assert "consent" in forms_of(page)
    for one in (asked, page):
        assert "Nobody here has checked" not in one.text
        assert 'id="links"' not in one.text


async def test_people_are_asked_whatever_the_client_says(api, registrar):
    said = await registrar.known(skip_consent=True)
    browser = Browserless(api)
    page = await browser.sign_in(await browser.authorize(said["client_id"]), await api.person())
    assert "consent" in forms_of(page)


def test_the_commands_refuse_what_makes_no_sense(api):
    for words in (["--scope", "keyturn.admin.write"], ["--scope", "unknown"]):
        assert api.keyturn("registration-tokens", "add", "x", *words).returncode == 1
    for words in (["--uses", "0"], ["--expires-in", "0"], ["--expires-in", str(10**18)]):
        assert api.keyturn("registration-tokens", "add", "x", *words).returncode == 2
    assert api.keyturn("registration-tokens", "revoke", str(uuid4())).returncode == 1
    assert api.keyturn("registration-tokens", "list").stdout.count("tests") >= 1
