"""JW-1 to JW-9: access tokens, and what an attacker makes of them, at the doors of real servers.

The verifier itself is attacked in `test_jwt_attacks.py`; here every attack goes over HTTP to each
door that takes an access token, and a sink listens: nobody may call it, whatever a header says.
"""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwe
from joserfc.jwk import RSAKey

from keyturn.errors import AccountExists, InvalidClientMetadata
from keyturn.users.model import NewUser
from support.api import APP, MACHINE, OTHER_AUDIENCE, PASSWORD, claims_of
from support.browserless import GOODBYE, request_of, told
from support.forging import Forger, b64, thumbprint, unb64
from support.replicas import AUDIENCE, ORIGIN

ME, SESSIONS, INTROSPECT = "/auth/me", "/auth/sessions", "/oauth2/introspect"
USERINFO = "/oauth2/userinfo"
NO_FORM = "form: not three base64url segments"
BAD_SIGNATURE = "signature: BadSignatureError"


@pytest.fixture(scope="module")
async def device(api):
    """A device of which a session is imitated; nothing of what is tried may harm it."""
    return await api.sign_in(await api.person())


@dataclass
class Sink:
    """A listener that nobody has a reason to call."""

    port: int = 0
    calls: int = 0
    _called: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def take(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        writer.close()

    @classmethod
    @asynccontextmanager
    async def listening(cls) -> AsyncIterator["Sink"]:
        sink = cls()
        async with await asyncio.start_server(sink.take, "127.0.0.1", 0) as server:
            sink.port = server.sockets[0].getsockname()[1]
            yield sink


@pytest.fixture(scope="module")
async def sink():
    async with Sink.listening() as sink:
        yield sink


@pytest.fixture(scope="module")
async def forger(api, device, sink):
    return replace(await Forger.of(api, device), sink=sink.url)


@pytest.fixture(scope="module")
def thief():
    """Somebody else's RSA key."""
    return rsa.generate_private_key(65537, 2048)


async def is_refused_everywhere(api, token, detail):
    """Each door says 401 and hides why; introspection says nothing but "inactive"."""
    for path in (ME, SESSIONS, USERINFO):
        answer = await api.get(path, headers={"authorization": f"Bearer {token}"})
        assert await api.refusal(answer) == (401, "invalid_token", detail)
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    answer = await api.form(INTROSPECT, "reader", token=token)
    assert (answer.status_code, answer.content) == (200, b'{"active":false}')


async def is_accepted_everywhere(api, token):
    for path in (ME, SESSIONS):
        answer = await api.get(path, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
    assert await api.is_active(token)


# -- JW-1 ---------------------------------------------------------------------------------------


async def test_JW_1_a_session_s_token_is_a_typed_access_token_with_these_claims_and_no_others(
    api, device
):
    header = api_header(device.access_token)
    assert header == {"alg": "RS256", "typ": "at+jwt", "kid": header["kid"]}
    claims = claims_of(device.access_token)
    assert set(claims) == {
        *("iss", "sub", "aud", "client_id", "exp", "iat", "jti"),
        *("sid", "status", "scope", "auth_time", "acr", "amr"),
    }
    assert (claims["iss"], claims["client_id"]) == (api.issuer, "app")
    assert claims["aud"] == [AUDIENCE, api.issuer]
    assert claims["sid"] == str(device.session_id)
    assert claims["scope"] == "orders.read orders.write"
    assert claims["exp"] - claims["iat"] == 600
    assert abs(claims["auth_time"] - claims["iat"]) <= 1
    assert abs(claims["iat"] - time.time()) < 120


async def test_JW_1_a_machine_s_token_has_no_session_and_lives_five_minutes(api):
    token = (await api.token("machine", grant_type="client_credentials")).json()["access_token"]
    claims = claims_of(token)
    assert set(claims) == {"iss", "sub", "aud", "client_id", "exp", "iat", "jti", "scope"}
    assert claims["sub"] == claims["client_id"] == "machine"
    assert claims["exp"] - claims["iat"] == 300
    assert api_header(token)["typ"] == "at+jwt"


def api_header(token: str) -> dict:
    return claims_of("." + token)


# -- JW-2: every kind of token at every door -----------------------------------------------------


@dataclass(frozen=True)
class Wallet:
    """One of each kind of secret somebody may hold, and whom they belong to."""

    device: object
    kinds: dict[str, str]


@pytest.fixture(scope="module")
async def wallet(api, forger):
    person = await api.person()
    device = await api.sign_in(person)
    cookie = await api.login(person, transport="cookie", headers={"origin": ORIGIN})
    machine = await api.token("machine", grant_type="client_credentials")
    about = {"sub": str(person.id), "sid": str(device.session_id)}
    return Wallet(
        device,
        {
            "access token": device.access_token,
            "machine's access token": machine.json()["access_token"],
            "refresh token": device.refresh_token,
            "cookie": cookie.cookies[api.cookie_name("app")],
            "client secret": api.secrets["machine"],
            "password": PASSWORD,
            "session id": str(device.session_id),
            "user id": str(person.id),
            "jti": claims_of(device.access_token)["jti"],
            "ID token": forger.signed(forger.header | {"typ": "JWT"}, forger.body(**about)),
            "logout token": forger.signed(
                forger.header | {"typ": "logout+jwt"}, forger.body(**about)
            ),
        },
    )


NO_AT_JWT = {"ID token": "typ: not at+jwt", "logout token": "typ: not at+jwt"}
FOR_ANOTHER = {"machine's access token": "aud: not for this audience"}


async def bearer(api, path, token):
    return await api.get(path, headers={"authorization": f"Bearer {token}"})


async def as_credential(api, path, token, **members):
    return await api.post(path, {"refreshToken": token, **members})


DOORS: dict[str, tuple[Callable, set[str], tuple[int, str], Callable[[str], str]]] = {
    "GET /auth/me": (
        lambda api, token, _: bearer(api, ME, token),
        {"access token"},
        (401, "invalid_token"),
        lambda kind: {**NO_AT_JWT, **FOR_ANOTHER}.get(kind, NO_FORM),
    ),
    "GET /auth/sessions": (
        lambda api, token, _: bearer(api, SESSIONS, token),
        {"access token"},
        (401, "invalid_token"),
        lambda kind: {**NO_AT_JWT, **FOR_ANOTHER}.get(kind, NO_FORM),
    ),
    "POST /oauth2/token refresh_token": (
        lambda api, token, wallet: api.refresh(wallet.device, token),
        {"refresh token", "cookie"},
        (400, "invalid_grant"),
        lambda _: "refresh token: malformed",
    ),
    "POST /oauth2/token Basic": (
        lambda api, token, _: api.callers[0].post(
            "/oauth2/token", data={"grant_type": "client_credentials"}, auth=("machine", token)
        ),
        {"client secret"},
        (401, "invalid_client"),
        lambda _: "client: wrong secret",
    ),
    "POST /auth/refresh": (
        lambda api, token, _: as_credential(api, "/auth/refresh", token),
        {"refresh token", "cookie"},
        (401, "invalid_grant"),
        lambda _: "refresh token: malformed",
    ),
    "POST /auth/reauthenticate": (
        lambda api, token, _: as_credential(api, "/auth/reauthenticate", token, password=PASSWORD),
        {"refresh token", "cookie"},
        (401, "invalid_grant"),
        lambda _: "refresh token: malformed",
    ),
    "POST /auth/logout-all": (
        lambda api, token, _: as_credential(api, "/auth/logout-all", token),
        set(),
        (401, "invalid_grant"),
        lambda _: "refresh token: malformed",
    ),
    "POST /auth/password": (
        lambda api, token, _: as_credential(
            api, "/auth/password", token, newPassword="not for thieves"
        ),
        set(),
        (401, "invalid_grant"),
        lambda _: "refresh token: malformed",
    ),
    "DELETE /auth/sessions/{id}": (
        lambda api, token, wallet: api.post(
            f"/auth/sessions/{wallet.device.session_id}", {"refreshToken": token}, method="DELETE"
        ),
        set(),
        (401, "invalid_grant"),
        lambda _: "refresh token: malformed",
    ),
}
"""Request, kinds it takes (none where taking it would end the session), the refusal, its detail."""


@pytest.mark.parametrize("door", DOORS)
async def test_JW_2_each_door_takes_its_own_kind_of_token_and_no_other(api, wallet, door):
    ask, takes, refusal, detail = DOORS[door]
    for kind, token in wallet.kinds.items():
        if not takes and kind in {"refresh token", "cookie"}:
            continue
        answer = await ask(api, token, wallet)
        if kind in takes:
            assert answer.status_code == 200, (kind, answer.text)
        else:
            assert await api.refusal(answer) == (*refusal, detail(kind)), kind
    row = await api.row(wallet.device)
    assert (
        row["revoked_at"],
        (await bearer(api, ME, wallet.kinds["access token"])).status_code,
    ) == (
        None,
        200,
    )


async def test_JW_2_introspection_knows_access_tokens_only(api, wallet):
    for kind, token in wallet.kinds.items():
        answer = await api.form(INTROSPECT, "reader", token=token)
        if kind.endswith("access token"):
            assert answer.json()["active"] is True, kind
        else:
            assert (answer.status_code, answer.content) == (200, b'{"active":false}'), kind


@pytest.mark.parametrize("path", ["/oauth2/revoke", "/auth/logout"])
async def test_JW_2_what_ends_sessions_ends_none_for_another_kind_of_token(api, wallet, path):
    for kind, token in wallet.kinds.items():
        if kind in {"refresh token", "cookie"} or (kind, path) == (
            "access token",
            "/oauth2/revoke",
        ):
            continue
        if path == "/auth/logout":
            assert (await as_credential(api, path, token)).status_code == 204, kind
        else:
            answer = await api.form(path, "app", token=token)
            assert (answer.status_code, answer.content) == (200, b""), kind
    await is_accepted_everywhere(api, wallet.kinds["access token"])
    assert await api.is_active(wallet.kinds["machine's access token"])


async def test_JW_2_a_machine_is_nobody_even_with_a_token_addressed_to_us(api, forger):
    """Its client could have our issuer among its audiences: it still has no session here."""
    claims = forger.body(client_id="machine", sub="machine", sid=..., aud=[AUDIENCE, api.issuer])
    answer = await bearer(api, ME, forger.signed(claims=claims))
    detail = "bearer: of a client that has no session API"
    assert await api.refusal(answer) == (401, "invalid_token", detail)
    answer = await bearer(api, ME, forger.signed(claims=forger.body(sid=...)))
    assert await api.refusal(answer) == (401, "invalid_token", "bearer: of no session")


# -- JW-3, JW-4, JW-5: forged headers and signatures ---------------------------------------------


async def test_JW_3_an_imitation_by_our_own_key_is_accepted_so_each_refusal_has_one_reason(
    api, forger
):
    await is_accepted_everywhere(api, forger.signed())
    answer = await bearer(api, USERINFO, forger.signed(claims=forger.body(scope="openid")))
    assert answer.json()["sub"] == forger.claims["sub"]


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, "rs256"], ids=repr)
async def test_JW_3_unsigned_tokens_are_refused_however_they_spell_it(api, forger, alg):
    header = forger.header | {"alg": alg}
    for proof in ("", "AAAA", b64(forger.rs256(forger.segments(header)))):
        token = f"{forger.segments(header)}.{proof}"
        await is_refused_everywhere(api, token, "alg: not allowed")


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
async def test_JW_3_the_public_key_is_no_hmac_secret_in_any_form(api, forger, alg):
    text = forger.segments(forger.header | {"alg": alg})
    for key in forger.public_half().values():
        mac = hmac.new(key, text.encode(), alg.replace("HS", "sha")).digest()
        await is_refused_everywhere(api, f"{text}.{b64(mac)}", "alg: not allowed")


async def test_JW_3_nor_under_the_name_of_rs256(api, forger):
    text = forger.segments()
    for key in forger.public_half().values():
        mac = hmac.new(key, text.encode(), "sha256").digest()
        await is_refused_everywhere(api, f"{text}.{b64(mac)}", BAD_SIGNATURE)


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256", "ES256", "EdDSA"])
async def test_JW_3_other_algorithms_are_refused_by_name(api, forger, alg):
    token = forger.signed(forger.header | {"alg": alg})
    await is_refused_everywhere(api, token, "alg: not allowed")


async def test_JW_3_signatures_of_another_make_are_none(api, forger, thief):
    text = forger.segments()
    pss = forger.key.sign(text.encode(), padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    der = ec.generate_private_key(ec.SECP256R1()).sign(text.encode(), ec.ECDSA(SHA256()))
    r, s = utils.decode_dss_signature(der)
    elliptic = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    stolen = unb64(forger.signed(claims=forger.body()).rsplit(".", 1)[1])
    for proof in (pss, elliptic, stolen, b"\0" * 256, forger.with_key(thief).rs256(text)):
        await is_refused_everywhere(api, f"{text}.{b64(proof)}", BAD_SIGNATURE)


def brings_a_key(forger: Forger, thief: rsa.RSAPrivateKey) -> dict[str, dict]:
    public = RSAKey.import_key(thief.public_key()).as_dict(private=False)
    return {
        "jwk": {"jwk": public},
        "jku": {"jku": f"{forger.sink}/jwks.json"},
        "x5u": {"x5u": f"{forger.sink}/cert.pem"},
        "x5c": {"x5c": ["MIIB"]},
        "crit": {"crit": ["exp"]},
        "crit b64": {"crit": ["b64"], "b64": False},
        "b64": {"b64": False},
        "zip": {"zip": "DEF"},
        "enc": {"enc": "A256GCM"},
    }


@pytest.mark.parametrize(
    "name", ["jwk", "jku", "x5u", "x5c", "crit", "crit b64", "b64", "zip", "enc"]
)
async def test_JW_4_JW_5_headers_that_bring_a_key_or_change_meaning_are_refused(
    api, forger, sink, thief, name
):
    header = forger.header | brings_a_key(forger, thief)[name]
    for signer in (forger, forger.with_key(thief)):
        await is_refused_everywhere(api, signer.signed(header), f"header: {name.split()[0]}")
    assert sink.calls == 0


async def test_JW_4_a_kid_is_looked_up_in_a_dict_and_nowhere_else(api, forger, sink, thief):
    tables = await api.sql.fetchval("select count(*) from pg_tables")
    for kid in (
        "../../../../dev/null",
        "/proc/self/environ",
        "' OR 1=1 --",
        "'; drop table signing_keys; --",
        f"{sink.url}/jwks.json",
        "file:///etc/passwd",
        "| id",
        f"{forger.kid}\0",
        forger.kid.swapcase(),
        "",
        "\ud800",
        "k" * 4000,
    ):
        for signer in (forger, forger.with_key(thief)):
            token = signer.signed(forger.header | {"kid": kid})
            await is_refused_everywhere(api, token, "kid: unknown")
    for kid in (None, 7, [forger.kid]):
        token = forger.signed(forger.header | {"kid": kid})
        await is_refused_everywhere(api, token, "kid: missing")
    assert sink.calls == 0
    assert await api.sql.fetchval("select count(*) from pg_tables") == tables


def forged_hints(forger: Forger, thief: rsa.RSAPrivateKey, client_id: str) -> dict[str, str]:
    """Return ID tokens that are none of ours, each for one reason."""
    good, claims = forger.header | {"typ": "JWT"}, forger.body(aud=client_id)
    stranger = forger.with_key(thief)
    hints = {
        "another key": stranger.signed(good, claims),
        "no signature": f"{forger.segments(good, claims)}.",
        "an access token": forger.signed(claims=claims),
        "another type": forger.signed(good | {"typ": "logout+jwt"}, claims),
        "another issuer": forger.signed(good, claims | {"iss": "https://evil.example.net"}),
        "nobody": forger.signed(good, claims | {"sub": 7}),
        "for many": forger.signed(good, claims | {"aud": [client_id]}),
        "a member twice": forger.signed(good, json.dumps(claims)[:-1] + ',"sub":"x"}'),
    }
    for alg in ("none", "nOnE", "RS512", "PS256", "ES256"):
        hints[alg] = forger.signed(good | {"alg": alg}, claims)
    for name, key in forger.public_half().items():
        text = forger.segments(good | {"alg": "HS256"}, claims)
        hints[f"HS256 by {name}"] = f"{text}.{b64(hmac.new(key, text.encode(), 'sha256').digest())}"
    for name, more in brings_a_key(forger, thief).items():
        hints[name] = stranger.signed(good | more, claims)
    for kid in ("../../../../dev/null", "' OR 1=1 --", f"{forger.sink}/jwks.json", "", 7):
        hints[f"kid {kid}"] = stranger.signed(good | {"kid": kid}, claims)
    return hints


async def test_JW_3_JW_4_JW_5_a_hint_that_is_not_ours_is_none(api, rp, forger, sink, thief):
    async def asked(hint: str) -> str:
        parameters = request_of(rp, prompt="none", id_token_hint=hint)
        return told(await api.get("/oauth2/authorize", params=parameters))["error"]

    async def leads_to(hint: str) -> str | None:
        parameters = {"id_token_hint": hint, "post_logout_redirect_uri": GOODBYE}
        answer = await api.get("/oauth2/logout", params=parameters)
        return answer.headers.get("location")

    genuine = forger.signed(forger.header | {"typ": "JWT"}, forger.body(aud=rp))
    assert (await asked(genuine), await leads_to(genuine)) == ("login_required", GOODBYE)
    for name, hint in forged_hints(forger, thief, rp).items():
        assert (await asked(hint), await leads_to(hint)) == ("invalid_request", None), name
    assert sink.calls == 0


async def test_JW_4_the_sink_would_have_noticed(sink):
    """A test of the sink: one call from here is counted."""
    async with Sink.listening() as other:
        _, writer = await asyncio.open_connection("127.0.0.1", other.port)
        writer.close()
        async with asyncio.timeout(30):
            while not other.calls:
                await asyncio.sleep(0.001)
    assert sink.port != other.port


async def test_JW_4_a_megabyte_of_kid_does_not_get_past_the_door(api, forger):
    token = forger.signed(forger.header | {"kid": "k" * 2**20})
    answer = await bearer(api, ME, token)
    assert (answer.status_code, answer.json()["error"]) == (431, "request_header_too_large")
    answer = await api.form(INTROSPECT, "reader", token=token)
    assert (answer.status_code, answer.json()["error"]) == (413, "request_too_large")


async def test_JW_5_a_token_over_8_KiB_is_refused_unread(api, forger):
    """Although it is signed by us: no length is worth decoding."""
    token = forger.signed(claims=forger.body(filler="x" * 7000))
    assert 8192 < len(token) < 12_000
    await is_refused_everywhere(api, token, "size: more than 8 KiB")
    shorter = forger.signed(claims=forger.body(filler="x" * 4000))
    await is_accepted_everywhere(api, shorter)


async def test_JW_5_a_member_named_twice_is_refused(api, forger):
    twice = f'{{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"{forger.kid}"}}'
    await is_refused_everywhere(api, forger.signed(twice), "header: a member is named twice")
    claims = b64(forger.body())
    named_twice = unb64(claims)[:-1] + b',"sub":"admin"}'
    token = forger.signed(claims=named_twice)
    await is_refused_everywhere(api, token, "payload: a member is named twice")


async def test_JW_5_an_encrypted_token_is_refused(api, forger):
    header = {"alg": "RSA-OAEP", "enc": "A256GCM", "typ": "at+jwt", "kid": forger.kid}
    key = RSAKey.import_key(forger.key.public_key())
    token = jwe.encrypt_compact(header, unb64(b64(forger.body())), key)
    await is_refused_everywhere(api, token, NO_FORM)


# -- JW-6: times, issuer, audience ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "offset", "detail"),
    [
        ("exp", 0, "exp: expired"),
        ("exp", -(10**6), "exp: expired"),
        ("iat", 90, "iat: in the future"),
        ("nbf", 90, "nbf: in the future"),
    ],
)
async def test_JW_6_times_are_checked_and_the_end_of_a_token_exactly(
    api, forger, claim, offset, detail
):
    token = forger.signed(claims=forger.body(**{claim: int(time.time()) + offset}))
    await is_refused_everywhere(api, token, detail)


@pytest.mark.parametrize(("claim", "offset"), [("exp", 60), ("iat", 50), ("nbf", 50)])
async def test_JW_6_inside_the_leeway_a_token_is_good(api, forger, claim, offset):
    token = forger.signed(claims=forger.body(**{claim: int(time.time()) + offset}))
    await is_accepted_everywhere(api, token)


async def test_JW_6_the_issuer_is_exact(api, forger):
    spellings = (
        api.issuer + "/",
        api.issuer.upper(),
        api.issuer.replace("https", "http"),
        api.issuer.removesuffix(":8443"),
        "https://evil.example.net",
        [api.issuer],
        None,
        ...,
    )
    for issuer in spellings:
        token = forger.signed(claims=forger.body(iss=issuer))
        await is_refused_everywhere(api, token, "iss: another issuer")


async def test_JW_6_JW_7_the_audience_is_exact(api, forger):
    for audience in (api.issuer + "/", "app", "*", [], [OTHER_AUDIENCE], AUDIENCE[:-1]):
        token = forger.signed(claims=forger.body(aud=audience))
        await is_refused_everywhere(api, token, "aud: not for this audience")


# -- JW-7: audiences of what is issued -----------------------------------------------------------


async def test_JW_7_the_audience_names_resources_and_never_the_client_or_everybody(api, device):
    tokens = {
        "app": device.access_token,
        "machine": (await api.token("machine", grant_type="client_credentials")).json()[
            "access_token"
        ],
    }
    named = await api.token("machine", grant_type="client_credentials", resource=OTHER_AUDIENCE)
    assert claims_of(named.json()["access_token"])["aud"] == OTHER_AUDIENCE
    assert claims_of(tokens["machine"])["aud"] == AUDIENCE
    assert claims_of(tokens["app"])["aud"] == [AUDIENCE, api.issuer]


@pytest.mark.parametrize("resource", ["https://unknown.example.com", "*", "machine", "not a URI"])
async def test_JW_7_an_unknown_resource_is_refused(api, device, resource):
    answer = await api.token("machine", grant_type="client_credentials", resource=resource)
    assert await api.refusal(answer) == (
        400,
        "invalid_target",
        "resource: not allowed for this client",
    )
    answer = await api.refresh(device, resource=resource)
    assert (await api.refusal(answer))[:2] == (400, "invalid_target")


async def test_JW_7_no_client_can_be_registered_for_everybody_or_for_itself(api):
    for audience in ("*", f"jw-7-{uuid4().hex[:8]}"):
        with pytest.raises(InvalidClientMetadata, match="audience"):
            await api.client(MACHINE, audiences=[audience])


# -- JW-8: nothing personal, and nobody's id again ------------------------------------------------


async def test_JW_8_a_token_says_nothing_personal_unless_its_client_lists_it(api):
    person = await api.person()
    plain = await api.sign_in(person)
    text = "".join(unb64(part).decode() for part in plain.access_token.split(".")[:2])
    for personal in (person.email, person.name, person.password, "127.0.0.1"):
        assert personal not in text
    listed = await api.client(APP, claims=["email", "name"])
    claims = claims_of((await api.sign_in(person, client=listed)).access_token)
    assert (claims["email"], claims["name"]) == (person.email, person.name)


async def test_JW_8_a_deleted_person_s_id_is_never_somebody_else_s(api):
    """The same address, added again, is another person: whoever kept the old `sub` meets nobody."""
    person, accounts = await api.person(), api.operator.accounts
    device = await api.sign_in(person)
    await accounts.delete(person.id)
    answer = await api.get(ME, headers=device.bearer)
    assert (await api.refusal(answer))[:2] == (401, "invalid_token")
    again = await accounts.add(NewUser(person.email, password=PASSWORD))
    login = await api.login(person)
    assert claims_of(login.json()["accessToken"])["sub"] == str(again.id) != str(person.id)
    with pytest.raises(AccountExists):
        await accounts.add(NewUser(f"x{person.email}", id=person.id))


# -- JW-9: names ---------------------------------------------------------------------------------


async def issue(api, count: int) -> list[str]:
    """Get that many tokens, a few at a time, of both replicas."""
    tokens: list[str] = []

    async def some(on: int) -> None:
        for _ in range(count // 4):
            answer = await api.token("machine", on=on, grant_type="client_credentials")
            tokens.append(answer.json()["access_token"])

    await asyncio.gather(*(some(on) for on in (0, 1, 0, 1)))
    return tokens


async def test_JW_9_every_token_has_a_name_of_its_own(api):
    names = [claims_of(token)["jti"] for token in await issue(api, 200)]
    assert len(set(names)) == 200
    assert {len(unb64(name)) for name in names} == {16}


@pytest.mark.long
async def test_JW_9_also_among_a_hundred_thousand(api):
    names = {claims_of(token)["jti"] for token in await issue(api, 100_000)}
    assert len(names) == 100_000


async def test_JW_9_a_key_s_name_is_its_thumbprint(api, device):
    keys = (await api.get("/.well-known/jwks.json")).json()["keys"]
    ending = {"RS256": "", "PS256": "-ps256"}  # one name, one algorithm
    assert [key["kid"] for key in keys] == [thumbprint(key) + ending[key["alg"]] for key in keys]
    assert api_header(device.access_token)["kid"] in {key["kid"] for key in keys}
