"""`fapi2-security-profile-final-test-plan`, a test a module.

The variant: private_key_jwt, DPoP, OpenID Connect, plain FAPI, unsigned requests, plain responses.
"""

import asyncio
import hashlib
import json
import time
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from support.browserless import VERIFIER
from support.conformance import CALLBACK, CLAIMS_OF, DISCOVERY, Provider, check_keys, has_entropy
from support.conformance_modules import check_page
from support.fapi import FapiProvider, FapiRun, error_of, in_seconds
from support.forging import b64
from support.possession import Holder

RUN = FapiRun
FAPI_ALGORITHMS = {"PS256", "ES256", "EdDSA"}
HOUR = 3600
PATIENCE = 5.0
PAR, TOKEN = "pushed_authorization_request_endpoint", "token_endpoint"


@pytest.fixture(scope="module")
async def provider(api):
    return await FapiProvider.over(await Provider.of(api))


@pytest.fixture(scope="module")
def bank(provider):
    """The plan's first client: RSA."""
    return provider.banks[0]


@pytest.fixture(scope="module")
def other(provider):
    """The plan's second client: ES256, and a redirect URI with a query of its own."""
    return provider.banks[1]


async def test_fapi2_security_profile_final_discovery_end_point_verification(run):
    api = run.provider.api
    answer = await api.get(DISCOVERY)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert "code" in said["response_types_supported"]
    assert said["authorization_response_iss_parameter_supported"] is True
    assert urlsplit(said["pushed_authorization_request_endpoint"]).scheme == "https"
    assert isinstance(said["require_pushed_authorization_requests"], bool)
    assert said["issuer"] + DISCOVERY == api.issuer + DISCOVERY
    for member in ("dpop", "id_token", "token_endpoint_auth"):
        assert FAPI_ALGORITHMS & set(said[f"{member}_signing_alg_values_supported"]), member
    assert "private_key_jwt" in said["token_endpoint_auth_methods_supported"]
    assert "userinfo_signing_alg_values_supported" not in said
    assert "S256" in said["code_challenge_methods_supported"]
    assert {"authorization_code", "refresh_token"} <= set(said["grant_types_supported"])
    for member in ("authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint"):
        assert urlsplit(said[member]).scheme == "https"
    assert "openid" in said["scopes_supported"]
    assert "public" in said["subject_types_supported"]
    check_keys((await api.get(run.provider.path("jwks_uri"))).json())


async def test_fapi2_security_profile_final_happy_flow(run, bank, other):
    flow = await run.flow(bank)
    assert set(flow.userinfo) == {"sub", *CLAIMS_OF["email"]}
    assert not set(flow.claims) & {name for names in CLAIMS_OF.values() for name in names}
    token = flow.tokens["access_token"]
    in_the_query = await run.resource(bank, "x", proofs=None, params={"access_token": token})
    assert in_the_query.status_code in {400, 401}
    for accept in ("application/json; charset=utf-8", "application/json, */*;q=0.5"):
        proof = run.proof(bank, "userinfo_endpoint", "GET", token=token)
        headers = {"authorization": f"DPoP {token}", "dpop": proof, "accept": accept}
        answer = await run.provider.api.get(run.provider.path("userinfo_endpoint"), headers=headers)
        run.good(answer, flow.claims["sub"])
    second = await run.flow(other, nonce="n" * 43, dpop_jkt=other.holder.jkt)
    assert second.claims["sub"] == flow.claims["sub"]
    crossed = await run.resource(other, token)
    assert crossed.status_code in {400, 401}, "the first client's token by the second one's key"


async def test_fapi2_security_profile_final_user_rejects_authentication(run, bank, other):
    for client in (bank, other):
        visit = await run.visit(client, state="s" * 128, stop_at="consent")
        end = await run.browser.submit(visit.end, "consent", "deny")
        assert end.status_code == 303
        assert run.error(replace(visit, end=end)) == "access_denied"


async def test_fapi2_security_profile_final_ensure_authorization_request_without_state_success(run):
    visit = await run.visit(run.provider.banks[0], state=None)
    assert "state" not in run.told(visit)
    flow = await run.finish(visit)
    assert "s_hash" not in flow.claims


async def test_fapi2_security_profile_final_ensure_authorization_request_without_nonce_success(run):
    flow = await run.flow(nonce=None)
    assert "nonce" not in flow.claims


async def test_fapi2_security_profile_final_ensure_authorization_request_with_64_char_nonce_success(
    run,
):
    flow = await run.flow(nonce="n" * 64)
    assert flow.claims["nonce"] == "n" * 64


async def test_fapi2_security_profile_final_ensure_other_scope_order_succeeds(run):
    flow = await run.flow(scope="offline_access email openid")
    assert "email" in flow.userinfo


async def test_fapi2_security_profile_final_test_claims_parameter_identity_claims(run):
    document = run.provider.document
    assert document["claims_parameter_supported"] is True
    standard = {name for names in CLAIMS_OF.values() for name in names}
    names = sorted(standard & set(document["claims_supported"]))
    assert names
    forms = (None, {"essential": True}, {"essential": False})
    wanted = {name: forms[number % 3] for number, name in enumerate(names)}
    unheard_of = {uuid4().hex: None}
    claims = {where: {**wanted, **unheard_of} for where in ("id_token", "userinfo")}
    flow = await run.flow(claims=json.dumps({**claims, uuid4().hex: unheard_of}))
    got = {**flow.claims, **flow.userinfo}
    if missing := [name for name in names if name not in got]:
        run.warn(f"not given: {', '.join(missing)}")
    assert not set(got) & set(unheard_of)


async def test_fapi2_security_profile_final_access_token_type_header_case_sensitivity(run):
    visit = await run.visit(run.provider.banks[0])
    await run.finish(visit, scheme="dPOp")


async def test_fapi2_security_profile_final_check_dpop_proof_nbf_exp(run, bank):
    times = {"nbf": in_seconds(0), "exp": in_seconds(300)}
    visit = await run.visit(bank)
    token = run.tokens(
        await run.redeem(bank, run.code(visit), proofs=run.proof(bank, TOKEN, **times))
    )["access_token"]
    proof = run.proof(bank, "userinfo_endpoint", "GET", token=token, **times)
    assert (await run.resource(bank, token, proofs=proof)).status_code == 200


async def with_proofs_made(run, bank, seconds):
    """Send a proof made so many seconds from now to every endpoint."""
    at = {"iat": in_seconds(seconds)}
    visit = await run.visit(bank, proofs=run.proof(bank, PAR, **at))
    answer = await run.redeem(bank, run.code(visit), proofs=run.proof(bank, TOKEN, **at))
    token = run.tokens(answer)["access_token"]
    proof = run.proof(bank, "userinfo_endpoint", "GET", token=token, **at)
    assert (await run.resource(bank, token, proofs=proof)).status_code == 200


async def test_fapi2_security_profile_final_ensure_dpopproof_with_iat_10seconds_before_succeeds(
    run, bank
):
    await with_proofs_made(run, bank, -10)


async def test_fapi2_security_profile_final_ensure_dpopproof_with_iat_10seconds_after_succeeds(
    run, bank
):
    await with_proofs_made(run, bank, 10)


async def test_fapi2_security_profile_final_ensure_mismatched_dpop_jkt_fails(run, bank):
    asked = run.asked(bank, dpop_jkt=Holder.of().jkt)
    answer = await run.push(bank, asked, run.proof(bank, PAR))
    error_of(answer, "invalid_request", "invalid_dpop_proof")


async def by_another_key(run, bank, visit):
    """Redeem with a proof by a key that the code is not bound to."""
    stranger = replace(bank, holder=Holder.of())
    answer = await run.redeem(bank, run.code(visit), proofs=run.proof(stranger, TOKEN))
    error_of(answer, "invalid_request", "invalid_grant", "invalid_dpop_proof")


async def test_fapi2_security_profile_final_ensure_token_endpoint_fails_with_mismatched_dpop_proof_jkt(
    run, bank
):
    await by_another_key(run, bank, await run.visit(bank, proofs=run.proof(bank, PAR)))


async def test_fapi2_security_profile_final_ensure_token_endpoint_fails_with_mismatched_dpop_jkt(
    run, bank
):
    await by_another_key(run, bank, await run.visit(bank, dpop_jkt=bank.holder.jkt))


async def test_fapi2_security_profile_final_ensure_dpopproof_at_par_endpoint_binding_success(
    run, bank
):
    await run.flow(bank, proofs=run.proof(bank, PAR))


async def test_fapi2_security_profile_final_ensure_dpop_auth_code_binding_success(run, bank):
    await run.flow(bank, proofs=run.proof(bank, PAR), dpop_jkt=bank.holder.jkt)


async def test_fapi2_security_profile_final_ensure_different_nonce_inside_and_outside_request_object(
    run,
):
    """The answer has what was pushed: nothing else of a request counts (`finish` compares)."""
    await run.flow(outside={"nonce": "another"})


async def test_fapi2_security_profile_final_ensure_different_state_inside_and_outside_request_object(
    run,
):
    await run.flow(outside={"state": "another"})


async def test_fapi2_security_profile_final_ensure_authorization_request_with_long_nonce(run):
    flow = await run.flow(nonce="n" * 384)
    assert flow.claims["nonce"] == "n" * 384


async def test_fapi2_security_profile_final_ensure_authorization_request_with_long_state(run):
    await run.flow(state="s" * 1000)


async def test_fapi2_security_profile_final_state_only_outside_request_object_not_used(run):
    visit = await run.visit(run.provider.banks[0], state=None, outside={"state": "another"})
    assert "state" not in run.told(visit)
    assert "s_hash" not in (await run.finish(visit)).claims


async def test_fapi2_security_profile_final_ensure_request_object_without_redirect_uri_fails(
    run, bank
):
    answer = await run.push(bank, run.asked(bank, redirect_uri=None))
    error_of(answer, "invalid_request", "invalid_request_object")


async def test_fapi2_security_profile_final_plain_fapi_tolerate_unregistered_redirect_uri(
    run, bank
):
    """Not tolerated, which the module allows: nobody could say whose address it is."""
    answer = await run.push(bank, run.asked(bank, redirect_uri=f"{CALLBACK}/{uuid4().hex}"))
    error_of(answer, "invalid_request", "invalid_request_object")


async def test_fapi2_security_profile_final_ensure_unsigned_authorization_request_without_using_par_fails(
    run, bank
):
    asked = run.asked(bank)
    visit = await run.visit(bank, stop_at="login")
    page = await run.browser.open(run.provider.path("authorization_endpoint"), asked)
    assert run.error(replace(visit, asked=asked, end=page)) == "invalid_request"


async def test_fapi2_security_profile_final_ensure_redirect_uri_in_authorization_request(run, bank):
    answer = await run.push(bank, run.asked(bank, redirect_uri=None))
    error_of(answer, "invalid_request", "invalid_request_object")


async def test_fapi2_security_profile_final_ensure_response_type_code_idtoken_fails(run, bank):
    answer = await run.push(bank, run.asked(bank, response_type="code id_token"))
    error_of(answer, "unsupported_response_type", "invalid_request", "unauthorized_client")


async def test_fapi2_security_profile_final_ensure_response_type_token_fails(run, bank):
    answer = await run.push(bank, run.asked(bank, response_type="token"))
    error_of(answer, "unsupported_response_type", "invalid_request", "unauthorized_client")


async def test_fapi2_security_profile_final_ensure_client_id_in_token_endpoint(run, bank, other):
    """The second client's name, signed by the first one's key."""
    code = run.code(await run.visit(bank))
    forged = replace(bank.signer, client_id=other.id)
    answer = await run.redeem(bank, code, assertion=forged.form(), client_id=other.id)
    error_of(answer, "invalid_client", "invalid_grant")


async def test_fapi2_security_profile_final_ensure_holder_of_key_required(run, bank):
    """What the module sees of TLS is the proxy's, and not looked at here."""
    code = run.code(await run.visit(bank))
    answer = await run.redeem(bank, code, proofs=None)
    error_of(answer, "invalid_request", "invalid_grant", "invalid_dpop_proof")


async def test_fapi2_security_profile_final_ensure_authorization_code_is_bound_to_client(
    run, bank, other
):
    code = run.code(await run.visit(bank))
    answer = await run.redeem(other, code, redirect_uri=bank.redirect_uri)
    assert error_of(answer, "invalid_grant")
    run.tokens(await run.redeem(bank, code))


async def aged(run, code, seconds):
    """Let a code be so many seconds older: the suite waits instead."""
    await run.provider.api.sql.execute(
        "update authorization_codes set created_at = created_at - make_interval(secs => $2),"
        " expires_at = expires_at - make_interval(secs => $2),"
        " consumed_at = consumed_at - make_interval(secs => $2) where code_hash = $1",
        hashlib.sha256(code.encode()).digest(),
        seconds,
    )


async def test_fapi2_security_profile_final_attempt_reuse_authorization_code_after_one_second(
    run, bank
):
    flow = await run.flow(bank)
    await aged(run, flow.code, 1)
    error_of(await run.redeem(bank, flow.code), "invalid_grant")
    deadline = time.monotonic() + PATIENCE
    while (await run.resource(bank, flow.tokens["access_token"])).status_code != 401:
        assert time.monotonic() < deadline, "the first redemption's token is still good"
        await asyncio.sleep(0.01)


async def test_fapi2_security_profile_final_ensure_token_endpoint_fails_with_expired_auth_code(
    run, bank
):
    code, young = run.code(await run.visit(bank)), run.code(await run.visit(bank))
    await aged(run, code, 62)
    error_of(await run.redeem(bank, code), "invalid_grant")
    await aged(run, young, 50)
    run.tokens(await run.redeem(bank, young))


async def refused_at_the_token_endpoint(run, bank, assertion, *codes):
    """Redeem a good code with an assertion that is wrong, and then with a good one."""
    code = run.code(await run.visit(bank))
    answer = await run.redeem(bank, code, assertion=assertion)
    error_of(answer, *codes)
    run.tokens(await run.redeem(bank, code))


async def test_fapi2_security_profile_final_ensure_signed_client_assertion_with_RS256_fails(
    run, bank
):
    assertion = replace(bank.signer, alg="RS256").form()
    await refused_at_the_token_endpoint(run, bank, assertion, "invalid_client")


async def test_fapi2_security_profile_final_ensure_client_assertion_in_token_endpoint(run, bank):
    assertion = {"client_id": bank.id}
    await refused_at_the_token_endpoint(run, bank, assertion, "invalid_client", "invalid_request")


async def test_fapi2_security_profile_final_ensure_client_assertion_with_exp_is_5_minutes_in_past_fails(
    run, bank
):
    assertion = bank.signer.form(exp=in_seconds(-300), iat=in_seconds(-360))
    await refused_at_the_token_endpoint(run, bank, assertion, "invalid_client", "invalid_request")


async def test_fapi2_security_profile_final_ensure_client_assertion_with_wrong_aud_fails(run, bank):
    assertion = bank.signer.form(aud="https://other.example.com/oauth2/token")
    await refused_at_the_token_endpoint(run, bank, assertion, "invalid_client", "invalid_request")


async def test_fapi2_security_profile_final_ensure_client_assertion_with_no_sub_fails(run, bank):
    assertion = bank.signer.form(sub=...)
    await refused_at_the_token_endpoint(run, bank, assertion, "invalid_client", "invalid_request")


def negative(run, bank, token):
    """Yield what is wrong with a proof at the resource, and the proofs that are wrong so."""

    def proof(header=None, **changes):
        said = {"token": token, **changes}
        return run.proof(bank, "userinfo_endpoint", "GET", header=header, **said)

    holder, uri = bank.holder, run.provider.document["userinfo_endpoint"]
    good, another = proof(), proof()
    private = holder.key.private_numbers().d.to_bytes(256, "big")
    yield "more than one", [proof(), proof()]
    yield "no JWT", good.replace(".", "")
    for member in ("typ", "alg", "jwk"):
        yield f"no {member}", proof({member: ...})
    for claim in ("jti", "htm", "htu", "iat", "ath"):
        yield f"no {claim}", proof(**{claim: ...})
    yield "another typ", proof({"typ": "JWT"})
    yield "RS256", replace(holder, alg="RS256").proof("GET", uri, token=token)
    yield "none", f"{b64(holder.header(alg='none'))}.{good.split('.')[1]}."
    yield "a wrong signature", ".".join((*good.split(".")[:2], another.split(".")[2]))
    yield "a private key", proof({"jwk": {**holder.jwk, "d": b64(private)}})
    yield "another htm", proof(htm="PUT")
    yield "another htu", proof(htu="https://other.example.com/oauth2/userinfo")
    yield "made in an hour", proof(iat=in_seconds(HOUR))
    yield "made an hour ago", proof(iat=in_seconds(-HOUR))
    yield "another ath", proof(ath=b64(b"\1" * 32))
    yield "another key", Holder.of().proof("GET", uri, token=token)
    yield "none at all", None


def positive(run, bank, token):
    """Yield the spellings of a proof that must, or should, be taken."""
    uri = run.provider.document["userinfo_endpoint"]
    spellings = (
        f"{uri}?query=1#fragment",
        uri.partition("?")[0],
        uri.replace("https://localhost", "HTTPS://LOCALHOST"),
    )
    for htu in spellings:
        yield run.proof(bank, "userinfo_endpoint", "GET", token=token, htu=htu)
    more = {"header": {"extra": "member"}, "extra": "claim"}
    yield run.proof(bank, "userinfo_endpoint", "GET", token=token, **more)


async def test_fapi2_security_profile_final_dpop_negative_tests(run, bank):
    flow = await run.flow(bank)
    token, sub = flow.tokens["access_token"], flow.claims["sub"]
    run.good(await run.resource(bank, token, name="DPOP"), sub)
    for wrong, proofs in negative(run, bank, token):
        answer = await run.resource(bank, token, proofs=proofs)
        assert answer.status_code in {400, 401}, wrong
    for proof in positive(run, bank, token):
        run.good(await run.resource(bank, token, proofs=proof), sub)
    once = run.proof(bank, "userinfo_endpoint", "GET", token=token)
    assert (await run.resource(bank, token, proofs=once)).status_code == 200
    assert (await run.resource(bank, token, proofs=once)).status_code == 401
    bearer = await run.resource(bank, token, scheme="Bearer", proofs=None)
    assert bearer.status_code == 401
    run.good(await run.resource(bank, token), sub)


async def test_fapi2_security_profile_final_refresh_token(run, bank, other):
    flows = [await run.flow(client, prompt="consent") for client in (bank, other)]
    for flow in flows:
        token = flow.tokens["refresh_token"]
        given = run.tokens(await run.refresh(flow.client, token))
        assert given["access_token"] != flow.tokens["access_token"]
        _, claims = run.identity(given["id_token"], flow.client)
        for name in ("iss", "sub", "aud", "auth_time"):
            assert claims[name] == flow.claims[name], name
        run.good(await run.resource(flow.client, given["access_token"]), claims["sub"])
        assert given.get("refresh_token", token) == token, "not rotated: nothing to lose"
    token = flows[0].tokens["refresh_token"]
    error_of(
        await run.refresh(bank, token, proofs=None),
        *("invalid_request", "invalid_grant", "invalid_client"),
    )
    nobody = {"client_id": bank.id, "client_assertion": None, "client_assertion_type": None}
    error_of(await run.refresh(bank, token, **nobody), "invalid_client", "invalid_request")
    second = flows[1].tokens
    crossed = await run.resource(bank, second["access_token"])
    assert crossed.status_code in {400, 401}, "the second client's token by the first one's key"
    error_of(await run.refresh(bank, second["refresh_token"]), "invalid_grant")
    run.tokens(await run.refresh(other, second["refresh_token"]))


async def test_fapi2_security_profile_final_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(
    run, bank
):
    asked = run.asked(bank)
    uri = run.pushed(await run.push(bank, asked))
    first = await run.come(bank, uri, asked, stop_at="login")
    assert first.pages == []
    visit = await run.come(bank, uri, asked)
    assert visit.pages[0] == "login"
    await run.finish(visit)


async def test_fapi2_security_profile_final_par_attempt_reuse_request_uri(run, bank):
    asked = run.asked(bank)
    uri = run.pushed(await run.push(bank, asked))
    await run.finish(await run.come(bank, uri, asked))
    check_page(run, await run.come(bank, uri, asked))


async def test_fapi2_security_profile_final_par_attempt_to_use_expired_request_uri(run, bank):
    """Pushed as if its time had passed: the suite waits instead."""
    kept, asked = run.provider.api.operator.pushed_requests, run.asked(bank)
    found = await kept.find(run.pushed(await run.push(bank, asked)), bank.id)
    over = replace(kept, lifetime=timedelta(seconds=-1))
    uri = await over.push(replace(found, pushed=None))
    check_page(run, await run.come(bank, uri, asked))


async def test_fapi2_security_profile_final_par_ensure_jwt_client_assertions_nbf_8_seconds_in_the_future_is_accepted(
    run, bank
):
    ahead = {"iat": in_seconds(8), "nbf": in_seconds(8)}
    asked = run.asked(bank)
    uri = run.pushed(await run.push(bank, asked, **ahead))
    await run.finish(await run.come(bank, uri, asked))


async def refused_when_pushed(run, bank, **claims):
    """Push with an assertion whose claims are wrong so."""
    answer = await run.push(bank, run.asked(bank), **claims)
    error_of(answer, "invalid_client", "invalid_request")


async def test_fapi2_security_profile_final_par_ensure_jwt_client_assertions_nbf_over_60_seconds_in_the_future_fails(
    run, bank
):
    ahead = {"iat": in_seconds(65), "nbf": in_seconds(65), "exp": in_seconds(125)}
    await refused_when_pushed(run, bank, **ahead)


async def test_fapi2_security_profile_final_par_attempt_to_use_request_uri_for_different_client(
    run, bank, other
):
    asked = run.asked(bank)
    uri = run.pushed(await run.push(bank, asked))
    check_page(run, await run.come(other, uri, asked))


async def test_fapi2_security_profile_final_par_authorization_request_containing_request_uri_form_param(
    run, bank
):
    asked = run.asked(bank, request_uri="urn:ietf:params:oauth:request_uri:random")
    codes = ("invalid_request", "invalid_request_object", "request_uri_not_supported")
    error_of(await run.push(bank, asked), *codes)


async def test_fapi2_security_profile_final_par_attempt_invalid_http_method(run, bank):
    answer = await run.push(bank, run.asked(bank), method="PUT")
    assert answer.status_code == 405


async def test_fapi2_security_profile_final_par_ensure_pkce_required(run, bank):
    asked = run.asked(bank, code_challenge=None, code_challenge_method=None)
    error_of(await run.push(bank, asked), "invalid_request")


async def verified_by(run, bank, verifier):
    """Redeem a code with another verifier than the challenge was made of, or none."""
    code = run.code(await run.visit(bank))
    error_of(await run.redeem(bank, code, code_verifier=verifier), "invalid_grant")
    run.tokens(await run.redeem(bank, code))


async def test_fapi2_security_profile_final_ensure_pkce_code_verifier_required(run, bank):
    await verified_by(run, bank, None)


async def test_fapi2_security_profile_final_incorrect_pkce_code_verifier_rejected(run, bank):
    await verified_by(run, bank, f"{uuid4().hex}{uuid4().hex}")


async def test_fapi2_security_profile_final_par_plain_pkce_rejected(run, bank):
    asked = run.asked(bank, code_challenge=VERIFIER, code_challenge_method="plain")
    error_of(await run.push(bank, asked), "invalid_request")


async def test_fapi2_security_profile_final_par_without_duplicate_parameters(run, bank):
    """A browser that brings nothing but `client_id` and `request_uri` is what `come` sends."""
    flow = await run.flow(bank)
    assert has_entropy(flow.tokens["access_token"])


async def test_fapi2_security_profile_final_par_test_array_as_audience_fails(run, bank):
    issuer = run.provider.document["issuer"]
    await refused_when_pushed(run, bank, aud=[issuer, "https://other.example.com"])
    await refused_when_pushed(run, bank, aud=[issuer])


async def test_fapi2_security_profile_final_par_test_par_endpoint_url_as_audience_fails(run, bank):
    await refused_when_pushed(run, bank, aud=run.provider.document[PAR])


async def test_fapi2_security_profile_final_par_test_token_endpoint_url_as_audience_fails(
    run, bank
):
    await refused_when_pushed(run, bank, aud=run.provider.document[TOKEN])
