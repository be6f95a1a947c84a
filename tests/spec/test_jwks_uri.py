"""SS-1, SS-3, CA-6, JW-4: keys that a client publishes, and addresses that nobody ever calls.

The clients' server is a real one under TLS that counts what reaches it, and the operator lists it:
nothing but this server's own care keeps a call away.
"""

import pytest

from support.api import MACHINE
from support.assertions import Signer
from support.browserless import SITE, Browserless, forms_of
from support.receiver import HOST, endless, hearing, redirect, saying
from support.replicas import AUDIENCE

TOKEN, REVOKE, INTROSPECT = "/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"
RAW = {**MACHINE, "introspects": [AUDIENCE]}
READS = "keyturn_client_key_reads_total"


@pytest.fixture(scope="module")
async def heard(databases, shared_redis_url):
    async with hearing(databases, shared_redis_url) as running:
        yield running


@pytest.fixture
def fresh(heard):
    heard.receiver.received.clear()
    heard.receiver.connections.clear()
    heard.receiver.answers.clear()
    return heard


async def publishing(heard, path, *others):
    """Register a client whose keys stand at a path."""
    signer = Signer.of(heard.api.issuer)
    heard.receiver.answers[path] = saying({"keys": [signer.jwk, *(one.jwk for one in others)]})
    return await signer.registered(heard.api, RAW, jwks_uri=heard.receiver.uri(path))


async def ask(heard, form, path=TOKEN):
    fields = {"grant_type": "client_credentials", "token": "x", **form}
    return await heard.api.callers[0].post(path, data=fields)


async def test_CA_6_keys_are_read_from_the_client_s_address_once(fresh):
    bank = await publishing(fresh, "/keys")
    for path in (TOKEN, REVOKE, INTROSPECT, TOKEN):
        assert (await ask(fresh, bank.form(), path)).status_code == 200
    [got] = fresh.receiver.received
    assert (got.method, got.path, got.body) == ("GET", "/keys", b"")
    assert "authorization" not in got.headers
    assert "cookie" not in got.headers


async def test_CA_6_a_client_changes_its_key_when_it_likes_and_a_stranger_makes_no_calls(fresh):
    bank = await publishing(fresh, "/rotating")
    assert (await ask(fresh, bank.form())).status_code == 200
    new = Signer(bank.issuer, client_id=bank.client_id)
    fresh.receiver.answers["/rotating"] = saying({"keys": [bank.jwk, new.jwk]})
    assert (await ask(fresh, new.form())).status_code == 200
    assert (await ask(fresh, bank.form())).status_code == 200
    for _ in range(5):
        stranger = Signer(bank.issuer, client_id=bank.client_id)
        answer = await ask(fresh, stranger.form())
        detail = "client: assertion kid: no such key"
        assert await fresh.api.refusal(answer) == (401, "invalid_client", detail)
    assert len(fresh.receiver.at("/rotating")) == 2


GOOD = Signer("x")
UNUSABLE = {
    "not found": saying({"keys": [GOOD.jwk]}, status=404),
    "a redirect": None,
    "an endless body": endless,
    "of another type": saying({"keys": [GOOD.jwk]}, "text/html"),
    "of no type": 200,
    "over 256 KiB": saying({"keys": [GOOD.jwk], "filler": "x" * 256 * 1024}),
    "not JSON": saying(b"keys"),
    "not a set": saying([GOOD.jwk]),
    "keys by name": saying({"keys": {"a": GOOD.jwk}}),
    "a member twice": saying(b'{"keys": [], "keys": []}'),
    "nested": saying(b'{"keys": ' + b"[" * 100_000),
    "many keys": saying({"keys": [GOOD.jwk] * 21}),
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_SS_1_what_is_no_key_set_is_trouble_for_now_and_no_refusal(fresh, name):
    """Not 401: the client would throw its sign-ins away for its own server's trouble."""
    bank = await publishing(fresh, "/odd")
    elsewhere = redirect(fresh.receiver.uri("/inside"))
    fresh.receiver.answers["/odd"] = elsewhere if name == "a redirect" else UNUSABLE[name]
    fresh.receiver.answers["/inside"] = saying(bank.jwks)
    for _ in range(2):
        answer = await ask(fresh, bank.form())
        detail = "client: its keys cannot be read"
        refusal = (503, "temporarily_unavailable", detail)
        assert await fresh.api.refusal(answer) == refusal
    assert [one.path for one in fresh.receiver.received] == ["/odd"]


async def test_SS_1_a_type_may_have_parameters_and_be_a_key_set_s_own(fresh):
    for kind in ("application/jwk-set+json", "Application/JSON; charset=utf-8"):
        bank = await publishing(fresh, "/typed")
        fresh.receiver.answers["/typed"] = saying(bank.jwks, kind)
        assert (await ask(fresh, bank.form())).status_code == 200


async def test_SS_1_nobody_is_called_for_an_assertion_that_is_wrong_already(fresh):
    bank = await publishing(fresh, "/cheap")
    for changes in ({"aud": "x"}, {"exp": 1}, {"jti": ...}, {"iss": "x"}):
        assert (await ask(fresh, bank.form(**changes))).status_code == 401
    assert not fresh.receiver.connections


@pytest.mark.parametrize("name", ["jku", "x5u"])
async def test_JW_4_no_address_of_a_header_is_called(fresh, name):
    """Although the operator lists the host, and the client's keys are there, too."""
    bank = await publishing(fresh, "/keys")
    assert (await ask(fresh, bank.form())).status_code == 200
    for kid in (bank.kid, fresh.receiver.uri("/kid")):
        header = {name: fresh.receiver.uri("/header"), "kid": kid}
        answer = await ask(fresh, bank.form(bank.signed(header)))
        detail = f"client: assertion header: {name}"
        assert await fresh.api.refusal(answer) == (401, "invalid_client", detail)
    answer = await ask(fresh, bank.form(bank.signed({"kid": fresh.receiver.uri("/kid")})))
    assert answer.status_code == 401
    assert {one.path for one in fresh.receiver.received} == {"/keys"}


async def test_SS_3_what_people_are_shown_is_never_fetched_nor_inlined(fresh):
    links = {
        name: fresh.receiver.uri(f"/{name}")
        for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri")
    }
    client_id = await fresh.api.client({**SITE, **links})
    browser, person = Browserless(fresh.api), await fresh.api.person()
    page = await browser.authorize(client_id)
    consent = await browser.sign_in(page, person)
    assert "consent" in forms_of(consent)
    for shown in (page, consent):
        assert shown.status_code == 200
        assert f'src="{fresh.receiver.uri()[:20]}' not in shown.text
        assert HOST not in shown.headers["content-security-policy"]
    assert not fresh.receiver.connections


@pytest.mark.parametrize("field", ["client_uri", "logo_uri", "policy_uri", "tos_uri"])
def test_SS_3_a_link_is_https(fresh, field):
    for uri in ("http://app.example/x", "javascript:alert(1)", "data:image/png;base64,AAAA"):
        done = fresh.api.keyturn(
            *("clients", "add", "ss-3", "--grant", "client_credentials", "--audience", AUDIENCE),
            *("--set", f'{field}="{uri}"'),
        )
        assert done.returncode == 1
        assert f"{field}: an https address" in done.stderr
