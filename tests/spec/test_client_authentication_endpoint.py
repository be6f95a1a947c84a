"""CA-1 to CA-5, CA-7: client authentication at the doors of the protocol (RFC 6749 section 2.3)."""

import asyncio
import base64
import hashlib
import json
import statistics
import time
from urllib.parse import quote_plus, unquote_plus

import pytest

from keyturn.clients.definition import ClientDefinition
from support.api import APP, AT_ONCE, MACHINE, PASSWORD
from support.replicas import ORIGIN
from support.withheld import Withheld

DOORS = ("/oauth2/token", "/oauth2/revoke", "/oauth2/introspect", "/oauth2/par")
GRANT = {"grant_type": "client_credentials", "token": "x"}
BASIC = 'Basic realm="keyturn", charset="UTF-8"'
WRONG = "kts_this-is-not-the-secret-of-anybody-at-all"
AWKWARD = (
    "colon:colon::and-more-characters-0123",
    "percent%41%zz%and-more-characters-01",
    "plus+plus and space and more chars 1",
    "ünïcödé-🔑-and-more-characters-0123456",
    "&=?/#;\"'<>\\-and-more-characters-0123",
)
MALFORMED = (
    (b"!!!!", "Basic is malformed"),
    (b"bWFjaGluZQ", "Basic is malformed"),
    (b"bWFjaGluZQ==", "Basic holds no colon"),
    (b"bWFjaGluZTo===", "Basic is malformed"),
    (b"bWFj aGluZTo=", "Basic is malformed"),
    (b"=", "Basic is malformed"),
    (base64.b64encode(b"\xff\xfe:\xff"), "Basic is malformed"),
    (base64.b64encode(b"machine:%ff%fe"), "Basic is malformed"),
    (base64.b64encode(b"machine:%ed%a0%80"), "Basic is malformed"),
    (base64.b64encode(b"%00:%00"), "unknown"),
    (base64.b64encode(b"machine:\x00"), "wrong secret"),
    (base64.b64encode(b":"), "unknown"),
    (b"\xe9\xe9\xe9\xe9", "Basic is malformed"),
    (b"A" * 8000, "Basic holds no colon"),
)


def basic(client_id, secret, encode=quote_plus):
    """Return the header of RFC 6749 section 2.3.1."""
    pair = f"{encode(client_id)}:{encode(secret)}".encode()
    return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


async def ask(api, path, fields=None, headers=None, on=0):
    return await api.callers[on].post(path, data={**GRANT, **(fields or {})}, headers=headers)


async def is_refused(api, answer, detail, challenge=None):
    assert await api.refusal(answer) == (401, "invalid_client", detail)
    assert answer.headers.get("www-authenticate") == challenge
    return True


@pytest.fixture
async def closed(api):
    """A client that was disabled, and is not enabled again."""
    client_id = await api.client(MACHINE)
    await api.clients.disable(client_id)
    await api.settled()
    return client_id


@pytest.mark.parametrize("path", DOORS)
async def test_CA_1_unknown_disabled_and_wrong_secret_look_the_same_in_basic(api, closed, path):
    answers = {
        "unknown": await ask(api, path, headers=basic("nobody", WRONG)),
        "disabled": await ask(api, path, headers=basic(closed, api.secrets[closed])),
        "wrong secret": await ask(api, path, headers=basic("machine", WRONG)),
    }
    for reason, answer in answers.items():
        assert await is_refused(api, answer, f"client: {reason}", BASIC)
    assert len({answer.content for answer in answers.values()}) == 1
    assert len({_comparable(answer) for answer in answers.values()}) == 1


@pytest.mark.parametrize("path", DOORS)
async def test_CA_1_and_in_the_form_there_is_no_challenge(api, closed, path):
    """A browser would open a window for `Basic`, in front of a single-page app."""
    answers = {
        "unknown": {"client_id": "nobody", "client_secret": WRONG},
        "disabled": {"client_id": closed, "client_secret": api.secrets[closed]},
        "wrong secret": {"client_id": "poster", "client_secret": WRONG},
        "not named": {},
    }
    seen = set()
    for reason, fields in answers.items():
        answer = await ask(api, path, fields)
        assert await is_refused(api, answer, f"client: {reason}")
        seen.add((answer.content, _comparable(answer)))
    assert len(seen) == 1


@pytest.mark.timing
async def test_CA_1_unknown_client_and_wrong_secret_take_the_same_time(api):
    """Against a second unknown id: how far two equal questions lie apart in this run."""
    spent = {"nobody": [], "machine": [], "another": []}
    for _ in range(500):
        for client_id, times in spent.items():
            headers = basic(client_id, WRONG)
            began = time.perf_counter()
            answer = await ask(api, "/oauth2/token", headers=headers)
            times.append(time.perf_counter() - began)
            assert answer.status_code == 401
    medians = {name: statistics.median(times) for name, times in spent.items()}
    print({name: f"{value * 1e6:.0f} us" for name, value in medians.items()})
    neutral = abs(medians["another"] / medians["nobody"] - 1)
    assert neutral < 0.1, "the run is too noisy to say anything"
    assert abs(medians["machine"] / medians["nobody"] - 1) < 0.1 + neutral


@pytest.mark.parametrize("path", DOORS)
async def test_CA_2_two_methods_in_one_request_are_a_bad_request(api, path):
    secret = api.secrets["machine"]
    good = basic("machine", secret)
    several = "client: more than one authentication method"
    for fields, headers, detail in (
        ({"client_secret": secret}, good, several),
        ({"client_id": "machine", "client_secret": secret}, good, several),
        ({"client_assertion": "x"}, good, several),
        ({"client_id": "machine", "client_secret": secret, "client_assertion": "x"}, {}, several),
        ({"client_id": "poster"}, good, "client: the form names another client than Basic"),
        ({}, [*good.items(), *good.items()], several),
    ):
        answer = await ask(api, path, fields, headers)
        assert await api.refusal(answer) == (400, "invalid_request", detail)


async def test_CA_2_the_form_may_repeat_the_name_in_basic(api):
    headers = basic("machine", api.secrets["machine"])
    answer = await ask(api, "/oauth2/token", {"client_id": "machine"}, headers)
    assert answer.status_code == 200


async def test_CA_2_the_method_is_the_one_the_client_registered(api):
    in_form = {"client_id": "machine", "client_secret": api.secrets["machine"]}
    for path in DOORS:
        answer = await ask(api, path, in_form)
        detail = "client: registered for client_secret_basic, not client_secret_post"
        assert await is_refused(api, answer, detail)
        answer = await ask(api, path, headers=basic("poster", api.secrets["poster"]))
        detail = "client: registered for client_secret_post, not client_secret_basic"
        assert await is_refused(api, answer, detail, BASIC)
    in_form = {"client_id": "poster", "client_secret": api.secrets["poster"]}
    assert (await ask(api, "/oauth2/token", in_form)).status_code == 200


async def test_CA_2_a_public_client_that_sends_a_secret_is_refused(api):
    detail = "client: registered for none, not client_secret_"
    for path in DOORS:
        answer = await ask(api, path, {"client_id": "app", "client_secret": WRONG})
        assert await is_refused(api, answer, f"{detail}post")
        answer = await ask(api, path, headers=basic("app", ""))
        assert await is_refused(api, answer, f"{detail}basic", BASIC)


async def test_CA_2_methods_we_do_not_offer_are_refused(api):
    assertion = {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "e30.e30.",
        "client_id": "machine",
    }
    answer = await ask(api, "/oauth2/token", assertion)
    assert await is_refused(api, answer, "client: assertion alg: not allowed")
    for header in ("Bearer x", "Digest username=machine", "DPoP x", "Negotiate"):
        answer = await ask(api, "/oauth2/token", headers={"authorization": header})
        assert await is_refused(api, answer, "client: not Basic", BASIC)


@pytest.fixture(scope="module")
async def awkward(api):
    """Clients whose secrets an operator chose with strange characters in them, two each."""
    named = {}
    for number, secret in enumerate(AWKWARD):
        for method in ("client_secret_basic", "client_secret_post"):
            client_id = f"awkward-{number}-{method[14:]}"
            raw = {**MACHINE, "id": client_id, "auth_method": method}
            await api.clients.add(ClientDefinition.parse(raw), secret)
            named[client_id] = secret
    await api.settled()
    return named


@pytest.mark.parametrize("number", range(len(AWKWARD)))
async def test_CA_3_any_secret_works_in_basic_and_in_the_form(api, awkward, number):
    client_id, secret = f"awkward-{number}-basic", AWKWARD[number]
    answer = await ask(api, "/oauth2/token", headers=basic(client_id, secret))
    assert answer.status_code == 200, answer.text
    in_form = {"client_id": f"awkward-{number}-post", "client_secret": secret}
    assert (await ask(api, "/oauth2/token", in_form)).status_code == 200
    if unquote_plus(secret) != secret:
        unencoded = basic(client_id, secret, encode=str)
        answer = await ask(api, "/oauth2/token", headers=unencoded)
        assert answer.status_code == 401


async def test_CA_3_the_name_is_decoded_too(api):
    secret = api.secrets["machine"]
    pair = base64.b64encode(f"%6Dachin%65:{secret}".encode()).decode()
    for scheme in ("Basic", "basic", "BASIC"):
        headers = {"authorization": f"{scheme} {pair}"}
        assert (await ask(api, "/oauth2/token", headers=headers)).status_code == 200


@pytest.mark.parametrize(("credentials", "detail"), MALFORMED, ids=map(str, range(len(MALFORMED))))
async def test_CA_3_malformed_credentials_are_a_failed_authentication(api, credentials, detail):
    answer = await ask(api, "/oauth2/token", headers=[(b"authorization", b"Basic " + credentials)])
    assert await is_refused(api, answer, f"client: {detail}", BASIC)


@pytest.mark.parametrize("path", DOORS)
async def test_CA_4_a_confidential_client_cannot_act_by_its_name_alone(api, path):
    for client_id, method in (("machine", "basic"), ("poster", "post"), ("reader", "basic")):
        for fields in ({"client_id": client_id}, {"client_id": client_id, "client_secret": ""}):
            answer = await ask(api, path, fields)
            detail = f"client: registered for client_secret_{method}, not none"
            assert await is_refused(api, answer, detail)
    answer = await ask(api, path, headers=basic("machine", ""))
    assert await is_refused(api, answer, "client: wrong secret", BASIC)


async def test_CA_4_nor_refresh_a_session_of_its_own(api):
    device = await api.seed("backend", await api.person())
    fields = {"grant_type": "refresh_token", "refresh_token": device.refresh_token}
    answer = await ask(api, "/oauth2/token", {**fields, "client_id": "backend"})
    detail = "client: registered for client_secret_basic, not none"
    assert await is_refused(api, answer, detail)
    assert (await api.row(device))["generation"] == 0
    assert (await api.refresh(device)).status_code == 200


async def test_CA_5_a_secret_is_made_of_256_bits_shown_once_and_kept_as_a_hash(api):
    done = api.keyturn(
        "clients",
        "add",
        "ca-5",
        "--grant",
        "client_credentials",
        "--audience",
        "https://x.example",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    secret = json.loads(done.stdout)["clientSecret"]
    head, tail = secret[:4], secret[4:]
    assert head == "kts_"
    assert len(base64.urlsafe_b64decode(tail + "=")) == 32
    shown = api.keyturn("clients", "show", "ca-5", "--json").stdout
    assert "ca-5" in shown
    row = await api.sql.fetchrow("select * from clients where id = 'ca-5'")
    assert row["secret_hash"] == hashlib.sha256(secret.encode()).digest()
    raw = secret.encode()
    spellings = (secret, tail, raw.hex(), base64.b64encode(raw).decode(), quote_plus(secret))
    dumped = str(dict(row)) + str(await api.sql.fetch("select * from audit_events"))
    for spelling in spellings:
        assert spelling not in shown + dumped


async def test_CA_5_under_load_a_rotation_refuses_nobody_until_the_old_secret_is_dropped(api):
    client_id = await api.client(MACHINE)
    old = api.secrets[client_id]
    statuses = []
    rotated = asyncio.Event()

    async def keep_asking(on):
        while not rotated.is_set() or len(statuses) < 60:
            answer = await ask(api, "/oauth2/token", headers=basic(client_id, old), on=on)
            statuses.append(answer.status_code)

    asking = [asyncio.create_task(keep_asking(on)) for on in (0, 1)]
    new = (await api.clients.rotate_secret(client_id)).secret
    await api.settled()
    for on in (0, 1):
        assert (await ask(api, "/oauth2/token", headers=basic(client_id, new), on=on)).is_success
    rotated.set()
    await asyncio.gather(*asking)
    assert set(statuses) == {200}
    await api.clients.drop_previous_secret(client_id)
    await api.settled()
    for on in (0, 1):
        answer = await ask(api, "/oauth2/token", headers=basic(client_id, old), on=on)
        assert await is_refused(api, answer, "client: wrong secret", BASIC)
        assert (await ask(api, "/oauth2/token", headers=basic(client_id, new), on=on)).is_success


async def test_CA_5_of_three_secrets_the_oldest_ends(api):
    client_id = await api.client(MACHINE)
    secrets = [api.secrets[client_id]]
    secrets += [(await api.clients.rotate_secret(client_id)).secret for _ in range(2)]
    await api.settled()
    answers = [await ask(api, "/oauth2/token", headers=basic(client_id, one)) for one in secrets]
    assert [answer.status_code for answer in answers] == [401, 200, 200]


async def test_CA_7_a_disabled_machine_is_refused_everywhere_within_a_second(api):
    raw = {
        **MACHINE,
        "grant_types": ["client_credentials", "refresh_token"],
        "introspects": MACHINE["audiences"],
    }
    client_id = await api.client(raw)
    device = await api.seed(client_id, await api.person())
    token = (await api.token(client_id, grant_type="client_credentials")).json()["access_token"]
    assert await api.is_active(token, client_id)
    await api.clients.disable(client_id)
    began, withheld = time.monotonic(), Withheld(*api.replicas)
    for on in (0, 1):
        while (await api.token(client_id, on=on, grant_type="client_credentials")).is_success:
            assert time.monotonic() - began < AT_ONCE + withheld.seconds
        for answer in (
            await api.token(client_id, on=on, grant_type="client_credentials"),
            await api.refresh(device, on=on),
            await api.form("/oauth2/introspect", client_id, on=on, token=token),
            await api.form("/oauth2/revoke", client_id, on=on, token=token),
        ):
            assert await is_refused(api, answer, "client: disabled", BASIC)
        assert await api.goes_inactive(token, on=on)
    row = await api.row(device)
    assert (row["generation"], row["revoked_at"]) == (0, None)


async def test_CA_7_a_disabled_app_is_refused_everywhere_and_comes_back(api):
    client_id = await api.client(APP)
    person = await api.person()
    device = await api.sign_in(person, client=client_id)
    await api.clients.disable(client_id)
    await api.settled()
    assert await is_refused(api, await api.refresh(device), "client: disabled")
    refused = "X-Keyturn-Client: unknown, disabled or not for the session API"
    for answer in (
        await api.login(person, client=client_id),
        await api.post("/auth/refresh", device.credential, client=client_id),
        await api.post("/auth/logout", device.credential, client=client_id),
        await api.post("/auth/logout-all", device.credential, client=client_id),
        await api.post(
            "/auth/reauthenticate", device.credential | {"password": PASSWORD}, client=client_id
        ),
        await api.post("/auth/login", {}, client=client_id, headers={"origin": ORIGIN}),
    ):
        assert await is_refused(api, answer, refused, 'Bearer realm="keyturn"')
    answer = await api.get("/auth/me", headers=device.bearer)
    detail = "token: of a client that is disabled"
    assert await api.refusal(answer) == (401, "invalid_token", detail)
    assert await api.goes_inactive(device.access_token)
    await api.clients.enable(client_id)
    await api.settled()
    assert (await api.refresh(device)).status_code == 200


def _comparable(answer):
    own = {"date", "x-request-id"}
    return tuple(pair for pair in answer.headers.items() if pair[0] not in own)
