"""WB-9: a client hears that a session has ended (OpenID Connect Back-Channel Logout 1.0)."""

import asyncio
import time

import pytest
from joserfc.jwt import JWTClaimsRegistry

from support.api import claims_of
from support.browserless import GOODBYE, Browserless, told
from support.receiver import black_hole, hearing, redirect

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture(scope="module")
async def heard(databases, shared_redis_url):
    async with hearing(databases, shared_redis_url) as running:
        yield running


@pytest.fixture
def path(request):
    """A path of the receiver that is this test's own."""
    return f"/{abs(hash(request.node.nodeid))}"


async def signed_in(heard, client_id):
    """Return a browser, and the tokens its application was given."""
    browser = Browserless(heard.api)
    return browser, await browser.tokens(client_id, await heard.api.person())


async def sign_out(browser, given):
    """Sign out as the application asks for it."""
    hint = {"id_token_hint": given["id_token"], "post_logout_redirect_uri": GOODBYE}
    return await browser.open("/oauth2/logout", hint)


async def ended(heard, path, **changes):
    """Sign somebody in and out at a client that hears of it here; return its id."""
    client_id = await heard.client(path, **changes)
    await sign_out(*await signed_in(heard, client_id))
    return client_id


async def test_WB_9_the_client_is_told_with_a_logout_token_and_nothing_else(heard, path):
    client_id = await heard.client(path)
    browser, given = await signed_in(heard, client_id)
    before = int(time.time())
    answer = await sign_out(browser, given)
    assert answer.headers["location"] == GOODBYE
    [got] = await heard.receiver.told(path)
    assert (got.method, got.path) == ("POST", path)
    assert got.headers["content-type"] == "application/x-www-form-urlencoded"
    assert got.headers["cache-control"] == "no-store"
    assert got.headers["host"] == f"localhost:{heard.receiver.port}"
    said, identity = await heard.claims(got.token), claims_of(given["id_token"])
    assert got.body == b"logout_token=" + got.token.encode()
    assert set(said) == {"iss", "aud", "iat", "exp", "jti", "events", "sub", "sid"}
    assert said["events"] == {EVENT: {}}
    assert {name: said[name] for name in ("iss", "aud", "sub", "sid")} == {
        name: identity[name] for name in ("iss", "aud", "sub", "sid")
    }
    assert before - 1 <= said["iat"] <= time.time() + 1
    assert said["exp"] == said["iat"] + 120
    assert told(await browser.authorize(client_id, prompt="none"))["error"] == "login_required"
    await heard.forgotten(client_id)


async def test_a_client_s_library_verifies_it(heard, path):
    client_id = await ended(heard, path)
    [got] = await heard.receiver.told(path)
    JWTClaimsRegistry(
        leeway=5,
        iss={"essential": True, "value": heard.api.issuer},
        aud={"essential": True, "value": client_id},
        iat={"essential": True},
        exp={"essential": True},
        jti={"essential": True},
        events={"essential": True, "value": {EVENT: {}}},
    ).validate(await heard.claims(got.token))


async def test_the_metadata_says_so(heard):
    said = (await heard.api.get("/.well-known/openid-configuration")).json()
    assert said["backchannel_logout_supported"] is True
    assert said["backchannel_logout_session_supported"] is True


async def test_a_client_that_has_no_address_is_told_nothing(heard):
    client_id = await heard.api.client()
    device = await heard.api.sign_in(await heard.api.person(), client=client_id)
    await heard.api.post("/auth/logout", device.credential, client=client_id)
    assert not await heard.waiting(client_id)


@pytest.mark.parametrize("status", [200, 204])
async def test_an_acknowledged_logout_is_forgotten(heard, path, status):
    heard.receiver.answers[path] = status
    client_id = await ended(heard, path)
    await heard.receiver.told(path)
    await heard.forgotten(client_id)


@pytest.mark.parametrize("status", [400, 404])
async def test_a_refused_one_is_not_repeated_and_is_audited(heard, path, status):
    heard.receiver.answers[path] = status
    client_id = await ended(heard, path)
    await heard.receiver.told(path)
    await heard.forgotten(client_id)
    [event] = await heard.api.events("logout_refused", client_id=client_id)
    assert (event["result"], event["detail"]) == ("failed", f'{{"status": {status}}}')
    assert len(heard.receiver.at(path)) == 1


@pytest.mark.parametrize("answer", [503, 429, 408, redirect("/elsewhere"), black_hole])
async def test_anything_else_is_tried_again_with_a_token_of_its_own(heard, path, answer):
    heard.receiver.answers[path] = answer
    client_id = await ended(heard, path)
    await heard.receiver.told(path)
    [row] = await heard.waiting(client_id)
    assert (row["attempts"], row["due_at"] > row["created_at"]) == (1, True)
    heard.receiver.answers[path] = 200
    await heard.hurry(client_id)
    first, second = await heard.receiver.told(path, count=2)
    await heard.forgotten(client_id)
    first, second = [await heard.claims(one.token) for one in (first, second)]
    assert first["sid"] == second["sid"]
    assert first["jti"] != second["jti"]
    assert not heard.receiver.at("/elsewhere")


async def test_a_client_that_never_answers_is_given_up_and_that_is_audited(heard, path):
    heard.receiver.answers[path] = 503
    client_id = await ended(heard, path)
    await heard.receiver.told(path)
    await heard.api.sql.execute(
        "update logout_deliveries set created_at = now() - interval '1 day', due_at = now()"
        " where client_id = $1",
        client_id,
    )
    await heard.forgotten(client_id)
    [event] = await heard.api.events("logout_given_up", client_id=client_id)
    assert event["detail"] == '{"attempts": 1}'
    assert len(heard.receiver.at(path)) == 1
    assert heard.api.metric("keyturn_logout_deliveries_total", result="given_up") >= 1


async def test_a_disabled_client_is_told_when_it_is_enabled_again(heard, path):
    client_id = await heard.client(path)
    browser, given = await signed_in(heard, client_id)
    await heard.api.clients.disable(client_id)
    # Its addresses are not its own any more: the person is signed out, and stays here.
    await browser.open("/oauth2/logout", {"id_token_hint": given["id_token"]})
    async with asyncio.timeout(30):
        while not (rows := await heard.waiting(client_id)) or not rows[0]["attempts"]:
            await asyncio.sleep(0.02)
    assert not heard.receiver.at(path)
    await heard.api.clients.enable(client_id)
    await heard.hurry(client_id)
    await heard.receiver.told(path)
