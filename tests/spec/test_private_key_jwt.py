"""CA-1, CA-2, CA-4, CA-6, CA-7, JW-3 to JW-5 of client assertions (RFC 7523, FAPI 2.0)."""

import asyncio
import hmac
import json
import statistics
import time
from dataclasses import replace
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwe
from joserfc.jwk import RSAKey

from keyturn.clients.definition import ClientDefinition
from support.api import MACHINE, PASSWORD
from support.assertions import ALGORITHMS, ASSERTION_TYPE, Signer
from support.forging import b64, unb64
from support.replicas import AUDIENCE

TOKEN, REVOKE, INTROSPECT = DOORS = ("/oauth2/token", "/oauth2/revoke", "/oauth2/introspect")
GRANT = {"grant_type": "client_credentials", "token": "x"}
RAW = {**MACHINE, "introspects": [AUDIENCE]}
BAD_SIGNATURE = "signature: BadSignatureError"
HS = ("HS256", "HS384", "HS512")


@pytest.fixture(scope="module")
async def bank(api):
    """A client that proves itself by an ES256 key."""
    return await Signer.of(api.issuer).registered(api, RAW)


@pytest.fixture(scope="module")
async def rsa(api):
    """One with an RSA key that may sign RS256 and PS256."""
    return await Signer.of(api.issuer, "RS256").registered(api, RAW)


@pytest.fixture(scope="module")
async def fapi(api):
    """An API of the FAPI 2.0 profile."""
    raw = {"kind": "confidential", "introspects": [AUDIENCE], "profile": "fapi2"}
    return await Signer.of(api.issuer).registered(api, raw)


async def ask(api, fields, path=TOKEN, on=0):
    return await api.callers[on].post(path, data={**GRANT, **fields})


async def is_refused(api, answer, detail):
    assert await api.refusal(answer) == (401, "invalid_client", f"client: {detail}")
    assert "www-authenticate" not in answer.headers
    return True


# -- what is accepted -----------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_CA_6_a_signed_assertion_opens_every_door(api, alg):
    signer = await Signer.of(api.issuer, alg).registered(api, RAW)
    for on, path in enumerate(DOORS):
        answer = await ask(api, signer.form(), path, on % 2)
        assert answer.status_code == 200, answer.text
        named = await ask(api, {**signer.form(), "client_id": signer.client_id}, path)
        assert named.status_code == 200


async def test_CA_6_an_rsa_key_may_sign_either_way(api, rsa):
    for alg in ("PS256", "RS256"):
        assert (await ask(api, replace(rsa, alg=alg).form())).status_code == 200


@pytest.mark.parametrize("typ", [..., "JWT", "jwt", "client-authentication+jwt"])
async def test_CA_6_the_type_may_be_left_out(api, bank, typ):
    assert (await ask(api, bank.form(bank.signed({"typ": typ})))).status_code == 200


async def test_CA_6_one_of_several_keys_is_found_with_and_without_its_name(api):
    one, two = Signer.of(api.issuer), Signer.of(api.issuer)
    client_id = await api.client(
        RAW, auth_method="private_key_jwt", jwks={"keys": [one.jwk, two.jwk]}
    )
    for signer in (replace(one, client_id=client_id), replace(two, client_id=client_id)):
        assert (await ask(api, signer.form())).status_code == 200
        nameless = signer.signed({"kid": ...})
        assert (await ask(api, signer.form(nameless))).status_code == 200
    swapped = replace(one, client_id=client_id, kid=two.kid)
    assert await is_refused(api, await ask(api, swapped.form()), f"assertion {BAD_SIGNATURE}")


async def test_CA_6_the_audience_is_the_issuer_and_outside_the_profile_an_endpoint(api, bank):
    for path in DOORS:
        for aud in (api.issuer, [api.issuer], api.issuer + TOKEN, [api.issuer + path],
                    api.issuer + path):  # fmt: skip
            assert (await ask(api, bank.form(aud=aud), path)).status_code == 200, (path, aud)


async def test_CA_6_within_the_leeway_a_clock_may_be_off(api, bank):
    now = int(time.time())
    for claims in (
        {"iat": now + 8, "nbf": now + 8},
        {"exp": now - 8},
        {"exp": now + 300},
        {"iat": ...},
        {"exp": time.time() + 60.5},
        {"iat": now - 3600},
    ):
        assert (await ask(api, bank.form(**claims))).status_code == 200, claims


# -- what is refused --------------------------------------------------------------------------------


BAD_CLAIMS = {
    "no sub": ({"sub": ...}, "sub: missing or not text"),
    "sub is no text": ({"sub": 7}, "sub: missing or not text"),
    "sub half a character": ({"sub": "\ud800"}, "sub: missing or not text"),
    "no iss": ({"iss": ...}, "iss: missing or not text"),
    "another iss": ({"iss": "machine"}, "iss: not the client"),
    "no aud": ({"aud": ...}, "aud: not this server"),
    "another aud": ({"aud": "https://elsewhere.example"}, "aud: not this server"),
    "no aud in a list": ({"aud": []}, "aud: not this server"),
    "nested aud": ({"aud": [["x"]]}, "aud: not this server"),
    "aud is a number": ({"aud": 7}, "aud: not this server"),
    "no exp": ({"exp": ...}, "exp: missing or over"),
    "exp is text": ({"exp": "4102444800"}, "exp: not a number"),
    "exp is true": ({"exp": True}, "exp: not a number"),
    "iat is text": ({"iat": "1"}, "iat: not a number"),
    "no jti": ({"jti": ...}, "jti: missing or not text"),
    "empty jti": ({"jti": ""}, "jti: missing or not text"),
    "jti is a number": ({"jti": 7}, "jti: missing or not text"),
    "jti half a character": ({"jti": "\ud800"}, "jti: missing or not text"),
    "jti with NUL": ({"jti": "a\0b"}, "jti: missing or not text"),
}


@pytest.mark.parametrize("name", BAD_CLAIMS)
async def test_CA_6_each_claim_is_checked(api, bank, name):
    claims, detail = BAD_CLAIMS[name]
    for path in DOORS:
        answer = await ask(api, bank.form(**claims), path)
        assert await is_refused(api, answer, f"assertion {detail}")


async def test_CA_6_the_audience_is_exact_and_one(api, bank):
    for aud in (
        api.issuer + "/",
        api.issuer.upper(),
        api.issuer + TOKEN + "/",
        api.issuer + "/oauth2/authorize",
        [api.issuer, "https://elsewhere.example"],
        [api.issuer, api.issuer + TOKEN],
        AUDIENCE,
        bank.client_id,
    ):
        answer = await ask(api, bank.form(aud=aud))
        assert await is_refused(api, answer, "assertion aud: not this server"), aud


@pytest.mark.parametrize(
    ("claim", "offset", "detail"),
    [
        ("exp", -300, "exp: missing or over"),
        ("exp", -61, "exp: missing or over"),
        ("exp", 361, "exp: more than 300 s ahead"),
        ("exp", 3600, "exp: more than 300 s ahead"),
        ("iat", 61, "iat: in the future"),
        ("nbf", 61, "nbf: in the future"),
        ("nbf", 3600, "nbf: in the future"),
    ],
)
async def test_CA_6_times_are_checked(api, bank, claim, offset, detail):
    answer = await ask(api, bank.form(**{claim: int(time.time()) + offset}))
    assert await is_refused(api, answer, f"assertion {detail}")


@pytest.mark.parametrize("exp", ["1e400", "-1e400", "1" * 400, "NaN", "Infinity"])
async def test_CA_6_a_number_that_is_none_is_no_time(api, bank, exp):
    body = json.dumps(bank.claims(exp=...))[:-1] + f',"exp":{exp}}}'
    answer = await ask(api, bank.form(bank.over(b64(bank.header), body)))
    assert (await api.refusal(answer))[:2] == (401, "invalid_client")


async def test_CA_6_an_assertion_is_good_once_on_every_replica(api, bank):
    form = bank.form()
    assert (await ask(api, form)).status_code == 200
    for on, path in ((0, TOKEN), (1, TOKEN), (0, REVOKE), (1, INTROSPECT)):
        answer = await ask(api, form, path, on)
        assert await is_refused(api, answer, "assertion jti: used before")
    again = bank.form(jti=bank.claims()["jti"])
    assert (await ask(api, again)).status_code == 200


async def test_CA_6_the_same_jti_in_another_assertion_is_a_replay_and_another_client_s_is_not(
    api, bank, rsa
):
    jti = uuid4().hex
    assert (await ask(api, bank.form(jti=jti))).status_code == 200
    answer = await ask(api, bank.form(jti=jti, exp=int(time.time()) + 200))
    assert await is_refused(api, answer, "assertion jti: used before")
    assert (await ask(api, rsa.form(jti=jti))).status_code == 200


async def test_CA_6_of_many_at_once_one_is_first(api, bank):
    form = bank.form()
    answers = await asyncio.gather(*(ask(api, form, on=number % 2) for number in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_CA_6_what_is_refused_is_not_used_up(api, bank):
    """Or whoever guesses a `jti` could use up somebody else's assertion."""
    jti = uuid4().hex
    stranger = replace(bank, key=Signer.of(api.issuer).key)
    answer = await ask(api, stranger.form(jti=jti))
    assert await is_refused(api, answer, f"assertion {BAD_SIGNATURE}")
    assert (await ask(api, bank.form(jti=jti))).status_code == 200


async def test_CA_6_a_replay_is_refused_when_redis_has_lost_everything_and_503_without_postgres(
    outage,
):
    api, pair = outage
    signer = await Signer.of(api.issuer).registered(api, RAW)
    used, kept = signer.form(), signer.form()
    assert (await ask(api, used)).status_code == 200
    await pair.valkey.restart()
    assert await is_refused(api, await ask(api, used), "assertion jti: used before")
    pair.postgres.kill()
    try:
        answer = await ask(api, kept)
        assert (await api.refusal(answer))[:2] == (503, "temporarily_unavailable")
    finally:
        await pair.postgres.start()
    async with asyncio.timeout(30):
        while (answer := await ask(api, kept)).status_code == 503:
            await asyncio.sleep(0.05)
    assert answer.status_code == 200, "the same one again, for nobody has used it"
    assert await is_refused(api, await ask(api, used), "assertion jti: used before")


async def test_CA_6_the_assertion_s_type_is_exact(api, bank):
    detail = "assertion of another type, or none"
    for change in (
        {"client_assertion_type": ASSERTION_TYPE.upper()},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_assertion_type": ""},
        {"client_assertion": ""},
    ):
        form = {**bank.form(), "client_id": bank.client_id, **change}
        assert await is_refused(api, await ask(api, form), detail)


@pytest.mark.parametrize(
    "typ",
    ["at+jwt", "dpop+jwt", "oauth-authz-req+jwt", "logout+jwt", 7, ["JWT"], {}, None],
    ids=repr,
)
async def test_CA_6_another_kind_of_token_is_no_assertion(api, bank, typ):
    answer = await ask(api, bank.form(bank.signed({"typ": typ})))
    assert await is_refused(api, answer, "assertion typ: another kind of token")


async def test_CA_6_the_form_may_not_name_another_client(api, bank):
    for other in ("machine", "nobody"):
        answer = await ask(api, {**bank.form(), "client_id": other})
        assert await is_refused(api, answer, "the form names another client than the assertion")


async def test_CA_6_nobody_signs_for_somebody_else(api, bank, rsa):
    thief = replace(bank, client_id=rsa.client_id)
    assert await is_refused(api, await ask(api, thief.form()), "assertion kid: no such key")
    nameless = thief.form(thief.signed({"kid": ...}))
    assert await is_refused(api, await ask(api, nameless), "assertion kid: no such key")


# -- FAPI 2.0 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "PS256"])
async def test_CA_6_the_profile_takes_three_algorithms(api, alg):
    raw = {"kind": "confidential", "introspects": [AUDIENCE], "profile": "fapi2"}
    signer = await Signer.of(api.issuer, alg).registered(api, raw)
    assert (await ask(api, signer.form(), INTROSPECT)).status_code == 200
    if alg == "PS256":
        answer = await ask(api, replace(signer, alg="RS256").form(), INTROSPECT)
        assert await is_refused(api, answer, "assertion alg: not allowed by the profile")


async def test_CA_6_in_the_profile_the_audience_is_the_issuer_as_text(api, fapi):
    for aud in ([api.issuer], api.issuer + TOKEN, api.issuer + INTROSPECT, [api.issuer, "x"]):
        answer = await ask(api, fapi.form(aud=aud), INTROSPECT)
        assert await is_refused(api, answer, "assertion aud: not this server"), aud
    assert (await ask(api, fapi.form(), INTROSPECT)).status_code == 200


# -- CA-1, CA-2, CA-4, CA-7 -------------------------------------------------------------------------


async def test_CA_1_every_refused_assertion_looks_the_same(api, bank):
    closed = await Signer.of(api.issuer).registered(api, RAW)
    await api.clients.disable(closed.client_id)
    await api.settled()
    used = bank.form()
    assert (await ask(api, used)).status_code == 200
    forms = {
        "unknown": replace(bank, client_id="nobody").form(),
        "disabled": closed.form(),
        "registered for client_secret_basic, not private_key_jwt": replace(
            bank, client_id="machine"
        ).form(),
        "registered for none, not private_key_jwt": replace(bank, client_id="app").form(),
        f"assertion {BAD_SIGNATURE}": replace(bank, key=Signer.of(api.issuer).key).form(),
        "assertion aud: not this server": bank.form(aud="x"),
        "assertion jti: used before": used,
        "assertion form: not three base64url segments": bank.form("x"),
    }
    for path in DOORS:
        seen = set()
        for detail, form in forms.items():
            answer = await ask(api, form, path)
            assert await is_refused(api, answer, detail)
            own = {"date", "x-request-id"}
            headers = tuple(pair for pair in answer.headers.items() if pair[0] not in own)
            seen.add((answer.content, headers))
        assert len(seen) == 1


@pytest.mark.timing
async def test_CA_1_unknown_client_and_wrong_signature_take_the_same_time(api, bank):
    """Against a second unknown id: how far two equal questions lie apart in this run."""
    spent = {"nobody": [], bank.client_id: [], "another": []}
    stranger = replace(bank, key=Signer.of(api.issuer).key)
    for _ in range(500):
        for client_id, times in spent.items():
            form = replace(stranger, client_id=client_id).form()
            began = time.perf_counter()
            answer = await ask(api, form)
            times.append(time.perf_counter() - began)
            assert answer.status_code == 401
    medians = {name: statistics.median(times) for name, times in spent.items()}
    print({name: f"{value * 1e6:.0f} us" for name, value in medians.items()})
    neutral = abs(medians["another"] / medians["nobody"] - 1)
    assert neutral < 0.1, "the run is too noisy to say anything"
    assert abs(medians[bank.client_id] / medians["nobody"] - 1) < 0.1 + neutral


async def test_CA_2_the_method_is_the_one_the_client_registered(api, bank):
    for path in DOORS:
        answer = await ask(api, {"client_id": bank.client_id, "client_secret": "x" * 40}, path)
        detail = "registered for private_key_jwt, not client_secret_post"
        assert await is_refused(api, answer, detail)
        both = {**bank.form(), "client_secret": "x" * 40}
        answer = await ask(api, both, path)
        several = "client: more than one authentication method"
        assert await api.refusal(answer) == (400, "invalid_request", several)
        auth = (bank.client_id, "x" * 40)
        answer = await api.callers[0].post(path, data={**GRANT, **bank.form()}, auth=auth)
        assert await api.refusal(answer) == (400, "invalid_request", several)


@pytest.mark.parametrize("path", DOORS)
async def test_CA_4_a_client_with_a_key_cannot_act_by_its_name_alone(api, bank, path):
    answer = await ask(api, {"client_id": bank.client_id}, path)
    assert await is_refused(api, answer, "registered for private_key_jwt, not none")


async def test_CA_2_CA_5_a_client_that_turns_to_keys_leaves_its_secrets_behind(api):
    """Also when it turns back: the secret may be why it left."""
    client_id = await api.client(RAW)
    old = api.secrets.pop(client_id)
    await api.clients.rotate_secret(client_id)
    signer = replace(Signer.of(api.issuer), client_id=client_id)
    keyed = {**RAW, "auth_method": "private_key_jwt", "jwks": signer.jwks}
    await api.redefine(client_id, keyed)
    assert (await ask(api, signer.form())).status_code == 200
    in_form = {"client_id": client_id, "client_secret": old}
    answer = await ask(api, in_form)
    detail = "registered for private_key_jwt, not client_secret_post"
    assert await is_refused(api, answer, detail)
    back = {
        **RAW,
        "auth_method": "client_secret_post",
        "secret": "a-new-secret-" + "0123456789" * 2,
    }
    await api.redefine(client_id, back)
    assert await is_refused(api, await ask(api, in_form), "wrong secret")
    new = {"client_id": client_id, "client_secret": back["secret"]}
    assert (await ask(api, new)).status_code == 200
    detail = "registered for client_secret_post, not private_key_jwt"
    assert await is_refused(api, await ask(api, signer.form()), detail)


async def test_CA_5_a_client_with_keys_has_no_secret_to_rotate(api, bank):
    done = api.keyturn("clients", "rotate-secret", bank.client_id)
    assert done.returncode == 1
    assert "private_key_jwt" in done.stderr


async def test_CA_7_a_disabled_client_with_a_key_is_refused_everywhere_at_once(api):
    raw = {**RAW, "grant_types": ["client_credentials", "refresh_token"]}
    signer = await Signer.of(api.issuer).registered(api, raw)
    device = await api.seed(signer.client_id, await api.person())
    token = (await ask(api, signer.form())).json()["access_token"]
    assert await api.is_active(token)
    await api.clients.disable(signer.client_id)
    await api.settled()
    refresh = {"grant_type": "refresh_token", "refresh_token": device.refresh_token}
    for path, more in (
        (TOKEN, {}), (TOKEN, refresh), (REVOKE, {"token": token}), (INTROSPECT, {"token": token}),
    ):  # fmt: skip
        answer = await ask(api, {**signer.form(), **more}, path)
        assert await is_refused(api, answer, "disabled")
    assert await api.goes_inactive(token)
    assert (await api.row(device))["generation"] == 0


async def test_CA_6_a_failure_is_audited_and_a_refresh_works(api):
    raw = {**RAW, "grant_types": ["client_credentials", "refresh_token"]}
    signer = await Signer.of(api.issuer).registered(api, raw)
    assert (await ask(api, signer.form(aud="x"))).status_code == 401
    (event,) = await api.events("client_authentication_failed", client_id=signer.client_id)
    assert event["result"] == "failed"
    device = await api.seed(signer.client_id, await api.person(password=PASSWORD))
    refresh = {"grant_type": "refresh_token", "refresh_token": device.refresh_token}
    answer = await ask(api, {**signer.form(), **refresh})
    assert answer.status_code == 200
    assert answer.json()["refresh_token"]


async def test_CA_6_metadata_says_so(api):
    said = (await api.get("/.well-known/oauth-authorization-server")).json()
    for door in ("token", "revocation", "introspection"):
        assert "private_key_jwt" in said[f"{door}_endpoint_auth_methods_supported"]
        algorithms = said[f"{door}_endpoint_auth_signing_alg_values_supported"]
        assert sorted(algorithms) == sorted(ALGORITHMS)


# -- registration -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"jwks": None}, "jwks"),
        ({"jwks_uri": "https://bank.example/jwks"}, "jwks"),
        ({"kind": "public", "grant_types": ["refresh_token"]}, "auth_method"),
        ({"jwks": {"keys": []}}, "jwks"),
        ({"jwks": {"keys": [RSAKey.generate_key(2048).as_dict(private=True)]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, "jwks"),
        ({"jwks": None, "jwks_uri": "http://bank.example/jwks"}, "jwks_uri"),
    ],
    ids=range(7),
)
def test_CA_6_a_client_with_keys_is_registered_with_good_ones(api, tmp_path, change, path):
    entry = {
        **MACHINE,
        "id": "ca-6",
        "auth_method": "private_key_jwt",
        "jwks": Signer.of(api.issuer).jwks,
        **change,
    }
    (tmp_path / "clients.yaml").write_text(json.dumps({"clients": [entry]}))
    done = api.keyturn("clients", "apply", str(tmp_path / "clients.yaml"))
    assert done.returncode == 1
    assert f"clients[0].{path}: " in done.stderr
    assert '"d"' not in done.stderr


async def test_CA_6_the_command_line_registers_one_without_a_secret(api):
    signer = replace(Signer.of(api.issuer), client_id="ca-6-command")
    done = api.keyturn(
        *("clients", "add", signer.client_id, "--json", "--grant", "client_credentials"),
        *("--audience", AUDIENCE, "--set", "auth_method=private_key_jwt"),
        *("--set", f"jwks={json.dumps(signer.jwks)}"),
    )
    assert done.returncode == 0, done.stderr
    assert "clientSecret" not in json.loads(done.stdout)
    await api.settled()
    assert (await ask(api, signer.form())).status_code == 200


def test_CA_6_a_public_client_may_have_keys_for_its_requests(api):
    definition = {"kind": "public", "grant_types": ["refresh_token"], "audiences": [AUDIENCE]}
    keys = Signer.of(api.issuer).jwks
    assert ClientDefinition.parse({**definition, "id": "with-keys", "jwks": keys}).jwks == keys


# -- JW-3, JW-4, JW-5 -------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, "es256"], ids=repr)
async def test_JW_3_an_unsigned_assertion_is_refused_however_it_spells_it(api, bank, alg):
    header = {**bank.header, "alg": alg}
    text = f"{b64(header)}.{b64(bank.claims())}"
    genuine = bank.over(b64(header), bank.claims())
    for assertion in (f"{text}.", f"{text}.AAAA", genuine):
        answer = await ask(api, bank.form(assertion))
        assert await is_refused(api, answer, "assertion alg: not allowed")


@pytest.mark.parametrize("alg", HS)
async def test_JW_3_a_public_key_is_no_hmac_secret_in_any_form(api, rsa, alg):
    text = f"{b64({**rsa.header, 'alg': alg})}.{b64(rsa.claims())}"
    for key in public_half(rsa):
        mac = hmac.new(key, text.encode(), alg.replace("HS", "sha")).digest()
        answer = await ask(api, rsa.form(f"{text}.{b64(mac)}"))
        assert await is_refused(api, answer, "assertion alg: not allowed")


async def test_JW_3_nor_under_the_name_of_another_algorithm(api, rsa):
    text = f"{b64(rsa.header)}.{b64(rsa.claims())}"
    for key in public_half(rsa):
        mac = hmac.new(key, text.encode(), "sha256").digest()
        answer = await ask(api, rsa.form(f"{text}.{b64(mac)}"))
        assert await is_refused(api, answer, f"assertion {BAD_SIGNATURE}")


async def test_JW_3_algorithms_of_another_kind_of_key_are_refused(api, bank, rsa):
    for signer, alg in ((bank, "RS256"), (bank, "EdDSA"), (rsa, "ES256"), (rsa, "EdDSA")):
        header = b64({**signer.header, "alg": alg})
        answer = await ask(api, signer.form(signer.over(header, signer.claims())))
        assert await is_refused(api, answer, "assertion kid: no such key")
    for alg in ("RS384", "RS512", "PS384", "PS512", "ES384", "ES256K", "Ed448"):
        header = b64({**rsa.header, "alg": alg})
        answer = await ask(api, rsa.form(rsa.over(header, rsa.claims())))
        assert await is_refused(api, answer, "assertion alg: not allowed")


async def test_JW_3_a_signature_of_another_make_is_none(api, bank, rsa):
    text = f"{b64(rsa.header)}.{b64(rsa.claims())}"
    pss = rsa.key.private_key.sign(text.encode(), padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    for proof in (pss, b"\0" * 256, b"", b"\0" * 64):
        answer = await ask(api, rsa.form(f"{text}.{b64(proof)}"))
        assert await is_refused(api, answer, f"assertion {BAD_SIGNATURE}")
    head, body, proof = bank.signed().split(".")
    for broken in (f"{head}.{body}.", f"{head}.{body}.{b64(bytes(64))}", f"{head}.{body}.{proof}A"):
        answer = await ask(api, bank.form(broken))
        assert (await api.refusal(answer))[:2] == (401, "invalid_client")


async def test_JW_3_a_key_bound_to_one_algorithm_signs_with_no_other(api):
    signer = Signer.of(api.issuer, "PS256")
    jwks = {"keys": [{**signer.jwk, "alg": "PS256"}]}
    client_id = await api.client(RAW, auth_method="private_key_jwt", jwks=jwks)
    signer = replace(signer, client_id=client_id)
    assert (await ask(api, signer.form())).status_code == 200
    answer = await ask(api, replace(signer, alg="RS256").form())
    assert await is_refused(api, answer, "assertion kid: no such key")


@pytest.mark.parametrize(
    "more",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"x5c": ["MIIB"]},
        {"jwk": {}},
    ],
    ids="+".join,
)
async def test_JW_4_JW_5_headers_that_bring_a_key_or_change_meaning_are_refused(api, bank, more):
    thief = replace(bank, key=Signer.of(api.issuer).key)
    for signer in (bank, thief):
        header = {**more, "jwk": thief.jwk} if "jwk" in more else more
        answer = await ask(api, bank.form(signer.signed(header)))
        assert await is_refused(api, answer, f"assertion header: {next(iter(more))}")
    unheard_of = await ask(api, bank.form(bank.signed({"odd": 1})))
    assert unheard_of.status_code == 200, "what means nothing is passed over (RFC 7515 section 4)"


async def test_JW_4_a_kid_is_compared_and_nothing_else(api, bank):
    tables = await api.sql.fetchval("select count(*) from pg_tables")
    for kid in (
        "../../../../dev/null",
        "/proc/self/environ",
        "' OR 1=1 --",
        "'; drop table clients; --",
        "file:///etc/passwd",
        f"{bank.kid}\0",
        bank.kid.swapcase() + "A",
        "",
        "\ud800",
        "k" * 4000,
    ):
        answer = await ask(api, bank.form(bank.signed({"kid": kid})))
        assert await is_refused(api, answer, "assertion kid: no such key")
    for kid in (7, [bank.kid], {}):
        answer = await ask(api, bank.form(bank.signed({"kid": kid})))
        assert await is_refused(api, answer, "assertion kid: not text")
    assert await api.sql.fetchval("select count(*) from pg_tables") == tables


async def test_JW_5_an_assertion_over_8_KiB_is_refused_unread(api, bank):
    long = bank.signed(filler="x" * 7000)
    assert 8192 < len(long) < 12_000
    assert await is_refused(api, await ask(api, bank.form(long)), "assertion size: more than 8 KiB")
    assert (await ask(api, bank.form(filler="x" * 4000))).status_code == 200


async def test_JW_4_a_megabyte_of_kid_does_not_get_past_the_door(api, bank):
    answer = await ask(api, bank.form(bank.signed({"kid": "k" * 2**20})))
    assert (answer.status_code, answer.json()["error"]) == (413, "request_too_large")


async def test_JW_5_a_member_named_twice_is_refused(api, bank):
    twice = f'{{"alg":"none","alg":"ES256","typ":"JWT","kid":"{bank.kid}"}}'
    answer = await ask(api, bank.form(bank.over(b64(twice), bank.claims())))
    assert await is_refused(api, answer, "assertion header: a member is named twice")
    claims = unb64(b64(bank.claims()))[:-1] + b',"aud":"x"}'
    answer = await ask(api, bank.form(bank.over(b64(bank.header), claims)))
    assert await is_refused(api, answer, "assertion payload: a member is named twice")


async def test_JW_5_an_encrypted_assertion_is_refused(api, rsa):
    header = {"alg": "RSA-OAEP", "enc": "A256GCM", "kid": rsa.kid}
    token = jwe.encrypt_compact(header, json.dumps(rsa.claims()), rsa.key)
    answer = await ask(api, rsa.form(token))
    assert await is_refused(api, answer, "assertion form: not three base64url segments")


def public_half(signer):
    """Yield what could be offered as an HMAC key by whoever knows the client's public key."""
    public = signer.key.public_key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(signer.jwk, separators=(",", ":")).encode()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield from (pem, pem.rstrip(b"\n"), pem + b"\n", pem.replace(b"\n", b"\r\n"), der, jwk, b"")
