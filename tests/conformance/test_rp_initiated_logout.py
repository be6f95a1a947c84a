"""`oidcc-rp-initiated-logout-certification-test-plan`, a test a module."""

from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import RSAKey

from support.browserless import forms_of
from support.conformance import DISCOVERY, GOODBYE, NEEDS_A_PERSON
from support.forging import b64


async def signed_in(run):
    """Sign in as every module does, with a long `state`."""
    return await run.flow(state=f"{uuid4().hex}{uuid4().hex}" * 2)


async def leave(run, flow, **changes):
    """Send the browser to the end-session endpoint; a parameter changed to None is out."""
    wanted = {
        "id_token_hint": flow.tokens["id_token"],
        "post_logout_redirect_uri": GOODBYE,
        "state": uuid4().hex,
        **changes,
    }
    sent = {name: value for name, value in wanted.items() if value is not None}
    return sent, await run.browser.open(run.provider.path("end_session_endpoint"), sent)


def check_kept_here(answer):
    """Check that the browser is shown a page and sent nowhere."""
    assert answer.status_code in {200, 400}, answer.status_code
    assert answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers
    assert GOODBYE not in (form.action for form in forms_of(answer).values())


def is_question(answer):
    return answer.status_code == 200 and "logout" in forms_of(answer)


def is_farewell(answer):
    check_kept_here(answer)
    return answer.status_code == 200 and "logout" not in forms_of(answer)


async def check_signed_out(run):
    """Check that `prompt=none` finds nobody any more."""
    visit = await run.visit(run.provider.basic[0], prompt="none")
    assert run.error(visit) in NEEDS_A_PERSON


async def check_question_then_farewell(run, answer):
    """Check that the person is asked, and on a yes is signed out and stays here."""
    check_kept_here(answer)
    assert is_question(answer)
    assert is_farewell(await run.browser.submit(answer, "logout", "sign-out"))
    await check_signed_out(run)


async def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(run):
    document = (await run.provider.api.get(DISCOVERY)).json()
    endpoints = [name for name in document if name.endswith("_endpoint")]
    assert "end_session_endpoint" in endpoints
    assert all(document[name].startswith("https://") for name in endpoints)


async def test_oidcc_rp_initiated_logout(run):
    sent, answer = await leave(run, await signed_in(run))
    assert answer.status_code in {302, 303}
    assert answer.headers["location"] == f"{GOODBYE}?state={sent['state']}"
    await check_signed_out(run)


async def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(run):
    wrong = f"{GOODBYE}/{uuid4().hex}"
    _, answer = await leave(run, await signed_in(run), post_logout_redirect_uri=wrong)
    await check_question_then_farewell(run, answer)


async def test_oidcc_rp_initiated_logout_modified_id_token_hint(run):
    flow = await signed_in(run)
    header = {**flow.header, "alg": "none"}
    hint = f"{b64(header)}.{flow.tokens['id_token'].split('.')[1]}."
    _, answer = await leave(run, flow, id_token_hint=hint)
    await check_question_then_farewell(run, answer)


async def test_oidcc_rp_initiated_logout_no_id_token_hint(run):
    _, answer = await leave(run, await signed_in(run), id_token_hint=None)
    await check_question_then_farewell(run, answer)


async def test_oidcc_rp_initiated_logout_no_params(run):
    nothing = dict.fromkeys(("id_token_hint", "post_logout_redirect_uri", "state"))
    _, answer = await leave(run, await signed_in(run), **nothing)
    await check_question_then_farewell(run, answer)


async def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(run):
    _, answer = await leave(run, await signed_in(run), post_logout_redirect_uri=None)
    assert is_farewell(answer)
    await check_signed_out(run)


async def test_oidcc_rp_initiated_logout_no_state(run):
    _, answer = await leave(run, await signed_in(run), state=None)
    assert answer.headers["location"] == GOODBYE
    await check_signed_out(run)


async def test_oidcc_rp_initiated_logout_only_state(run):
    nothing_else = dict.fromkeys(("id_token_hint", "post_logout_redirect_uri"))
    _, answer = await leave(run, await signed_in(run), **nothing_else)
    await check_question_then_farewell(run, answer)


async def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(run):
    wrong = f"{GOODBYE}?foo=bar"
    _, answer = await leave(run, await signed_in(run), post_logout_redirect_uri=wrong)
    await check_question_then_farewell(run, answer)


async def test_oidcc_rp_initiated_logout_bad_id_token_hint(run):
    flow = await signed_in(run)
    key = RSAKey.generate_key(2048, {"kid": flow.header["kid"]})
    hint = jwt.encode(flow.header, dict(flow.claims), key, algorithms=["RS256"])
    _, answer = await leave(run, flow, id_token_hint=hint)
    await check_question_then_farewell(run, answer)
