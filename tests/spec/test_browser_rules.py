"""WB-11, WB-13, WB-14 and the browser's side of the session API: CORS, cookies, step-up.

The session API amends WB-11 (it has CORS with credentials; the allow-list is the client's
`origins`, not its redirect URIs, which do not exist yet) and WB-13 (the cookie's path is `/`, so
that logout, step-up and the sessions list may use it, and `__Host-` can guard it; path, Origin
and `X-Keyturn-Client` rules make up for that).
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from uuid import UUID

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from keyturn.clients.registry import MOST_STALE
from keyturn.clock import FixedClock
from keyturn.errors import Unavailable
from keyturn.web.cors import Cors
from keyturn.web.responses import error_handlers
from support.api import (
    FOREIGN_ORIGIN,
    OTHER_ORIGIN,
    PASSWORD,
    SignedIn,
    claims_of,
    set_cookies,
)
from support.registered import WEB, Clients
from support.replicas import ORIGIN

PAGE = {"origin": ORIGIN}
PUBLIC = (
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/.well-known/jwks.json",
    "/auth/openapi.json",
)
SESSION_API = (
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("GET", "/auth/me"),
    ("GET", "/auth/sessions"),
    ("DELETE", "/auth/sessions/x"),
    ("POST", "/auth/logout-all"),
    ("POST", "/auth/reauthenticate"),
    ("POST", "/auth/password"),
)
NOT_OURS = (
    FOREIGN_ORIGIN,
    "null",
    ORIGIN.upper(),
    ORIGIN + "/",
    ORIGIN + ":443",
    ORIGIN + ".evil.example.net",
    ORIGIN.replace("https", "http"),
    "https://example.com",
    "https://evil.app.example.com",
    "*",
    "",
)
EXPOSED = "WWW-Authenticate, DPoP-Nonce, Retry-After, Date"
NOT_LISTED = (403, "origin_not_allowed", "origin: not one of this client's")
NO_HEADER = (403, "origin_not_allowed", "cookie: without X-Keyturn-Client")
NO_ORIGIN = (
    403,
    "origin_not_allowed",
    "cookie: neither Origin nor Sec-Fetch-Site: same-origin",
)
HOST_ATTRIBUTES = {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
MONTH, WEEK = 30 * 86400, 7 * 86400


@pytest.fixture
async def person(api):
    """Somebody with an account."""
    return await api.person()


@pytest.fixture
async def jar(api, person):
    """A browser in which they are signed in by cookie."""
    return await sign_in(api, person)


async def sign_in(api, person, client="app", origin=ORIGIN, prefix="__Host-", **members):
    """Sign in by cookie; the device's `refresh_token` is what the browser's jar holds."""
    answer = await api.login(
        person, client=client, transport="cookie", headers={"origin": origin}, **members
    )
    assert answer.status_code == 200, answer.text
    ((name, value, _attributes),) = set_cookies(answer)
    assert name == api.cookie_name(client, prefix)
    given = answer.json()
    return SignedIn(client, given["accessToken"], value, UUID(given["sessionId"]))


def cookie_of(api, jar, prefix="__Host-"):
    return {"cookie": f"{api.cookie_name(jar.client_id, prefix)}={jar.refresh_token}"}


async def send(api, path, jar, members=None, *, method="POST", headers=PAGE, **options):
    """Send what a page of the app sends: the cookie, Origin and the client's name."""
    sent = {**cookie_of(api, jar), **headers}
    client = options.pop("client", jar.client_id)
    return await api.post(path, members, client=client, method=method, headers=sent, **options)


def cors(answer):
    """Return the CORS headers of an answer."""
    return {
        name.removeprefix("access-control-"): value
        for name, value in answer.headers.items()
        if name.startswith("access-control-")
    }


def varies(answer):
    return "origin" in answer.headers.get("vary", "").lower()


async def preflight(api, path, origin, method="POST", asked="content-type"):
    headers = {"access-control-request-method": method, "access-control-request-headers": asked}
    if origin is not None:
        headers["origin"] = origin
    return await api.callers[0].request("OPTIONS", path, headers=headers)


# -- WB-11: who may read answers ---------------------------------------------------------------


@pytest.mark.parametrize("path", PUBLIC)
async def test_WB_11_public_documents_are_for_every_page_without_credentials(api, path):
    for origin in (None, ORIGIN, FOREIGN_ORIGIN, "null"):
        answer = await api.get(path, headers={"origin": origin} if origin else {})
        assert answer.status_code == 200
        assert cors(answer) == {"allow-origin": "*"}
    answer = await preflight(api, path, FOREIGN_ORIGIN, "GET", "if-none-match")
    assert answer.status_code == 204
    assert cors(answer) == {
        "allow-origin": "*",
        "allow-methods": "GET, HEAD",
        "allow-headers": "Accept, If-None-Match",
        "max-age": "600",
    }


async def test_WB_11_token_and_revoke_are_for_the_clients_own_pages_without_credentials(api):
    device = await api.sign_in(await api.person())
    fields = {"grant_type": "refresh_token", "token": device.refresh_token}
    for path in ("/oauth2/token", "/oauth2/revoke", "/oauth2/par"):
        for token in (device.refresh_token, "x"):
            answer = await api.form(
                path, "app", headers=PAGE, **{**fields, "refresh_token": token, "token": "x"}
            )
            assert answer.status_code in {200, 400}
            assert cors(answer) == {"allow-origin": ORIGIN, "expose-headers": EXPOSED}
            assert varies(answer)


@pytest.mark.parametrize("origin", [*NOT_OURS, OTHER_ORIGIN])
async def test_WB_11_pages_of_others_may_not_read_them(api, origin):
    """Another client's page neither, though it is somebody's: the client of the answer decides."""
    for path in ("/oauth2/token", "/oauth2/revoke", "/oauth2/par"):
        answer = await api.form(path, "app", headers={"origin": origin}, token="x")
        assert cors(answer) == {}
        assert varies(answer)
    assert cors(await api.form("/oauth2/token", "app", token="x")) == {}


@pytest.mark.parametrize(
    "path",
    ["/oauth2/introspect", "/oauth2/device_authorization", "/device", "/oauth2/nothing", "/"],
)
async def test_WB_11_no_page_may_read_anything_else(api, path):
    for origin in (ORIGIN, FOREIGN_ORIGIN, "null"):
        answer = await api.form(path, "reader", headers={"origin": origin}, token="x")
        assert cors(answer) == {}
        assert cors(await preflight(api, path, origin)) == {}
    url = f"{api.replicas[0].management_url}/health/ready"
    async with httpx2.AsyncClient() as caller:
        assert cors(await caller.get(url, headers=PAGE)) == {}


@pytest.mark.parametrize(("method", "path"), SESSION_API)
async def test_WB_11_the_session_api_is_for_the_clients_pages_with_cookies(api, method, path):
    """On error answers too: an app that cannot read a refusal takes it for a sign-out."""
    headers = {**PAGE, "x-keyturn-client": "app"}
    answer = await api.callers[0].request(method, path, json={}, headers=headers)
    assert answer.status_code in {204, 400, 401}
    assert cors(answer) == {
        "allow-origin": ORIGIN,
        "allow-credentials": "true",
        "expose-headers": EXPOSED,
    }
    assert varies(answer)
    answer = await api.callers[0].request("PUT", path, headers=headers)
    assert answer.status_code == 405
    assert cors(answer)["allow-origin"] == ORIGIN


@pytest.mark.parametrize("origin", [*NOT_OURS, OTHER_ORIGIN])
async def test_WB_11_a_foreign_origin_is_refused_and_may_not_even_read_that(api, person, origin):
    for method, path in SESSION_API:
        answer = await api.post(path, {}, method=method, headers={"origin": origin})
        assert cors(answer) == {}
        assert varies(answer)
        if path not in {"/auth/me", "/auth/sessions"} or method == "DELETE":
            refusal = await api.refusal(answer)
            assert refusal[0] in {400, 403}, path
    answer = await api.login(person, headers={"origin": origin})
    assert await api.refusal(answer) == NOT_LISTED
    device = await api.sign_in(person)
    for path in ("/auth/me", "/auth/sessions"):
        answer = await api.get(path, headers={**device.bearer, "origin": origin})
        assert await api.refusal(answer) == NOT_LISTED
        assert cors(answer) == {}
    answer = await api.post("/auth/refresh", device.credential, headers={"origin": origin})
    assert await api.refusal(answer) == NOT_LISTED
    assert (await api.row(device))["generation"] == 0


async def test_WB_11_success_and_the_errors_of_limits_and_outages_carry_the_headers(api, person):
    guesser = replace(person, password="wrong-wrong-wrong")
    answers = [await api.login(person, headers=PAGE)]
    answers += [await api.login(guesser, headers=PAGE) for _ in range(7)]
    headers = {"x-keyturn-client": "app", "content-type": "text/plain", **PAGE}
    answers.append(await api.callers[0].post("/auth/login", content=b"{}", headers=headers))
    large = {"email": "a", "password": "x" * 70_000}
    answers.append(await api.post("/auth/login", large, headers=PAGE))
    assert {answer.status_code for answer in answers} == {200, 401, 429, 415, 413}
    for answer in answers:
        assert cors(answer)["allow-origin"] == ORIGIN
        assert cors(answer)["allow-credentials"] == "true"
        assert cors(answer)["expose-headers"] == EXPOSED
        assert varies(answer)


@pytest.mark.parametrize(
    "path", [*(path for _, path in SESSION_API), "/oauth2/token", "/oauth2/revoke", "/oauth2/par"]
)
async def test_WB_11_preflights_are_answered_for_listed_origins_only(api, path):
    by_cookie = path.startswith("/auth/")
    for origin in (ORIGIN, OTHER_ORIGIN):
        answer = await preflight(api, path, origin)
        assert (answer.status_code, answer.content) == (204, b"")
        told = cors(answer)
        assert told.pop("allow-origin") == origin
        assert told.pop("allow-credentials", None) == ("true" if by_cookie else None)
        assert told == {
            "allow-methods": "GET, POST, DELETE" if by_cookie else "GET, POST",
            "allow-headers": "Authorization, Content-Type, DPoP"
            + (", X-Keyturn-Client" if by_cookie else ""),
            "max-age": "600",
        }
        assert varies(answer)
    for origin in (*NOT_OURS, None):
        answer = await preflight(api, path, origin)
        refusal = (403, "origin_not_allowed", "preflight: the origin of no client")
        assert await api.refusal(answer) == refusal
        assert cors(answer) == {}
        assert varies(answer)


async def test_WB_11_failures_can_be_read_however_long_the_database_is_away(database_url):
    """The last copy of the clients is too old to let anybody in; that much a page may be told."""
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with Clients.of(database_url, clock) as clients:
        await clients.add(WEB, origins=[ORIGIN])
        assert await clients.registry.get("web") is not None
        attempts = []

        async def away(name):
            attempts.append(name)
            raise Unavailable("connect: away")

        async def door(_request):
            await clients.registry.get("web")

        clients.database.watch.before = away
        clock.advance(timedelta(seconds=2 * MOST_STALE))
        routes = [Route("/auth/refresh", door, methods=["POST"])]
        app = Cors(Starlette(routes=routes, exception_handlers=error_handlers()), clients.registry)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="https://id.example"
        ) as page:
            headers = {"x-keyturn-client": "web", "access-control-request-method": "POST"}
            for origin, readable in ((ORIGIN, True), (FOREIGN_ORIGIN, False)):
                asked = {**headers, "origin": origin}
                answer = await page.options("/auth/refresh", headers=asked)
                assert (answer.status_code == 204) is readable
                answer = await page.post("/auth/refresh", headers=asked)
                assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
                assert cors(answer).get("allow-origin") == (ORIGIN if readable else None)
        assert attempts == ["moment"] * 2, "each request asks once: its door, for letting it in"


async def test_WB_11_two_origins_in_one_request_are_none(api, person):
    headers = [("origin", ORIGIN), ("origin", FOREIGN_ORIGIN), ("x-keyturn-client", "app")]
    body = {"email": person.email, "password": person.password}
    answer = await api.callers[0].post("/auth/login", json=body, headers=headers)
    assert await api.refusal(answer) == NOT_LISTED
    assert cors(answer) == {}


# -- WB-13: the refresh token in a cookie ------------------------------------------------------


async def test_WB_13_the_cookie_on_https(api, person):
    answer = await api.login(person, transport="cookie", headers=PAGE)
    ((name, value, attributes),) = set_cookies(answer)
    assert name == api.cookie_name("app", "__Host-")
    assert attributes == HOST_ATTRIBUTES | {f"Max-Age={WEEK}"} or (
        attributes == HOST_ATTRIBUTES | {f"Max-Age={WEEK - 1}"}
    )
    assert value.startswith("krt1_")


async def test_WB_13_the_cookie_on_loopback_http_has_no_prefix_and_is_not_secure(loopback):
    api = loopback[0]
    answer = await api.login(await api.person(), transport="cookie", headers=PAGE)
    ((name, _value, attributes),) = set_cookies(answer)
    assert name == api.cookie_name("app", "")
    assert name.startswith("kt_")
    assert {one for one in attributes if not one.startswith("Max-Age")} == {
        *("Path=/", "HttpOnly", "SameSite=Strict")
    }


async def test_WB_13_the_cookie_for_another_path_is_only_secure(below_auth):
    api = below_auth
    person = await api.person()
    answer = await api.login(person, transport="cookie", headers=PAGE)
    ((name, value, attributes),) = set_cookies(answer)
    assert name == api.cookie_name("app", "__Secure-")
    assert {one for one in attributes if not one.startswith("Max-Age")} == {
        *("Path=/auth", "Secure", "HttpOnly", "SameSite=Strict")
    }
    headers = {"cookie": f"{name}={value}", **PAGE}
    refreshed = await api.post("/auth/refresh", headers=headers)
    assert [one[0] for one in set_cookies(refreshed)] == [name]
    left = await api.post("/auth/logout", headers=headers)
    ((cleared, empty, attributes),) = set_cookies(left)
    assert (cleared, empty) == (name, "")
    assert attributes == {"Max-Age=0", "Path=/auth", "Secure", "HttpOnly", "SameSite=Strict"}


async def test_WB_13_no_body_ever_holds_a_token_that_came_by_cookie(api, person, jar):
    answer = await api.login(person, transport="cookie", headers=PAGE)
    assert set(answer.json()) == {
        *("accessToken", "tokenType", "expiresIn", "refreshExpiresIn", "sessionId", "user")
    }
    for path, members in (
        ("/auth/refresh", {}),
        ("/auth/refresh", {}),
        ("/auth/reauthenticate", {"password": PASSWORD}),
        ("/auth/logout-all", {"exceptCurrent": True}),
    ):
        answer = await send(api, path, jar, members)
        assert answer.status_code == 200, answer.text
        assert "krt1_" not in answer.text
        assert "refreshToken" not in answer.json()


async def test_WB_13_login_by_body_sets_no_cookie(api, person):
    for members in ({}, {"transport": "body"}):
        answer = await api.login(person, headers=PAGE, **members)
        assert "set-cookie" not in answer.headers
        assert answer.json()["refreshToken"].startswith("krt1_")


@pytest.mark.parametrize(
    ("remember", "seconds"),
    [({}, WEEK), ({"rememberMe": True}, MONTH), ({"rememberMe": False}, None)],
)
async def test_WB_13_max_age_is_the_persons_choice_and_a_refresh_keeps_it(
    api, person, remember, seconds
):
    """`rememberMe: false` is a cookie of the browser's session: no Max-Age, now or later."""
    answer = await api.login(person, transport="cookie", headers=PAGE, **remember)
    jar = SignedIn("app", "", next(set_cookies(answer))[1], UUID(answer.json()["sessionId"]))
    refreshed = await send(api, "/auth/refresh", jar)
    for one in (answer, refreshed):
        ((_name, _value, attributes),) = set_cookies(one)
        ages = [int(each[8:]) for each in attributes if each.startswith("Max-Age=")]
        assert len(ages) == (0 if seconds is None else 1)
        assert all(0 <= seconds - age <= 60 for age in ages)
    await api.set(jar, "expires_at = now() + interval '100 s', rotated_at = now() - interval '1 h'")
    current = replace(jar, refresh_token=next(set_cookies(refreshed))[1])
    ((_name, _value, attributes),) = set_cookies(await send(api, "/auth/refresh", current))
    ages = [int(each[8:]) for each in attributes if each.startswith("Max-Age=")]
    assert ages == [] if seconds is None else 90 <= ages[0] <= 100


async def test_WB_13_a_refresh_by_cookie_sets_the_child(api, jar):
    answer = await send(api, "/auth/refresh", jar)
    assert set(answer.json()) == {
        *("accessToken", "tokenType", "expiresIn", "refreshExpiresIn", "sessionId")
    }
    ((name, value, _attributes),) = set_cookies(answer)
    assert name == api.cookie_name("app")
    assert value != jar.refresh_token
    assert (await api.row(jar))["generation"] == 1
    late = await send(api, "/auth/refresh", jar, on=1)
    assert next(set_cookies(late))[1] == value


async def test_WB_13_an_unchanged_token_sets_no_cookie(api, jar):
    """A late answer must not move the jar back: coalesced, and healed after a lost commit."""
    child = next(set_cookies(await send(api, "/auth/refresh", jar)))[1]
    current = replace(jar, refresh_token=child)
    coalesced = await send(api, "/auth/refresh", current)
    assert coalesced.status_code == 200
    assert "set-cookie" not in coalesced.headers
    codec = api.operator.codec
    ahead = codec.encode(codec.child(codec.decode(child, "app")), "app")
    healed = await send(api, "/auth/refresh", replace(jar, refresh_token=ahead))
    assert healed.status_code == 200
    assert "set-cookie" not in healed.headers
    assert (await api.row(jar))["generation"] == 2


async def test_WB_13_the_same_cookie_twice_is_a_bad_request(api, person, jar):
    name = api.cookie_name("app")
    twice = {"cookie": f"{name}={jar.refresh_token}; {name}=planted", **PAGE}
    apart = [
        ("cookie", f"{name}={jar.refresh_token}"),
        ("cookie", f"other=1; {name}={jar.refresh_token}"),
        ("origin", ORIGIN),
        ("x-keyturn-client", "app"),
    ]
    refusal = (400, "invalid_request", "cookie: the same name twice")
    for path in ("refresh", "logout", "logout-all"):
        assert await api.refusal(await api.post(f"/auth/{path}", headers=twice)) == refusal
        answer = await api.callers[0].post(f"/auth/{path}", json={}, headers=apart)
        assert await api.refusal(answer) == refusal
    assert await api.refusal(await api.login(person, headers=twice)) == refusal
    row = await api.row(jar)
    assert (row["generation"], row["revoked_at"]) == (0, None)


@pytest.mark.parametrize("path", ["refresh", "logout", "logout-all", "reauthenticate", "password"])
async def test_WB_13_a_token_in_the_cookie_and_in_the_body_is_a_bad_request(api, jar, path):
    members = {"reauthenticate": {"password": PASSWORD}, "password": {"newPassword": PASSWORD}}
    body = {"refreshToken": jar.refresh_token, **members.get(path, {})}
    answer = await send(api, f"/auth/{path}", jar, body)
    detail = "session credential: both in the cookie and in the body"
    assert await api.refusal(answer) == (400, "invalid_request", detail)
    row = await api.row(jar)
    assert (row["generation"], row["revoked_at"]) == (0, None)


async def test_WB_13_a_login_that_is_cross_site_is_told_to_use_a_proxy(api, person):
    headers = {**PAGE, "sec-fetch-site": "cross-site"}
    answer = await api.login(person, transport="cookie", headers=headers)
    refusal = (400, "cookie_needs_same_site", "sec-fetch-site: cross-site")
    assert await api.refusal(answer) == refusal
    assert (await api.login(person, headers=headers)).status_code == 200
    same_site = {**PAGE, "sec-fetch-site": "same-site"}
    assert (await api.login(person, transport="cookie", headers=same_site)).status_code == 200


async def test_WB_13_a_login_as_text_plain_is_refused(api, person):
    """What a form of any page could send."""
    body = f'{{"email":"{person.email}","password":"{person.password}","transport":"cookie"}}'
    headers = {"content-type": "text/plain", "x-keyturn-client": "app", **PAGE}
    answer = await api.callers[0].post("/auth/login", content=body, headers=headers)
    detail = "content-type: not application/json"
    assert await api.refusal(answer) == (415, "unsupported_media_type", detail)


async def test_WB_13_a_login_by_cookie_shows_where_it_comes_from(api, person):
    login = {"transport": "cookie"}
    assert await api.refusal(await api.login(person, **login)) == NO_ORIGIN
    for site in ("same-site", "none", "SAME-ORIGIN"):
        answer = await api.login(person, headers={"sec-fetch-site": site}, **login)
        assert await api.refusal(answer) == NO_ORIGIN, site
    for origin in ("null", FOREIGN_ORIGIN, OTHER_ORIGIN):
        answer = await api.login(person, headers={"origin": origin}, **login)
        assert await api.refusal(answer) == NOT_LISTED
        both = {"origin": origin, "sec-fetch-site": "same-origin"}
        assert await api.refusal(await api.login(person, headers=both, **login)) == NOT_LISTED
    answer = await api.login(person, headers={"sec-fetch-site": "same-origin"}, **login)
    assert answer.status_code == 200
    rows = await api.sql.fetch("select id from sessions where user_id = $1", person.id)
    assert len(rows) == 1


async def test_WB_13_a_login_by_cookie_names_its_client(only_app):
    """Also where there is one client only: no foreign page can send that header unasked."""
    api, somebody = only_app, await only_app.person()
    assert (await api.login(somebody, client=None)).status_code == 200
    answer = await api.login(somebody, client=None, transport="cookie", headers=PAGE)
    assert await api.refusal(answer) == NO_HEADER
    jar = await sign_in(api, somebody, prefix="")
    sent = {**cookie_of(api, jar, ""), **PAGE}
    for path in ("/auth/refresh", "/auth/logout"):
        answer = await api.post(path, client=None, headers=sent)
        assert await api.refusal(answer) == NO_HEADER
    assert (await api.row(jar))["revoked_at"] is None


@pytest.fixture
async def only_app(loopback):
    """A server whose one client of the session API is `app`."""
    api = loopback[0]
    others = "select id from clients where session_api and disabled_at is null and id <> 'app'"
    for row in await api.sql.fetch(others):
        await api.clients.disable(row["id"])
    async with asyncio.timeout(30):
        while (await api.post("/auth/logout", client=None)).status_code != 204:
            await asyncio.sleep(0.01)
    yield api
    await api.clients.enable("shop")
    await api.settled()


@pytest.mark.parametrize(
    ("method", "path", "members"),
    [
        ("POST", "/auth/refresh", {}),
        ("POST", "/auth/logout", {}),
        ("POST", "/auth/logout-all", {}),
        ("POST", "/auth/reauthenticate", {"password": PASSWORD}),
        ("POST", "/auth/password", {"newPassword": PASSWORD + "!"}),
        ("DELETE", "/auth/sessions/{id}", {}),
        ("GET", "/auth/sessions", {}),
    ],
)
async def test_WB_13_every_use_of_the_cookie_shows_where_it_comes_from(
    api, jar, method, path, members
):
    path = path.format(id=jar.session_id)
    for headers, refusal in (
        ({}, NO_ORIGIN),
        ({"sec-fetch-site": "same-site"}, NO_ORIGIN),
        ({"sec-fetch-site": "cross-site"}, NO_ORIGIN),
        ({"origin": "null"}, NOT_LISTED),
        ({"origin": OTHER_ORIGIN, "sec-fetch-site": "same-origin"}, NOT_LISTED),
    ):
        answer = await send(api, path, jar, members, method=method, headers=headers)
        assert await api.refusal(answer) == refusal
    row = await api.row(jar)
    assert (row["generation"], row["revoked_at"]) == (0, None)
    answer = await send(
        api, path, jar, members, method=method, headers={"sec-fetch-site": "same-origin"}
    )
    assert answer.status_code in {200, 204}, answer.text


async def test_WB_13_the_sessions_list_may_be_asked_by_cookie(api, person, jar):
    other = await api.sign_in(person)
    answer = await send(api, "/auth/sessions", jar, method="GET")
    current = {one["id"]: one["current"] for one in answer.json()["sessions"]}
    assert current == {str(jar.session_id): True, str(other.session_id): False}
    assert "set-cookie" not in answer.headers


async def test_WB_13_a_failed_refresh_never_clears_the_cookie(api, person, jar):
    """An app that is refused by mistake, or by a replica in trouble, keeps what it has."""
    current = replace(
        jar, refresh_token=next(set_cookies(await send(api, "/auth/refresh", jar)))[1]
    )
    await api.age(current)
    assert (await api.refusal(await send(api, "/auth/refresh", jar)))[2] == (
        "session: superseded token used"
    )
    assert (await api.refusal(await send(api, "/auth/refresh", current)))[2] == "session: revoked"
    for value, detail in (
        ("rubbish", "refresh token: malformed"),
        ("krt1_" + "A" * 92, "refresh token: unknown key id"),
    ):
        answer = await send(api, "/auth/refresh", replace(jar, refresh_token=value))
        assert await api.refusal(answer) == (401, "invalid_grant", detail)
    for path, members in (
        ("/auth/logout-all", {}),
        ("/auth/reauthenticate", {"password": PASSWORD}),
        ("/auth/password", {"newPassword": PASSWORD}),
    ):
        answer = await send(api, path, current, members)
        assert await api.refusal(answer) == (401, "invalid_grant", "session: revoked")


async def test_WB_13_while_the_database_is_away_nothing_is_lost(outage):
    """503 with Retry-After, never 4xx; no cookie is cleared, and a page may read it."""
    api, pair = outage
    person = await api.person()
    jar, device = await sign_in(api, person, prefix=""), await api.sign_in(person)
    headers = {**cookie_of(api, jar, ""), **PAGE}
    pair.postgres.kill()
    try:
        answers = [await api.login(person, headers=PAGE, transport="cookie")]
        for path, members in (
            ("/auth/refresh", {}),
            ("/auth/logout", {}),
            ("/auth/logout-all", {}),
            ("/auth/reauthenticate", {"password": PASSWORD}),
            ("/auth/password", {"newPassword": PASSWORD}),
        ):
            answers.append(await api.post(path, members, headers=headers))
            body = {**device.credential, **members}
            answers.append(await api.post(path, body, headers=PAGE))
        for answer in answers:
            status, error, _detail = await api.refusal(answer)
            assert (status, error) == (503, "temporarily_unavailable"), answer.url
            assert int(answer.headers["retry-after"]) >= 1
            assert cors(answer)["allow-origin"] == ORIGIN
    finally:
        await pair.postgres.start()
    async with asyncio.timeout(30):
        while (answer := await api.post("/auth/refresh", headers=headers)).status_code == 503:
            await asyncio.sleep(0.05)
    assert answer.status_code == 200
    assert (await api.refresh(device)).status_code == 200


async def test_WB_13_only_logout_and_logout_all_clear_the_cookie(api, person):
    cleared = HOST_ATTRIBUTES | {"Max-Age=0"}
    for path, members, clears in (
        ("/auth/logout", {}, True),
        ("/auth/logout-all", {}, True),
        ("/auth/logout-all", {"exceptCurrent": False}, True),
        ("/auth/logout-all", {"exceptCurrent": True}, False),
        ("/auth/password", {"newPassword": PASSWORD}, False),
        ("/auth/reauthenticate", {"password": PASSWORD}, False),
        ("DELETE", {}, False),
    ):
        jar = await sign_in(api, person)
        if path == "DELETE":
            answer = await send(api, f"/auth/sessions/{jar.session_id}", jar, method="DELETE")
        else:
            answer = await send(api, path, jar, members)
        assert answer.status_code in {200, 204}, answer.text
        found = list(set_cookies(answer))
        assert found == ([(api.cookie_name("app"), "", cleared)] if clears else []), path


async def test_WB_13_logout_clears_the_cookie_also_when_the_session_is_gone(api, person, jar):
    await api.operator.accounts.logout_everywhere(person.id)
    for value in (jar.refresh_token, "rubbish"):
        answer = await send(api, "/auth/logout", replace(jar, refresh_token=value))
        assert answer.status_code == 204
        assert next(set_cookies(answer))[:2] == (api.cookie_name("app"), "")
    answer = await api.post("/auth/logout", headers=PAGE)
    assert (answer.status_code, "set-cookie" in answer.headers) == (204, False)


@pytest.mark.parametrize("transport", ["cookie", "body"])
async def test_WB_13_a_login_with_a_live_cookie_ends_that_session(api, person, jar, transport):
    other = await api.sign_in(person)
    headers = {**cookie_of(api, jar), **PAGE}
    answer = await api.login(await api.person(), transport=transport, headers=headers)
    assert answer.status_code == 200
    row = await api.row(jar)
    assert row["revoke_reason"] == "replaced"
    new = await api.sql.fetchrow(
        "select created_at from sessions where id = $1", UUID(answer.json()["sessionId"])
    )
    assert row["revoked_at"] == new["created_at"], "in the same transaction"
    assert await api.goes_inactive(jar.access_token, on=1)
    assert (await api.row(other))["revoked_at"] is None
    dead = await api.login(person, transport=transport, headers=headers)
    assert dead.status_code == 200


async def test_WB_13_a_failed_login_leaves_the_session_of_the_cookie_alone(api, person, jar):
    headers = {**cookie_of(api, jar), **PAGE}
    answer = await api.login(replace(person, password="wrong-wrong-wrong"), headers=headers)
    refusal = (401, "invalid_credentials", "account: wrong password")
    assert await api.refusal(answer) == refusal
    assert (await send(api, "/auth/refresh", jar)).status_code == 200


async def test_WB_13_a_login_whose_cookie_came_from_nowhere_is_refused_unchecked(api, person, jar):
    """Before the password is looked at: a guess must not learn from the difference."""
    before = await api.sql.fetchval("select count(*) from sessions where user_id = $1", person.id)
    for password in (PASSWORD, "wrong-wrong-wrong"):
        guesser = replace(person, password=password)
        answer = await api.login(guesser, headers=cookie_of(api, jar))
        assert await api.refusal(answer) == NO_ORIGIN
    after = await api.sql.fetchval("select count(*) from sessions where user_id = $1", person.id)
    assert before == after
    assert (await api.row(jar))["revoked_at"] is None


async def test_WB_13_another_clients_cookie_is_not_looked_at(api, person, jar):
    """Named for `shop`, the cookie of `app` is as good as none."""
    headers = {**cookie_of(api, jar), "origin": OTHER_ORIGIN}
    answer = await api.post("/auth/refresh", client="shop", headers=headers)
    detail = "session credential: none"
    assert await api.refusal(answer) == (401, "invalid_grant", detail)
    assert (await api.login(person, client="shop", headers=headers)).status_code == 200
    assert (await api.row(jar))["revoked_at"] is None


async def test_WB_13_two_clients_of_two_servers_live_in_one_jar(loopback):
    """Cookies know no ports: `localhost` has one jar for everything that runs there."""
    shared = CookieJar()
    people = [await api.person() for api in loopback]
    pages = {"app": ORIGIN, "shop": OTHER_ORIGIN}
    browsers = [
        httpx2.AsyncClient(base_url=api.replicas[0].url, cookies=shared, timeout=20)
        for api in loopback
    ]

    async def use(server, client, path, **members):
        headers = {"origin": pages[client], "x-keyturn-client": client}
        return await browsers[server].post(f"/auth/{path}", json=members, headers=headers)

    places = [(server, client) for server in (0, 1) for client in pages]
    tokens = {}
    for server, client in places:
        who = {"email": people[server].email, "password": PASSWORD, "transport": "cookie"}
        answer = await use(server, client, "login", **who)
        assert answer.status_code == 200, answer.text
        tokens[server, client] = answer.json()
    assert len({cookie.name for cookie in shared}) == 4
    for _ in range(2):
        for server, client in places:
            answer = await use(server, client, "refresh")
            assert answer.status_code == 200, answer.text
            claims = claims_of(answer.json()["accessToken"])
            assert (claims["sub"], claims["client_id"]) == (str(people[server].id), client)
            assert claims["iss"] == loopback[server].issuer
            assert claims["sid"] == tokens[server, client]["sessionId"]
    assert (await use(0, "app", "logout")).status_code == 204
    assert len({cookie.name for cookie in shared}) == 3
    assert (await use(0, "app", "refresh")).status_code == 401
    for server, client in places[1:]:
        assert (await use(server, client, "refresh")).status_code == 200
    for browser in browsers:
        await browser.aclose()


# -- WB-14: a recent proof for what changes the account ----------------------------------------


@pytest.mark.parametrize("transport", ["cookie", "body"])
async def test_WB_14_a_new_password_needs_a_proof_of_the_last_five_minutes(api, person, transport):
    device = await (sign_in(api, person) if transport == "cookie" else api.sign_in(person))

    async def call(path, **members):
        if transport == "cookie":
            return await send(api, path, device, members)
        return await api.post(path, {**device.credential, **members}, headers=PAGE)

    await api.set(device, "auth_time = now() - interval '301 seconds'")
    answer = await call("/auth/password", newPassword="a new one, quite long")
    refusal = (401, "insufficient_user_authentication", "password: the proof is too old")
    assert await api.refusal(answer) == refusal
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="keyturn", error="insufficient_user_authentication",'
        ' error_description="A more recent sign-in is required.", max_age="300"'
    )
    assert (await api.login(person)).status_code == 200
    wrong = await call("/auth/reauthenticate", password="wrong-wrong-wrong")
    assert await api.refusal(wrong) == (401, "invalid_credentials", "account: wrong password")
    assert (await api.refusal(await call("/auth/password", newPassword="x" * 20))) == refusal
    assert (await call("/auth/reauthenticate", password=PASSWORD)).status_code == 200
    answer = await call("/auth/password", newPassword="a new one, quite long")
    assert answer.status_code == 204
    changed = replace(person, password="a new one, quite long")
    assert (await api.login(changed)).status_code == 200
    assert (await api.login(person)).status_code == 401


async def test_WB_14_just_inside_of_five_minutes_is_recent(api, person):
    device = await api.sign_in(person)
    await api.set(device, "auth_time = now() - interval '290 seconds'")
    body = device.credential | {"newPassword": "a new one, quite long"}
    assert (await api.post("/auth/password", body)).status_code == 204


async def test_WB_14_a_refresh_is_no_proof(api, person):
    device = await api.sign_in(person)
    await api.set(device, "auth_time = now() - interval '10 minutes'")
    current = await api.rotated(device)
    assert claims_of(current.access_token)["acr"] == "urn:keyturn:acr:session"
    body = current.credential | {"newPassword": "a new one, quite long"}
    refusal = await api.refusal(await api.post("/auth/password", body))
    assert refusal[:2] == (401, "insufficient_user_authentication")
    age = await api.sql.fetchval(
        "select now() - auth_time from sessions where id = $1", device.session_id
    )
    assert age.total_seconds() >= 600
