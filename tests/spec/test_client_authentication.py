"""CA-1 to CA-7, TK-2, CR-6: who may call the protocol endpoints (RFC 6749 section 2.3).

A door that only says who called stands for every protocol endpoint: the real forms, the real
authentication, the real limiter on Valkey and the real wording of refusals.
"""

import base64
import statistics
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote_plus

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from keyturn.cache.client import Cache
from keyturn.clients import secrets
from keyturn.clients.client_keys import ClientKeys
from keyturn.clients.definition import ClientDefinition
from keyturn.clients.published_keys import PublishedKeys
from keyturn.clock import SystemClock
from keyturn.crypto.secrets import MasterSecrets
from keyturn.oauth.client_assertion import ClientAssertions
from keyturn.oauth.client_authentication import ClientAuthentication
from keyturn.outgoing.client import Outgoing, trusting
from keyturn.outgoing.policy import NOTHING_PRIVATE
from keyturn.replays.replays import Replays
from keyturn.settings_credentials import ThrottleSettings
from keyturn.settings_redis import RedisSettings
from keyturn.telemetry.metrics import Metrics
from keyturn.users.throttle import Throttle
from keyturn.web.body import BodyLimits
from keyturn.web.client_ip import ClientAddress
from keyturn.web.forms import Forms
from keyturn.web.responses import error_handlers
from support.registered import ISSUER, JOB, SECRET, WEB, Clients

PATH = "/oauth2/token"
BASIC = 'Basic realm="keyturn"'
AWKWARD = [
    "colon:colon::and-more-characters-0123",
    "percent%41%zz%and-more-characters-01",
    "plus+plus and space and more chars 1",
    "ünïcödé-🔑-and-more-characters-0123456",
    "&=?/#;\"'<>\\-and-more-characters-0123",
]


@dataclass(frozen=True, slots=True)
class Door:
    """The door, the clients behind it, and a caller."""

    caller: httpx2.AsyncClient
    clients: Clients

    async def post(self, form=None, basic=None, query="", headers=()):
        """Call with a form and, perhaps, `Basic` credentials written as they stand."""
        sent = list(headers)
        if basic is not None:
            sent.append(("authorization", f"Basic {base64.b64encode(basic).decode()}"))
        return await self.caller.post(PATH + query, data=form or {"x": "y"}, headers=sent)


@asynccontextmanager
async def opened(database_url, redis_url, attempts=5):
    """Open the door; so many failed secrets are allowed."""
    metrics, clock = Metrics(), SystemClock()
    cache = Cache(RedisSettings(url=redis_url, timeout=2.0), metrics, clock)
    master = MasterSecrets({1: b"m" * 32})
    limits = ThrottleSettings(client_attempts=attempts)
    throttle = Throttle(cache, limits, master, ISSUER, metrics, clock)
    async with Clients.of(database_url) as clients:
        published = PublishedKeys(Outgoing(NOTHING_PRIVATE, trusting(None)), clock, metrics)
        replays = Replays(clients.database)
        authentication = ClientAuthentication(
            registry=clients.registry,
            assertions=ClientAssertions(ClientKeys(published), replays, clock, ISSUER),
            throttle=throttle,
            clock=clock,
            address_of=ClientAddress().of,
            audit=clients.audit,
        )
        forms = Forms(BodyLimits(16384, 5))

        async def answer(request):
            client = await authentication.authenticate(request, await forms.read(request))
            return JSONResponse({"client": client.id})

        app = Starlette(
            routes=[Route(PATH, answer, methods=["POST"])], exception_handlers=error_handlers()
        )
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as caller:
            yield Door(caller, clients)
    await cache.close()


@pytest.fixture
async def door(database_url, redis_url):
    async with opened(database_url, redis_url) as one:
        yield one


async def register(door, raw=JOB, secret=SECRET, **changes):
    definition = ClientDefinition.parse({**raw, **changes})
    await door.clients.administration.add(definition, secret)
    door.clients.registry.invalidate()


def encoded(client_id, secret):
    """Return credentials as RFC 6749 section 2.3.1 has them written."""
    return f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()


def is_refused(response, error="invalid_client", challenge=None):
    assert response.json()["error"] == error
    assert response.status_code == {"invalid_client": 401}.get(error, 400)
    assert response.headers.get("www-authenticate", "")[: len(BASIC)] == (challenge or "")
    assert response.headers["cache-control"] == "no-store"
    return True


async def test_each_kind_of_client_is_let_in_by_its_own_method(door):
    await register(door)
    await register(door, id="poster", auth_method="client_secret_post")
    await register(door, WEB, secret=None)
    by_basic = await door.post(basic=encoded("job", SECRET))
    by_post = await door.post({"client_id": "poster", "client_secret": SECRET})
    by_name = await door.post({"client_id": "web"})
    assert [one.json() for one in (by_basic, by_post, by_name)] == [
        {"client": "job"},
        {"client": "poster"},
        {"client": "web"},
    ]


async def test_the_scheme_is_case_insensitive_and_the_form_may_repeat_the_id(door):
    await register(door)
    token = base64.b64encode(encoded("job", SECRET)).decode()
    for scheme in ("basic", "BASIC", "Basic"):
        headers = [("authorization", f"{scheme} {token}")]
        response = await door.post({"client_id": "job"}, headers=headers)
        assert response.json() == {"client": "job"}


async def test_ca_1_unknown_disabled_and_wrong_secret_look_the_same(door):
    await register(door)
    await register(door, id="closed")
    await door.clients.administration.disable("closed")
    door.clients.registry.invalidate()
    answers = [
        await door.post(basic=encoded("nobody", SECRET)),
        await door.post(basic=encoded("closed", SECRET)),
        await door.post(basic=encoded("job", SECRET + "x")),
    ]
    assert all(is_refused(one, challenge=BASIC) for one in answers)
    assert len({one.content for one in answers}) == 1
    assert len({tuple(one.headers.items()) for one in answers}) == 1


async def test_ca_1_without_basic_there_is_no_challenge(door):
    """A browser would open a window for it, in front of a single-page app."""
    await register(door, auth_method="client_secret_post")
    assert is_refused(await door.post({"client_id": "job", "client_secret": "wrong"}))
    assert is_refused(await door.post({"client_id": "nobody"}))
    assert is_refused(await door.post())


@pytest.mark.timing
async def test_ca_1_unknown_client_and_wrong_secret_take_the_same_time(database_url, redis_url):
    """Both against a second unknown id, which shows how far two equal questions lie apart."""
    times = {"nobody": [], "job": [], "neutral": []}
    async with opened(database_url, redis_url, attempts=1_000_000) as door:
        await register(door)
        for _ in range(500):
            for client_id, spent in times.items():
                began = time.perf_counter()
                response = await door.post(basic=encoded(client_id, SECRET + "x"))
                spent.append(time.perf_counter() - began)
                assert response.status_code == 401
    medians = {name: statistics.median(spent) for name, spent in times.items()}
    print({name: f"{value * 1e6:.0f} us" for name, value in medians.items()})
    assert 0.9 < medians["job"] / medians["nobody"] < 1.1
    assert 0.9 < medians["neutral"] / medians["nobody"] < 1.1


async def test_ca_1_only_a_public_client_by_its_name_costs_no_comparison(door, monkeypatch):
    """Whoever is refused has cost as much as whoever is not known: the time tells nothing."""
    await register(door)
    await register(door, WEB, secret=None)
    await register(door, WEB, id="closed", secret=None)
    await door.clients.administration.disable("closed")
    compared, matches = [], secrets.matches
    monkeypatch.setattr(
        secrets, "matches", lambda *asked: compared.append(asked[0]) or matches(*asked)
    )
    assert (await door.post({"client_id": "web"})).json() == {"client": "web"}
    assert compared == []
    for named in ({"client_id": one} for one in ("closed", "nobody", "job")):
        assert is_refused(await door.post(named))
    assert is_refused(await door.post({"client_id": "web", "client_secret": "x"}))
    assert compared == ["", "", "", "x"]


async def test_ca_2_two_methods_at_once_are_a_bad_request(door):
    await register(door)
    good = encoded("job", SECRET)
    token = base64.b64encode(good).decode()
    twice = [("authorization", f"Basic {token}"), ("authorization", f"Basic {token}")]
    assertion = {"client_assertion": "x", "client_assertion_type": "y"}
    answers = [
        await door.post({"client_secret": SECRET}, basic=good),
        await door.post({"client_id": "job", "client_secret": SECRET}, basic=good),
        await door.post({"client_id": "other"}, basic=good),
        await door.post(assertion, basic=good),
        await door.post({"client_id": "job", "client_secret": SECRET, **assertion}),
        await door.post(headers=twice),
    ]
    assert all(is_refused(one, "invalid_request") for one in answers)


async def test_ca_2_the_method_must_be_the_registered_one(door):
    await register(door)
    await register(door, id="poster", auth_method="client_secret_post")
    by_post = await door.post({"client_id": "job", "client_secret": SECRET})
    assert is_refused(by_post)
    assert is_refused(await door.post(basic=encoded("poster", SECRET)), challenge=BASIC)


async def test_ca_2_a_public_client_that_sends_a_secret_is_refused(door):
    await register(door, WEB, secret=None)
    assert is_refused(await door.post({"client_id": "web", "client_secret": SECRET}))
    assert is_refused(await door.post(basic=b"web:"), challenge=BASIC)


async def test_ca_2_methods_that_are_not_offered_are_refused(door):
    await register(door)
    assert is_refused(await door.post({"client_id": "job", "client_assertion": "e30.e30."}))
    for header in ("Bearer x", "Digest x", "DPoP x", "Basic", "x", ""):
        response = await door.post({"client_id": "job"}, headers=[("authorization", header)])
        assert is_refused(response, challenge=BASIC)


@pytest.mark.parametrize("secret", AWKWARD, ids=range(len(AWKWARD)))
async def test_ca_3_any_secret_works_in_basic_and_in_the_form(door, secret):
    await register(door, secret=secret)
    await register(door, id="poster", auth_method="client_secret_post", secret=secret)
    by_basic = await door.post(basic=encoded("job", secret))
    assert by_basic.json() == {"client": "job"}
    by_post = await door.post({"client_id": "poster", "client_secret": secret})
    assert by_post.json() == {"client": "poster"}


@pytest.mark.parametrize(
    "credentials",
    [
        "!!!!",
        "am9i",
        "am9iOg",
        "am9iOg===",
        "am9i Og==",
        "=",
        base64.b64encode(b"\xff\xfe:\xff").decode(),
        base64.b64encode(b"job:%ff%fe").decode(),
        base64.b64encode(b"job:%ed%a0%80").decode(),
        base64.b64encode(b"%00:%00").decode(),
        base64.b64encode(b"job\x00:\x00").decode(),
        base64.b64encode(b":").decode(),
        "\u00e9\u00e9\u00e9\u00e9",
        "A" * 8000,
    ],
    ids=lambda one: one.encode("unicode_escape").decode()[:24],
)
async def test_ca_3_malformed_credentials_are_a_failed_authentication(door, credentials):
    """Authlib's parser answered 500 to some of these."""
    await register(door)
    header = f"Basic {credentials}".encode("latin-1")
    response = await door.post(headers=[(b"authorization", header)])
    assert is_refused(response, challenge=BASIC)


async def test_ca_3_nothing_is_mended_on_the_way_to_the_comparison(door):
    """Neither bytes that are not UTF-8, nor characters that base64 does not have."""
    await register(door, secret=SECRET + "\ufffd")
    assert is_refused(await door.post(basic=f"job:{SECRET}%ff".encode()), challenge=BASIC)
    good = base64.b64encode(encoded("job", SECRET + "\ufffd")).decode()
    for header, allowed in ((good, True), (f"{good[:8]}!{good[8:]}", False)):
        response = await door.post(headers=[("authorization", f"Basic {header}")])
        assert allowed or is_refused(response, challenge=BASIC)
        assert (response.status_code == 200) is allowed


async def test_ca_4_a_confidential_client_cannot_act_by_its_name_alone(door):
    await register(door)
    await register(door, id="poster", auth_method="client_secret_post")
    assert is_refused(await door.post({"client_id": "job"}))
    assert is_refused(await door.post({"client_id": "poster"}))
    assert is_refused(await door.post({"client_id": "poster", "client_secret": ""}))
    assert is_refused(await door.post(basic=b"job:"), challenge=BASIC)


async def test_ca_5_both_active_secrets_are_accepted_and_nothing_else(door):
    first = SECRET
    await register(door)
    second = (await door.clients.administration.rotate_secret("job")).secret
    door.clients.registry.invalidate()
    for one in (first, second):
        assert (await door.post(basic=encoded("job", one))).json() == {"client": "job"}
    await door.clients.administration.drop_previous_secret("job")
    door.clients.registry.invalidate()
    assert is_refused(await door.post(basic=encoded("job", first)), challenge=BASIC)


async def test_ca_7_a_disabled_client_is_refused_at_once(door):
    await register(door)
    await register(door, WEB, secret=None)
    for client_id in ("job", "web"):
        await door.clients.administration.disable(client_id)
        door.clients.registry.invalidate()
    assert is_refused(await door.post(basic=encoded("job", SECRET)), challenge=BASIC)
    assert is_refused(await door.post({"client_id": "web"}))


@pytest.mark.parametrize(
    "name", ["client_secret", "client_id", "client_assertion", "%63lient_secret"]
)
async def test_tk_2_credentials_in_the_url_are_a_bad_request(door, name):
    await register(door)
    response = await door.post(basic=encoded("job", SECRET), query=f"?{name}=x")
    assert is_refused(response, "invalid_request")


async def test_cr_6_failed_secrets_are_limited_and_nobody_is_locked_out(door):
    await register(door)
    wrong = encoded("job", SECRET + "x")
    answers = [(await door.post(basic=wrong)).status_code for _ in range(7)]
    assert answers == [401] * 5 + [429] * 2
    assert (await door.post(basic=wrong)).headers["retry-after"].isdigit()
    assert (await door.post(basic=encoded("job", SECRET))).json() == {"client": "job"}
    failed = [("client_authentication_failed", "job")] * 5
    assert door.clients.events()[1:] == [*failed, ("client_authentication_throttled", "job")]


async def test_cr_6_unknown_clients_are_limited_alike(door):
    answers = [(await door.post(basic=encoded("nobody", "x"))).status_code for _ in range(7)]
    assert answers == [401] * 5 + [429] * 2


async def test_a_failure_is_audited_for_clients_that_exist(door):
    """Names a stranger made up are not worth a row each."""
    await register(door)
    door.clients.events()
    await door.post(basic=encoded("job", "wrong"))
    await door.post(basic=encoded("nobody", "wrong"))
    assert door.clients.events() == [("client_authentication_failed", "job")]


async def test_no_refusal_repeats_what_was_sent(door):
    await register(door)
    response = await door.post(basic=encoded("job", "hunter2-hunter2"))
    assert "hunter2" not in response.text + str(response.headers)
    assert "job" not in response.text
