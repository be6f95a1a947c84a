"""Request objects by value (RFC 9101), where clients push them; by reference they are nothing."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from support.assertions import Signer
from support.browserless import SPA, Browserless, request_of, told
from support.forging import b64
from support.pushing import AUTHORIZE, PAR, is_over, push, uri_of, visit
from support.replicas import AUDIENCE
from support.signing import RequestSigner, jwks, key_for

ALGORITHMS = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")
OTHER = key_for("ES256", "other")


@pytest.fixture(scope="module")
async def signer(api):
    """A confidential client with a key of every kind, which signs by the first."""
    keys = [key_for(alg, alg) for alg in ALGORITHMS]
    client_id = await api.client({**SPA, "kind": "confidential", "jwks": jwks(*keys)})
    return RequestSigner(client_id, api.issuer, keys[0])


async def send(api, signer, token, **beside):
    """Push a request object with nothing beside it but who the client is."""
    return await api.form(PAR, signer.client_id, request=token, **beside)


async def refused(api, signer, token, **beside):
    """Return why a request object is refused; callers hear one sentence for every reason."""
    status, error, detail = await api.refusal(await send(api, signer, token, **beside))
    assert (status, error) == (400, "invalid_request_object")
    return detail.removeprefix("request: ")


# -- what is good ---------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_AZ_10_a_signed_request_is_taken_and_answered(api, signer, browser, alg):
    by = replace(signer, key=key_for(alg, alg), alg=alg)
    answer = await send(api, by, by.request(request_of(by.client_id, state=alg)))
    page = await visit(browser, by.client_id, uri_of(answer))
    back = told(await browser.through(page, await api.person()))
    assert back["state"] == alg
    assert (await browser.redeem(by.client_id, back["code"])).status_code == 200


@pytest.mark.parametrize("header", [
    {"typ": ...}, {"typ": "JWT"}, {"typ": "jwt"}, {"typ": "application/oauth-authz-req+jwt"},
    {"kid": ...},
], ids=str)  # fmt: skip
async def test_AZ_10_what_a_header_may_leave_out(api, signer, header):
    claims = signer.claims(request_of(signer.client_id))
    assert (await send(api, signer, signer.sign(claims, **header))).status_code == 201


async def test_AZ_10_an_audience_may_be_a_list_and_nbf_may_be_missing(api, signer):
    changes = {"aud": ["https://elsewhere.example", api.issuer], "nbf": ..., "iat": ...}
    token = signer.request(request_of(signer.client_id), **changes)
    assert (await send(api, signer, token)).status_code == 201


async def test_AZ_9_what_was_not_signed_means_nothing(api, signer, browser):
    """RFC 9101 section 6.3: parameters beside the object are not used, good or bad."""
    token = signer.request(request_of(signer.client_id, state="signed", prompt="none"))
    beside = request_of(signer.client_id, state="beside", response_type="token", scope="nothing")
    beside = {**beside, "redirect_uri": "https://evil.example.net/", "prompt": "login"}
    answer = await send(api, signer, token, **beside)
    back = told(await visit(browser, signer.client_id, uri_of(answer)))
    assert (back["error"], back["state"]) == ("login_required", "signed")
    missing = signer.request(request_of(signer.client_id, code_challenge=None))
    beside = request_of(signer.client_id)
    refusal = await api.refusal(await send(api, signer, missing, **beside))
    assert refusal[:2] == (400, "invalid_request"), "nor does it fill a gap"


async def test_AZ_10_members_may_be_what_they_are_in_json(api, signer, browser):
    claims = {"id_token": {"acr": {"essential": True, "values": ["urn:example:gold"]}}}
    parameters = {**request_of(signer.client_id), "max_age": 60, "resource": [AUDIENCE]}
    token = signer.request(parameters, claims=claims, extra={"any": ["thing"]})
    answer = await send(api, signer, token)
    back = told(await visit(browser, signer.client_id, uri_of(answer)))
    assert back["error"] == "unmet_authentication_requirements"


# -- every rule of a request holds in an object ---------------------------------------------------

UNFIT = {
    "RU-1": ({"redirect_uri": "https://evil.example.net/"}, "invalid_request"),
    "RU-1 list": ({"redirect_uri": ["https://app.example.com/callback"]}, "invalid_request"),
    "AZ-1": ({"response_type": "token"}, "unsupported_response_type"),
    "AZ-6": ({"state": "s" * 2049}, "invalid_request"),
    "AZ-11 list": ({"prompt": ["login"]}, "invalid_request"),
    "AZ-11 null": ({"prompt": None}, "invalid_request"),
    "AZ-11 true": ({"max_age": True}, "invalid_request"),
    "AZ-11 huge": ({"max_age": 1e300}, "invalid_request"),
    "PK-1": ({"code_challenge_method": "plain"}, "invalid_request"),
    "PK-1 missing": ({"code_challenge": ...}, "invalid_request"),
    "PK-1 empty": ({"code_challenge": ""}, "invalid_request"),
    "scope": ({"scope": "openid nothing"}, "invalid_scope"),
    "scope list": ({"scope": ["openid"]}, "invalid_scope"),
    "resource": ({"resource": ["https://evil.example.net"]}, "invalid_target"),
    "resource number": ({"resource": [1]}, "invalid_target"),
    "claims": ({"claims": [1]}, "invalid_request"),
    "control": ({"state": "a\0b"}, "invalid_request_object"),
    "half a character": ({"state": "\ud800"}, "invalid_request_object"),
    "two lines": ({"resource": [f"{AUDIENCE}\n{AUDIENCE}"]}, "invalid_request_object"),
}


@pytest.mark.parametrize(("changes", "error"), UNFIT.values(), ids=UNFIT)
async def test_AZ_a_signature_makes_no_request_better(api, signer, changes, error):
    answer = await send(api, signer, signer.request(request_of(signer.client_id), **changes))
    assert (await api.refusal(answer))[:2] == (400, error)


# -- what is not good -----------------------------------------------------------------------------

CLAIMS = {
    "no iss": ({"iss": ...}, "iss, client_id: not the client that sent it"),
    "another iss": ({"iss": "app"}, "iss, client_id: not the client that sent it"),
    "no client_id": ({"client_id": ...}, "iss, client_id: not the client that sent it"),
    "another client_id": ({"client_id": "app"}, "iss, client_id: not the client that sent it"),
    "no aud": ({"aud": ...}, "aud: not this server"),
    "another aud": ({"aud": "https://elsewhere.example"}, "aud: not this server"),
    "aud PAR": ({"aud": ["https://id.example.com/oauth2/par"]}, "aud: not this server"),
    "aud nothing": ({"aud": []}, "aud: not this server"),
    "aud object": ({"aud": {"a": 1}}, "aud: not this server"),
    "an assertion": ({"sub": None}, "sub: that of a client assertion"),
    "no exp": ({"exp": ...}, "exp: missing, over, or too far away"),
    "exp text": ({"exp": "9999999999"}, "exp: not a number"),
    "exp true": ({"exp": True}, "exp: not a number"),
    "exp over": ({"exp": -1}, "exp: missing, over, or too far away"),
    "exp far": ({"exp": 3700}, "exp: missing, over, or too far away"),
    "exp infinite": ({"exp": 1e308}, "exp: missing, over, or too far away"),
    "nbf to come": ({"nbf": 90}, "nbf: still to come, or too long ago"),
    "nbf long ago": ({"nbf": -3700}, "nbf: still to come, or too long ago"),
    "nbf text": ({"nbf": "0"}, "nbf: not a number"),
    "request": ({"request": "x"}, "request, request_uri: within a request object"),
    "request_uri": ({"request_uri": "x"}, "request, request_uri: within a request object"),
}


@pytest.mark.parametrize(("changes", "reason"), CLAIMS.values(), ids=CLAIMS)
async def test_AZ_9_an_object_is_for_this_server_from_this_client_and_now(
    api, signer, changes, reason
):
    def meant(name, value):
        if name == "sub":
            return signer.client_id
        is_moment = name in {"exp", "nbf"} and type(value) is int
        return int(time.time()) + value if is_moment else value

    made = {name: meant(name, value) for name, value in changes.items()}
    token = signer.request(request_of(signer.client_id), **made)
    assert await refused(api, signer, token) == reason


async def test_AZ_9_only_a_key_of_the_client_signs_for_it(api, signer, rp):
    claims = signer.claims(request_of(signer.client_id))
    es256 = key_for("ES256", "ES256")
    assert (await refused(api, signer, replace(signer, key=OTHER).sign(claims))).startswith("kid:")
    foreign = replace(signer, key=OTHER).sign(claims, kid=es256.kid)
    assert (await refused(api, signer, foreign)).startswith("signature:")
    nameless = replace(signer, key=OTHER).sign(claims, kid=...)
    assert (await refused(api, signer, nameless)).startswith("signature:")
    good = signer.sign(claims)
    head, body, signature = good.split(".")
    changed = b64({**claims, "state": "changed"})
    assert (await refused(api, signer, f"{head}.{changed}.{signature}")).startswith("signature:")
    assert (await refused(api, signer, f"{head}.{body}.")).startswith("signature:")
    keyless = RequestSigner(rp, api.issuer, es256)
    token = keyless.request(request_of(rp))
    assert (await refused(api, keyless, token)).startswith("kid:")


async def test_AZ_9_a_key_has_its_own_algorithm_and_none_is_none(api, signer):
    claims = signer.claims(request_of(signer.client_id))
    for alg in ("none", "None", "HS256", "RS512", "ES384", "dir", "", 7, None, []):
        token = signer.sign(claims, alg=alg)
        assert await refused(api, signer, token) == "alg: not allowed", alg
    for alg in ("RS256", "PS256", "EdDSA"):
        token = signer.sign(claims, alg=alg)
        assert (await refused(api, signer, token)).split(":")[0] in {"alg", "kid", "signature"}
    unsigned = f"{b64({'alg': 'none'})}.{b64(claims)}."
    assert await refused(api, signer, unsigned) == "alg: not allowed"


HEADERS = {
    "an assertion's": {"typ": "client-authentication+jwt"}, "an access token's": {"typ": "at+jwt"},
    "a proof's": {"typ": "dpop+jwt"}, "a number": {"typ": 1}, "a list": {"typ": ["JWT"]},
    "null": {"typ": None}, "crit": {"crit": ["exp"]}, "b64": {"b64": False}, "zip": {"zip": "DEF"},
    "jwk": {"jwk": {"kty": "oct", "k": "AA"}}, "x5c": {"x5c": ["AA"]}, "cty": {"cty": "JWT"},
    "kid": {"kid": 7}, "kid list": {"kid": ["ES256"]},
}  # fmt: skip


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
async def test_AZ_9_a_header_says_what_kind_it_is_and_brings_nothing_along(api, signer, header):
    claims = signer.claims(request_of(signer.client_id))
    assert await refused(api, signer, signer.sign(claims, **header))


async def test_AZ_9_what_is_no_jwt_is_no_request(api, signer):
    claims = signer.claims(request_of(signer.client_id))
    doubled = json.dumps(claims)[:-1] + ', "state": "twice"}'
    deep = b'{"claims":' + b"[" * 2500 + b"]" * 2500 + b"}"
    for made in (
        "x", "a.b", "a.b.c", "a.b.c.d.e", "x" * 9000, "é.é.é",
        signer.sign(doubled.encode()), signer.sign(b"[]"), signer.sign(b"\xff"), signer.sign(deep),
        signer.sign(b'{"exp": NaN}'), signer.sign(claims) + "\u00e9", signer.sign(claims) + "=",
    ):  # fmt: skip
        assert await refused(api, signer, made)


async def test_AZ_9_a_profile_allows_fewer_algorithms_and_wants_nbf(api):
    keys = [key_for(alg, alg) for alg in ALGORITHMS]
    raw = {**SPA, "kind": "confidential", "jwks": jwks(*keys), "profile": "fapi2"}
    raw["redirect_uris"] = [uri for uri in SPA["redirect_uris"] if uri.startswith("https:")]
    client_id = await api.client(raw)
    itself = Signer(api.issuer, kid="ES256", key=keys[0], client_id=client_id)
    for alg in ALGORITHMS:
        by = RequestSigner(client_id, api.issuer, key_for(alg, alg), alg)
        answer = await send(api, by, by.request(request_of(client_id)), **itself.form())
        assert answer.status_code == (400 if alg == "RS256" else 201)
    by = RequestSigner(client_id, api.issuer, keys[0])
    timeless = by.request(request_of(client_id), nbf=...)
    assert await refused(api, by, timeless, **itself.form()) == "nbf: missing"


# -- clients that must sign -----------------------------------------------------------------------


async def test_AZ_9_a_client_that_must_sign_does_not_come_otherwise(api, browser):
    key = key_for("ES256", "ES256")
    raw = {**SPA, "kind": "confidential", "jwks": jwks(key)}
    client_id = await api.client(raw, require_signed_request_object=True)
    by = RequestSigner(client_id, api.issuer, key)
    for answer in (await push(api, client_id), await push(api, client_id, request="")):
        assert (await api.refusal(answer))[:2] == (400, "invalid_request")
    assert told(await browser.authorize(client_id))["error"] == "invalid_request"
    answer = await send(api, by, by.request(request_of(client_id, prompt="none")))
    back = told(await visit(browser, client_id, uri_of(answer)))
    assert back["error"] == "login_required"


async def test_CA_4_a_signature_does_not_stand_for_the_clients_secret(api, signer):
    token = signer.request(request_of(signer.client_id))
    answer = await api.callers[0].post(PAR, data={"client_id": signer.client_id, "request": token})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


# -- by a browser, and by reference ---------------------------------------------------------------


async def test_AZ_9_a_browser_brings_no_request_object(api, signer, browser):
    token = signer.request(request_of(signer.client_id))
    answer = told(await browser.authorize(signer.client_id, request=token))
    assert answer["error"] == "request_not_supported"
    sent = {"client_id": signer.client_id, "request": token}
    assert is_over(await browser.open(AUTHORIZE, sent))
    metadata = (await api.get("/.well-known/openid-configuration")).json()
    assert metadata["request_parameter_supported"] is False
    assert metadata["request_object_signing_alg_values_supported"] == list(ALGORITHMS)


@asynccontextmanager
async def sink():
    """A server that anybody may call, and a list of who did."""
    calls = []

    async def take(_reader, writer):
        calls.append(writer.get_extra_info("peername"))
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", calls


async def test_SS_2_a_request_is_never_fetched(api, rp, signer, browser):
    """Keycloak CVE-2020-10770: an address in a request made the server call it."""
    async with sink() as (url, calls):
        for where in (f"{url}/request", f"{url}/urn:ietf:params:oauth:request_uri:x"):
            answer = told(await browser.authorize(rp, request_uri=where))
            assert answer["error"] == "request_uri_not_supported"
            sent = {"client_id": rp, "request_uri": where}
            assert is_over(await browser.open(AUTHORIZE, sent))
            assert is_over(await browser.send("POST", AUTHORIZE, data=sent))
            urn = f"urn:ietf:params:oauth:request_uri:{where}"
            assert is_over(await visit(browser, rp, urn))
            assert (await push(api, rp, request_uri=where)).status_code == 400
            for name in ("request_uri", "request"):
                token = signer.request(request_of(signer.client_id), **{name: where})
                assert await refused(api, signer, token)
        for header in ({"jku": f"{url}/jwks"}, {"x5u": f"{url}/cert"}):
            claims = signer.claims(request_of(signer.client_id))
            assert await refused(api, signer, signer.sign(claims, **header))
        assert calls == []


async def test_JW_2_no_other_signed_thing_is_a_request_object(api, signer, browser):
    given = await browser.tokens(signer.client_id, await api.person())
    for token in (given["access_token"], given["id_token"], given["refresh_token"]):
        assert await refused(api, signer, token)


async def test_JW_2_a_request_object_is_nothing_else(api, signer):
    token, browser = signer.request(request_of(signer.client_id)), Browserless(api)
    bearer = {"authorization": f"Bearer {token}"}
    assert (await api.get("/oauth2/userinfo", headers=bearer)).status_code == 401
    assert not await api.is_active(token)
    hinted = told(await browser.authorize(signer.client_id, id_token_hint=token))
    assert hinted["error"] == "invalid_request"
    assertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    answer = await api.callers[0].post(
        "/oauth2/token",
        data={
            "grant_type": "refresh_token", "refresh_token": "x", "client_id": signer.client_id,
            "client_assertion_type": assertion, "client_assertion": token,
        },
    )  # fmt: skip
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
