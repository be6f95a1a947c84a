"""RT-12 and the rest of the FAPI 2.0 Security Profile that no module of its plan looks at."""

import asyncio
import json

import pytest

from support.api import claims_of
from support.browserless import Browserless
from support.conformance import GOODBYE, Provider
from support.fapi import FapiProvider, FapiRun, error_of
from support.forging import unb64
from support.possession import Holder
from support.pushing import is_over
from support.replicas import AUDIENCE

TOKEN, INTROSPECT, REVOKE = "token_endpoint", "introspection_endpoint", "revocation_endpoint"
MINUTE = 60
AT_ONCE = 20


@pytest.fixture(scope="module")
async def provider(api):
    return await FapiProvider.over(await Provider.of(api))


@pytest.fixture(scope="module")
def bank(provider):
    return provider.banks[0]


@pytest.fixture
async def run(provider):
    return FapiRun(provider, "query", await provider.api.person(), Browserless(provider.api))


async def aged(run, seconds):
    """Let the last rotation, had there been one, lie so much further back."""
    await run.provider.api.sql.execute(
        "update sessions set rotated_at = rotated_at - make_interval(secs => $2)"
        " where user_id = $1",
        run.person.id,
        seconds,
    )


def header_of(token):
    return json.loads(unb64(token.split(".", 1)[0]))


async def test_RT_12_the_refresh_token_of_the_profile_is_good_again_whenever(run, bank):
    token = (await run.flow(bank)).tokens["refresh_token"]
    for _ in range(3):
        for _ in range(2):
            given = run.tokens(await run.refresh(bank, token))
            assert given.get("refresh_token", token) == token
        await aged(run, MINUTE)


async def test_RT_12_everybody_who_refreshes_at_once_keeps_the_same_token(run, bank):
    token = (await run.flow(bank)).tokens["refresh_token"]
    answers = await asyncio.gather(*(run.refresh(bank, token) for _ in range(AT_ONCE)))
    given = [run.tokens(answer) for answer in answers]
    assert {one.get("refresh_token", token) for one in given} == {token}
    assert len({claims_of(one["access_token"])["jti"] for one in given}) == AT_ONCE


async def test_RT_12_a_stolen_one_is_worth_nothing_without_both_keys(run, bank, provider):
    token = (await run.flow(bank)).tokens["refresh_token"]
    thief, other = Holder.of(), provider.banks[1]
    proof = thief.proof("POST", provider.document[TOKEN])
    theirs = {"grant_type": "refresh_token", "refresh_token": token}
    for fields in (theirs, {**theirs, "client_id": bank.id}):
        answer = await run.send(TOKEN, fields, proof)
        error_of(answer, "invalid_client")
    error_of(await run.refresh(other, token), "invalid_grant")
    error_of(await run.refresh(bank, token, proofs=None), "invalid_request")
    run.tokens(await run.refresh(bank, token))


async def test_JW_1_every_token_of_the_profile_is_signed_PS256_under_a_published_name(run, bank):
    flow = await run.flow(bank)
    jwks = await run.provider.api.get(run.provider.path("jwks_uri"))
    published = {key["kid"]: key["alg"] for key in jwks.json()["keys"]}
    for name, typ in (("access_token", "at+jwt"), ("id_token", "JWT")):
        header = header_of(flow.tokens[name])
        assert (header["alg"], published[header["kid"]]) == ("PS256", "PS256")
        assert header.get("typ", "JWT") == typ
    access = claims_of(flow.tokens["access_token"])
    assert access["cnf"] == {"jkt": bank.holder.jkt}
    assert AUDIENCE in access["aud"]


async def test_IN_1_an_api_sees_the_key_that_a_token_of_the_profile_is_bound_to(run, bank):
    token = (await run.flow(bank)).tokens["access_token"]
    said = (await run.provider.api.form("/oauth2/introspect", "reader", token=token)).json()
    assert (said["active"], said["token_type"]) == (True, "DPoP")
    assert said["cnf"] == {"jkt": bank.holder.jkt}


async def test_CA_6_the_profile_proves_itself_the_same_way_wherever_it_revokes(run, bank):
    tokens = (await run.flow(bank)).tokens
    asked = {"token": tokens["refresh_token"]}
    wrong = bank.signer.form(aud=run.provider.document[REVOKE])
    error_of(await run.send(REVOKE, {**asked, **wrong}), "invalid_client")
    run.tokens(await run.refresh(bank, tokens["refresh_token"]))
    assert (await run.send(REVOKE, {**asked, **bank.signer.form()})).status_code == 200
    error_of(await run.refresh(bank, tokens["refresh_token"]), "invalid_grant")


async def test_AZ_12_an_id_token_of_the_profile_is_a_hint_and_ends_the_login(run, bank):
    hint = (await run.flow(bank)).tokens["id_token"]
    again = await run.flow(bank, prompt="none", id_token_hint=hint)
    assert again.pages == []
    asked = {"id_token_hint": hint, "post_logout_redirect_uri": GOODBYE, "client_id": bank.id}
    end = await run.browser.open(run.provider.path("end_session_endpoint"), asked)
    assert end.headers["location"] == GOODBYE
    visit = await run.visit(bank, prompt="none")
    assert run.error(visit) == "login_required"


async def test_AZ_5_AZ_10_without_a_push_nothing_of_the_profile_begins(run, bank, provider):
    """Whatever the browser brings itself: the refusal says who refuses, and leaves no door."""
    asked = run.asked(bank)
    for changes in ({}, {"prompt": "none"}, {"response_mode": "form_post"}):
        visit = await run.visit(bank, stop_at="login")
        page = await run.browser.open("/oauth2/authorize", {**asked, **changes})
        sent = {**visit.asked, **asked, **changes}
        assert run.error(type(visit)(bank, sent, [], page)) == "invalid_request"
    stranger = provider.banks[1]
    uri = run.pushed(await run.push(bank, asked))
    assert is_over((await run.come(stranger, uri, asked)).end)


async def test_AC_5_a_code_of_the_profile_is_bound_to_its_key_and_to_its_client(run, bank):
    """A proof with the push binds the code; without one, or by `dpop_jkt`, the redeemer's does."""
    proof = run.proof(bank, "pushed_authorization_request_endpoint")
    code = run.code(await run.visit(bank, proofs=proof))
    stolen = Holder.of().proof("POST", run.provider.document[TOKEN])
    error_of(await run.redeem(bank, code, proofs=stolen), "invalid_dpop_proof", "invalid_grant")
    tokens = run.tokens(await run.redeem(bank, code))
    assert claims_of(tokens["access_token"])["cnf"] == {"jkt": bank.holder.jkt}
