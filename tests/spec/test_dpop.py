"""DP-1, RT-11: tokens that are good with a key alone (RFC 9449)."""

import time
from uuid import UUID

import pytest
import redis.asyncio

from support.api import APP, MACHINE, PASSWORD, claims_of, joined, set_cookies
from support.browserless import SPA, told
from support.forging import b64
from support.possession import Holder
from support.replicas import ORIGIN, replicas

TOKEN, USERINFO, ME = "/oauth2/token", "/oauth2/userinfo", "/auth/me"
ALGORITHMS = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")
MINE = Holder.of()
OTHER = Holder.of()
HOUR = 3600


def now():
    return int(time.time())


async def with_proof(api, proof, client="machine", on=0, **fields):
    """Ask for a token; `proof` is one header's value, or several."""
    headers = [("dpop", one) for one in ([proof] if isinstance(proof, str) else proof)]
    fields = fields or {"grant_type": "client_credentials"}
    return await api.form(TOKEN, client, on=on, headers=headers, **fields)


def proof_for(api, path=TOKEN, method="POST", holder=MINE, **changes):
    return holder.proof(method, api.issuer + path, **changes)


async def refused(api, answer, detail):
    assert await api.refusal(answer) == (400, "invalid_dpop_proof", f"dpop: {detail}")
    return True


# -- at the token endpoint ------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_DP_1_a_proof_binds_the_token_to_its_key(api, alg):
    holder = Holder.of(alg)
    answer = await with_proof(api, proof_for(api, holder=holder))
    assert answer.status_code == 200, await api.refusal(answer)
    given = answer.json()
    assert given["token_type"] == "DPoP"
    assert answer.headers["cache-control"] == "no-store"
    assert claims_of(given["access_token"])["cnf"] == {"jkt": holder.jkt}
    seen = (await api.form("/oauth2/introspect", "reader", token=given["access_token"])).json()
    assert (seen["token_type"], seen["cnf"]) == ("DPoP", {"jkt": holder.jkt})


async def test_DP_1_without_a_proof_a_token_is_a_bearer_token(api):
    given = (await api.token("machine", grant_type="client_credentials")).json()
    assert given["token_type"] == "Bearer"
    assert "cnf" not in claims_of(given["access_token"])


GOOD = {
    "made 10 s ago": {"iat": -10},
    "made 10 s ahead": {"iat": 10},
    "with nbf and exp": {"nbf": -10, "exp": 60},
    "with exp over for less than a clock is off": {"exp": -10},
    "with fractions of a second": {"iat": 0.5},
}
GOOD_AS_IT_STANDS = {
    "with a query": lambda uri: {"htu": f"{uri}?a=b"},
    "with a fragment": lambda uri: {"htu": f"{uri}#part"},
    "with both": lambda uri: {"htu": f"{uri}?a=b#part"},
    "upper-case host and scheme": lambda uri: {"htu": uri.replace("https://localhost", "HTTPS://LOCALHOST")},
    "a letter written as its number": lambda uri: {"htu": uri.replace("token", "%74oken")},
    "claims of others": lambda _: {"aud": "x", "iss": "y", "sub": "z", "more": {"deep": [1]}},
    "a nonce nobody asked for": lambda _: {"nonce": "anything"},
    "an ath that nobody asked for": lambda _: {"ath": "anything"},
    "a long jti": lambda _: {"jti": "x" * 256},
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
async def test_DP_1_a_clock_may_be_a_little_wrong(api, case):
    times = {name: now() + off for name, off in GOOD[case].items()}
    answer = await with_proof(api, proof_for(api, **times))
    assert answer.status_code == 200, await api.refusal(answer)


async def test_DP_1_a_header_member_nobody_knows_means_nothing(api):
    """RFC 7515 section 4; those that bring a key, or are critical, are refused below."""
    answer = await with_proof(api, proof_for(api, header={"tx_id": 1}))
    assert answer.status_code == 200, await api.refusal(answer)


@pytest.mark.parametrize("case", GOOD_AS_IT_STANDS)
async def test_DP_1_what_means_the_same_or_nothing_to_us_is_let_pass(api, case):
    answer = await with_proof(api, proof_for(api, **GOOD_AS_IT_STANDS[case](api.issuer + TOKEN)))
    assert answer.status_code == 200, await api.refusal(answer)


async def test_DP_1_the_name_of_the_header_has_no_case(api):
    for name in ("DPoP", "DPOP", "dpop"):
        headers = {name: proof_for(api)}
        fields = {"grant_type": "client_credentials"}
        answer = await api.form(TOKEN, "machine", headers=headers, **fields)
        assert answer.json()["token_type"] == "DPoP"


CLAIMS = {
    "no jti": ({"jti": ...}, "jti: not 1 to 256 printable characters"),
    "an empty jti": ({"jti": ""}, "jti: not 1 to 256 printable characters"),
    "a jti that is no text": ({"jti": 7}, "jti: not 1 to 256 printable characters"),
    "a jti without end": ({"jti": "x" * 257}, "jti: not 1 to 256 printable characters"),
    "a jti with NUL": ({"jti": "a\0b"}, "jti: not 1 to 256 printable characters"),
    "a jti that no encoding has": ({"jti": "a\ud800"}, "jti: not 1 to 256 printable characters"),
    "no htm": ({"htm": ...}, "htm: another method"),
    "another htm": ({"htm": "GET"}, "htm: another method"),
    "htm in another case": ({"htm": "post"}, "htm: another method"),
    "no htu": ({"htu": ...}, "htu: another address"),
    "htu that is no text": ({"htu": ["x"]}, "htu: another address"),
    "htu that is no address": ({"htu": "https://[::1/oauth2/token"}, "htu: another address"),
    "htu of another server": ({"htu": "https://evil.example/oauth2/token"}, "htu: another address"),
    "no iat": ({"iat": ...}, "iat: missing, or not about now"),
    "iat an hour ago": ({"iat": now() - HOUR}, "iat: missing, or not about now"),
    "iat in an hour": ({"iat": now() + HOUR}, "iat: missing, or not about now"),
    "iat beyond every number": ({"iat": 10**400}, "iat: missing, or not about now"),
    "iat as text": ({"iat": str(now())}, "iat: not a number"),
    "iat true": ({"iat": True}, "iat: not a number"),
    "exp over": ({"exp": now() - HOUR}, "exp: over"),
    "nbf to come": ({"nbf": now() + HOUR}, "nbf: not yet"),
    "exp as text": ({"exp": "never"}, "exp: not a number"),
}  # fmt: skip
HEADERS = {
    "no typ": ({"typ": ...}, "typ: not dpop+jwt"),
    "typ of another kind": ({"typ": "JWT"}, "typ: not dpop+jwt"),
    "typ of an access token": ({"typ": "at+jwt"}, "typ: not dpop+jwt"),
    "no alg": ({"alg": ...}, "alg: not allowed"),
    "alg none": ({"alg": "none"}, "alg: not allowed"),
    "alg symmetric": ({"alg": "HS256"}, "alg: not allowed"),
    "alg of another key": ({"alg": "PS256"}, "alg: not one of the key's"),
    "no jwk": ({"jwk": ...}, "jwk: missing"),
    "jwk no object": ({"jwk": "x"}, "jwk: missing"),
    "jwk empty": ({"jwk": {}}, "jwk: not a public key we take"),
    "jwk with its private half": (
        {"jwk": {**MINE.jwk, "d": b64(b"\1" * 32)}}, "jwk: not a public key we take"),
    "jwk symmetric": ({"jwk": {"kty": "oct", "k": "AAAA"}}, "jwk: not a public key we take"),
    "jwk for something else": ({"jwk": {**MINE.jwk, "use": "enc"}}, "jwk: not a public key we take"),
    "jwk of odd types": ({"jwk": {**MINE.jwk, "x": 1, "alg": ["ES256"]}}, "jwk: not a public key we take"),
    "jwk not on the curve": ({"jwk": {**MINE.jwk, "y": b64(b"\1" * 32)}}, "jwk: not a public key we take"),
    "jwk of somebody else": ({"jwk": OTHER.jwk}, "signature: BadSignatureError"),
    "an address to fetch the key from": ({"jku": "https://evil.example"}, "header: jku"),
    "something critical": ({"crit": ["b64"], "b64": False}, "header: crit"),
}  # fmt: skip


@pytest.mark.parametrize("case", CLAIMS)
async def test_DP_1_a_proof_made_for_something_else_is_refused(api, case):
    changes, detail = CLAIMS[case]
    assert await refused(api, await with_proof(api, proof_for(api, **changes)), detail)


@pytest.mark.parametrize("case", HEADERS)
async def test_DP_1_a_proof_by_no_key_or_no_way_we_take_is_refused(api, case):
    changes, detail = HEADERS[case]
    assert await refused(api, await with_proof(api, proof_for(api, header=changes)), detail)


async def test_DP_1_what_is_no_proof_or_two_is_refused(api):
    good = proof_for(api)
    head, body, signature = good.split(".")
    for proof, detail in (
        ("rubbish", "form: not three base64url segments"),
        (f"{head}.{body}.", "signature: BadSignatureError"),
        (f"{head}.{body}.{signature[:-4]}AAAA", "signature: BadSignatureError"),
        (f"{good}, {proof_for(api)}", "form: not three base64url segments"),
        ([good, proof_for(api)], "more than one proof"),
        ([good, good], "more than one proof"),
        (proof_for(api, more="x" * 3000), "longer than 4096 characters"),
    ):
        assert await refused(api, await with_proof(api, proof), detail), detail
    # A refusal that could be told without its signature used nothing up.
    assert (await with_proof(api, good)).status_code == 200


async def test_DP_1_an_address_is_the_issuer_s_whatever_the_request_calls_it(api):
    """`Host` is the caller's text; so is what a proxy in front of us is called by itself."""
    (port,) = {one.url.rpartition(":")[2] for one in api.replicas[:1]}
    for uri in (f"http://127.0.0.1:{port}{TOKEN}", api.issuer + "/oauth2/introspect"):
        answer = await with_proof(api, MINE.proof("POST", uri))
        assert await refused(api, answer, "htu: another address")
    headers = {"dpop": MINE.proof("POST", f"https://evil.example{TOKEN}"), "host": "evil.example"}
    answer = await api.form(TOKEN, "machine", headers=headers, grant_type="client_credentials")
    assert await refused(api, answer, "htu: another address")


async def test_DP_1_a_proof_is_good_once_at_every_replica(api):
    proof = proof_for(api)
    assert (await with_proof(api, proof)).status_code == 200
    for on in (0, 1):
        assert await refused(api, await with_proof(api, proof, on=on), "jti: used before")
    jti = "the-same-for-two"
    for holder in (Holder.of(), Holder.of()):
        assert (await with_proof(api, proof_for(api, holder=holder, jti=jti))).status_code == 200


async def test_DP_1_a_client_that_fails_to_prove_itself_uses_no_proof_up(api):
    """The client comes first, then the proof, then the grant (the rotation paper's order)."""
    proof = proof_for(api)
    answer = await api.callers[0].post(
        TOKEN,
        data={"grant_type": "client_credentials"},
        auth=("machine", "wrong-wrong-wrong-wrong-wrong-wrong"),
        headers={"dpop": proof},
    )
    assert answer.status_code == 401
    assert (await with_proof(api, proof)).status_code == 200


async def test_DP_1_a_client_that_needs_proofs_gets_nothing_without_one(api, browser):
    machine = await api.client({**MACHINE, "require_dpop": True})
    spa = await api.client({**SPA, "require_dpop": True, "rotation": False})
    answer = await api.token(machine, grant_type="client_credentials")
    missing = (400, "invalid_request", "dpop: required of this client")
    assert await api.refusal(answer) == missing, "no bound grant of a confidential client is wrong"
    assert (await with_proof(api, proof_for(api), machine)).json()["token_type"] == "DPoP"
    code = await browser.code(spa, await api.person())
    assert await refused(api, await browser.redeem(spa, code), "required of this client")
    answer = await redeem(api, browser, spa, code, proof_for(api))
    given = answer.json()
    assert given["token_type"] == "DPoP"
    answer = await refresh(api, spa, given["refresh_token"])
    assert await refused(api, answer, "required of this client")
    answer = await refresh(api, spa, given["refresh_token"], proof_for(api))
    assert answer.json()["refresh_token"] == given["refresh_token"], "rotation is off"


async def test_DP_1_algorithms_are_in_the_metadata_and_counted_refusals_in_the_metrics(api):
    document = (await api.get("/.well-known/openid-configuration")).json()
    assert document["dpop_signing_alg_values_supported"] == list(ALGORITHMS)
    labels = {"grant_type": "client_credentials", "result": "invalid_dpop_proof"}
    before = api.metric("keyturn_token_requests_total", **labels)
    await with_proof(api, "rubbish")
    assert api.metric("keyturn_token_requests_total", **labels) == before + 1


# -- codes and sessions ---------------------------------------------------------------------------


async def redeem(api, browser, client, code, proof=None, **changes):
    """Redeem a code with a proof."""
    headers = {} if proof is None else {"dpop": proof}
    return await browser.redeem(client, code, headers=headers, **changes)


async def refresh(api, client, token, proof=None, **fields):
    headers = {} if proof is None else {"dpop": proof}
    fields = {"grant_type": "refresh_token", "refresh_token": token, **fields}
    return await api.form(TOKEN, client, headers=headers, **fields)


@pytest.fixture
async def bound(api, spa, browser):
    """What a code and a proof gave a public client."""
    code = await browser.code(spa, await api.person())
    answer = await redeem(api, browser, spa, code, proof_for(api))
    assert answer.status_code == 200, await api.refusal(answer)
    return answer.json()


async def test_RT_11_a_public_client_s_session_is_bound_to_the_key(api, spa, bound):
    token = bound["refresh_token"]
    assert bound["token_type"] == "DPoP"
    refusal = (400, "invalid_dpop_proof", "session: bound to another key")
    for proof in (None, proof_for(api, holder=OTHER)):
        assert await api.refusal(await refresh(api, spa, token, proof)) == refusal
    answer = await refresh(api, spa, token, proof_for(api))
    assert answer.status_code == 200
    given = answer.json()
    assert given["token_type"] == "DPoP"
    assert given["refresh_token"] != token
    assert claims_of(given["access_token"])["cnf"] == {"jkt": MINE.jkt}


async def test_RT_11_a_key_that_was_missing_is_told_of_once_a_session(api, spa, bound):
    said = claims_of(bound["access_token"])
    for _ in range(3):
        await refresh(api, spa, bound["refresh_token"])
    assert (await refresh(api, spa, bound["refresh_token"], proof_for(api))).status_code == 200
    await refresh(api, spa, bound["refresh_token"])
    marker = await api.person()
    await api.sign_in(marker)
    await api.events("sign_in", user_id=marker.id)
    (event,) = await api.events("dpop_refused", session_id=UUID(said["sid"]))
    assert (str(event["user_id"]), event["client_id"], event["result"]) == (
        said["sub"],
        spa,
        "failed",
    )


async def test_RT_11_a_confidential_client_s_refresh_tokens_follow_its_authentication(
    api, rp, browser
):
    """RFC 9449 section 5: another key each time, or none."""
    code = await browser.code(rp, await api.person())
    answer = await redeem(api, browser, rp, code, proof_for(api))
    given = answer.json()
    assert claims_of(given["access_token"])["cnf"] == {"jkt": MINE.jkt}
    token = given["refresh_token"]
    for holder in (OTHER, None, MINE):
        proof = None if holder is None else proof_for(api, holder=holder)
        given = (await refresh(api, rp, token, proof)).json()
        assert given["token_type"] == ("Bearer" if holder is None else "DPoP")
        bound_to = claims_of(given["access_token"]).get("cnf")
        assert bound_to == (None if holder is None else {"jkt": holder.jkt})
        token = given["refresh_token"]


async def test_RT_11_a_session_that_began_without_a_proof_stays_a_bearer_s(api, spa, browser):
    """A proof binds the access token it came for; the session began with none."""
    given = (await browser.redeem(spa, await browser.code(spa, await api.person()))).json()
    answer = (await refresh(api, spa, given["refresh_token"], proof_for(api))).json()
    assert claims_of(answer["access_token"])["cnf"] == {"jkt": MINE.jkt}
    assert (await refresh(api, spa, answer["refresh_token"])).json()["token_type"] == "Bearer"


async def test_AC_5_a_code_may_be_bound_to_a_key(api, spa, rp, browser):
    for client in (spa, rp):
        code = await browser.code(client, await api.person(), dpop_jkt=MINE.jkt)
        reason = "code: no proof by the key of the request"
        for proof in (None, proof_for(api, holder=OTHER)):
            answer = await redeem(api, browser, client, code, proof)
            assert await api.refusal(answer) == (400, "invalid_grant", reason)
        answer = await redeem(api, browser, client, code, proof_for(api))
        assert answer.status_code == 200, "and nothing of that used it up"


@pytest.mark.parametrize("jkt", ["", "x", "x" * 42, "x" * 44, "x" * 42 + "=", "x" * 42 + "+"])
async def test_DP_1_a_dpop_jkt_that_is_no_thumbprint_is_refused(api, spa, browser, jkt):
    await browser.code(spa, await api.person())
    answer = told(await browser.authorize(spa, dpop_jkt=jkt))
    if jkt:
        assert answer["error"] == "invalid_request"
    else:
        assert "code" in answer, "an empty parameter counts as left out"


# -- where an access token is shown ---------------------------------------------------------------


async def shown(api, path, token, proof=None, scheme="DPoP", **options):
    headers = [("authorization", f"{scheme} {token}")]
    headers += [("dpop", one) for one in ([proof] if isinstance(proof, str) else proof or [])]
    return await api.get(path, headers=headers, **options)


def challenges(answer, error):
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(f'DPoP realm="keyturn", error="{error}"')
    assert challenge.endswith(f'algs="{" ".join(ALGORITHMS)}"')
    return True


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP"])
async def test_DP_1_a_bound_token_is_shown_with_a_proof_for_it(api, bound, scheme):
    token = bound["access_token"]
    for method in ("GET", "POST"):
        proof = proof_for(api, USERINFO, method, token=token)
        headers = {"authorization": f"{scheme} {token}", "dpop": proof}
        answer = await api.callers[0].request(method, USERINFO, headers=headers)
        assert (answer.status_code, answer.json()["sub"]) == (200, claims_of(token)["sub"])


async def test_DP_1_a_bound_token_is_nothing_without_its_key(api, bound):
    token = bound["access_token"]
    for proof, scheme, detail in (
        (None, "Bearer", "token: bound to a key, shown as Bearer"),
        (proof_for(api, USERINFO, "GET", token=token), "Bearer", "token: bound to a key, shown as Bearer"),
        (None, "DPoP", "dpop: no proof"),
    ):  # fmt: skip
        answer = await shown(api, USERINFO, token, proof, scheme)
        assert await api.refusal(answer) == (401, "invalid_token", detail)
        assert challenges(answer, "invalid_token")


RESOURCE = {
    "no ath": ({"ath": ...}, "ath: of another access token"),
    "ath of another token": ({"ath": "x" * 43}, "ath: of another access token"),
    "another method": ({"htm": "POST"}, "htm: another method"),
    "another address": ({"htu": "https://localhost:8443/auth/me"}, "htu: another address"),
    "an hour ago": ({"iat": now() - HOUR}, "iat: missing, or not about now"),
    "in an hour": ({"iat": now() + HOUR}, "iat: missing, or not about now"),
    "no jti": ({"jti": ...}, "jti: not 1 to 256 printable characters"),
    "another key": ({"holder": OTHER}, "by another key"),
    "no typ": ({"header": {"typ": ...}}, "typ: not dpop+jwt"),
    "alg none": ({"header": {"alg": "none"}}, "alg: not allowed"),
    "the private key": (
        {"header": {"jwk": {**MINE.jwk, "d": b64(b"\1" * 32)}}}, "jwk: not a public key we take"),
}  # fmt: skip


@pytest.mark.parametrize("case", RESOURCE)
async def test_DP_1_a_proof_for_something_else_shows_no_token(api, bound, case):
    changes, detail = RESOURCE[case]
    token = bound["access_token"]
    proof = proof_for(api, USERINFO, "GET", **{"token": token, **changes})
    answer = await shown(api, USERINFO, token, proof)
    assert await api.refusal(answer) == (401, "invalid_dpop_proof", f"dpop: {detail}")
    assert challenges(answer, "invalid_dpop_proof")


async def test_DP_1_a_proof_is_good_once_where_a_token_is_shown_and_two_are_none(api, bound):
    token = bound["access_token"]
    proof = proof_for(api, USERINFO, "GET", token=token)
    assert (await shown(api, USERINFO, token, proof)).status_code == 200
    for proofs, detail in ((proof, "jti: used before"), ([proof, proof], "more than one proof")):
        answer = await shown(api, USERINFO, token, proofs, on=1)
        assert await api.refusal(answer) == (401, "invalid_dpop_proof", f"dpop: {detail}")


async def test_DP_1_a_bearer_token_is_no_dpop_token(api, spa, browser):
    given = await browser.tokens(spa, await api.person())
    token = given["access_token"]
    proof = proof_for(api, USERINFO, "GET", token=token)
    answer = await shown(api, USERINFO, token, proof)
    refusal = (401, "invalid_token", "token: bound to no key, shown as DPoP")
    assert await api.refusal(answer) == refusal
    assert challenges(answer, "invalid_token")
    answer = await shown(api, USERINFO, token, proof, "Bearer")
    assert answer.status_code == 200, "a proof that nobody asked for"
    answer = await shown(api, USERINFO, "rubbish", proof)
    assert (await api.refusal(answer))[:2] == (401, "invalid_token")
    assert challenges(answer, "invalid_token")


# -- the session API ------------------------------------------------------------------------------


async def sign_in(api):
    headers = {"dpop": proof_for(api, "/auth/login")}
    answer = await api.login(await api.person(), headers=headers)
    assert answer.status_code == 200, await api.refusal(answer)
    return answer.json()


CREDENTIAL_DOORS = {
    "/auth/refresh": {},
    "/auth/logout": {},
    "/auth/logout-all": {"exceptCurrent": True},
    "/auth/reauthenticate": {"password": PASSWORD},
    "/auth/password": {"newPassword": PASSWORD},
}


async def test_DP_1_a_session_of_the_api_is_bound_and_every_use_of_it_needs_a_proof(api):
    given = await sign_in(api)
    assert given["tokenType"] == "DPoP"
    assert claims_of(given["accessToken"])["cnf"] == {"jkt": MINE.jkt}
    doors = {(path, "POST"): body for path, body in CREDENTIAL_DOORS.items()}
    doors[f"/auth/sessions/{given['sessionId']}", "DELETE"] = {}
    for (path, method), members in doors.items():
        body = {"refreshToken": given["refreshToken"], **members}
        for proof in (None, proof_for(api, path, method, holder=OTHER)):
            headers = {} if proof is None else {"dpop": proof}
            answer = await api.post(path, body, method=method, headers=headers)
            refusal = (400, "invalid_dpop_proof", "session: bound to another key")
            assert await api.refusal(answer) == refusal, path
    for path in ("/auth/reauthenticate", "/auth/refresh", "/auth/logout"):
        body = {"refreshToken": given["refreshToken"], **CREDENTIAL_DOORS[path]}
        answer = await api.post(path, body, headers={"dpop": proof_for(api, path)})
        assert answer.status_code in {200, 204}, await api.refusal(answer)
        if path != "/auth/logout":
            assert answer.json()["tokenType"] == "DPoP"


async def test_DP_1_a_bound_token_at_the_session_api(api):
    token = (await sign_in(api))["accessToken"]
    for path in (ME, "/auth/sessions"):
        answer = await shown(api, path, token, proof_for(api, path, "GET", token=token))
        assert answer.status_code == 200, await api.refusal(answer)
        answer = await shown(api, path, token, scheme="Bearer")
        refusal = (401, "invalid_token", "token: bound to a key, shown as Bearer")
        assert await api.refusal(answer) == refusal
        answer = await shown(api, path, token, proof_for(api, path, "GET"))
        assert (await api.refusal(answer))[:2] == (401, "invalid_dpop_proof")


async def test_DP_1_a_cookie_may_be_bound_too(api):
    headers = {"dpop": proof_for(api, "/auth/login"), "origin": ORIGIN}
    answer = await api.login(await api.person(), transport="cookie", headers=headers)
    ((name, value, _),) = set_cookies(answer)
    headers = {"cookie": f"{name}={value}", "origin": ORIGIN}
    answer = await api.post("/auth/refresh", headers=headers)
    assert (await api.refusal(answer))[:2] == (400, "invalid_dpop_proof")
    headers["dpop"] = proof_for(api, "/auth/refresh")
    assert (await api.post("/auth/refresh", headers=headers)).status_code == 200


async def test_DP_1_a_client_of_the_session_api_that_needs_proofs(api):
    client = await api.client({**APP, "require_dpop": True})
    person = await api.person()
    answer = await api.login(person, client=client)
    assert await refused(api, answer, "required of this client")
    headers = {"dpop": proof_for(api, "/auth/login")}
    answer = await api.login(person, client=client, headers=headers)
    token = answer.json()["refreshToken"]
    answer = await api.post("/auth/refresh", {"refreshToken": token}, client=client)
    assert await refused(api, answer, "required of this client")


async def test_DP_1_whoever_gives_a_token_up_need_not_prove_anything(api, spa, bound):
    """RFC 7009 knows no proofs, and clients send none; a found token is better dead."""
    answer = await api.form("/oauth2/revoke", spa, token=bound["refresh_token"])
    assert answer.status_code == 200
    answer = await refresh(api, spa, bound["refresh_token"], proof_for(api))
    assert (await api.refusal(answer))[:2] == (400, "invalid_grant")


# -- nonces ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def careful(api):
    """A third replica, which demands a nonce."""
    with replicas({**api.settings, "KEYTURN_DPOP__REQUIRE_NONCE": "true"}) as (one,):
        async with joined(api, one) as running:
            yield running


async def test_DP_1_a_proof_must_carry_the_nonce_that_the_server_gave(careful, spa):
    answer = await with_proof(careful, proof_for(careful))
    refusal = (400, "use_dpop_nonce", "dpop: nonce: missing, too old, or not ours")
    assert await careful.refusal(answer) == refusal
    nonce = answer.headers["dpop-nonce"]
    for wrong in (None, 7, "x", nonce[:-1] + "\u00e4", nonce + "x"):
        answer = await with_proof(careful, proof_for(careful, nonce=wrong))
        assert await careful.refusal(answer) == refusal
        assert answer.headers["dpop-nonce"]
    answer = await with_proof(careful, proof_for(careful, nonce=nonce))
    assert answer.status_code == 200
    assert answer.headers["dpop-nonce"], "the next one, where it is a new one"
    without = await careful.token("machine", grant_type="client_credentials")
    assert "dpop-nonce" not in without.headers


async def test_DP_1_where_a_token_is_shown_a_nonce_is_demanded_by_a_challenge(careful, bound):
    token = bound["access_token"]
    for path in (USERINFO,):
        answer = await shown(careful, path, token)
        assert (await careful.refusal(answer))[:2] == (401, "invalid_token")
        assert answer.headers["dpop-nonce"]
        answer = await shown(careful, path, token, proof_for(careful, path, "GET", token=token))
        assert (await careful.refusal(answer))[:2] == (401, "use_dpop_nonce")
        assert challenges(answer, "use_dpop_nonce")
        nonce = answer.headers["dpop-nonce"]
        proof = proof_for(careful, path, "GET", token=token, nonce=nonce)
        assert (await shown(careful, path, token, proof)).status_code == 200


async def test_DP_1_pages_may_read_the_nonce_and_send_a_proof(careful):
    person = await careful.person()
    headers = {"dpop": proof_for(careful, "/auth/login"), "origin": ORIGIN}
    answer = await careful.login(person, headers=headers)
    assert (await careful.refusal(answer))[:2] == (400, "use_dpop_nonce")
    assert "DPoP-Nonce" in answer.headers["access-control-expose-headers"]
    headers["dpop"] = proof_for(careful, "/auth/login", nonce=answer.headers["dpop-nonce"])
    assert (await careful.login(person, headers=headers)).status_code == 200


# -- trouble --------------------------------------------------------------------------------------


async def test_DP_1_while_the_database_is_away_nothing_is_said_about_a_proof(outage):
    """Nobody can know whether it was used: 503, and what needs no proof goes on."""
    api, pair = outage
    proof = proof_for(api)
    pair.postgres.kill()
    try:
        answer = await with_proof(api, proof)
        assert (await api.refusal(answer))[:2] == (503, "temporarily_unavailable")
        assert await refused(
            api, await with_proof(api, "rubbish"), "form: not three base64url segments"
        )
        assert (await api.token("machine", grant_type="client_credentials")).status_code == 200
    finally:
        await pair.postgres.start()
    assert (await with_proof(api, proof)).status_code == 200


async def test_DP_1_a_proof_stays_used_when_redis_forgets_and_servers_restart(outage):
    api, pair = outage
    proof = proof_for(api)
    assert (await with_proof(api, proof)).status_code == 200
    async with redis.asyncio.from_url(pair.redis_url) as client:
        await client.flushall()
    assert await refused(api, await with_proof(api, proof), "jti: used before")
    with replicas(api.settings) as (one,):
        async with joined(api, one) as fresh:
            assert await refused(fresh, await with_proof(fresh, proof), "jti: used before")
