"""WB-11: which pages may read which answers."""

from dataclasses import dataclass, replace

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyturn import paths
from keyturn.clients.model import Client
from keyturn.errors import InvalidGrant, Throttled, Unavailable
from keyturn.web.cors import Cors
from keyturn.web.request_notes import note_client
from keyturn.web.responses import error_handlers, json_bytes
from support.asgi import a_client

APP, OTHER, EVIL = "https://app.example", "https://other.example", "https://evil.example"
SPA, SECOND = a_client("spa", APP), a_client("second", OTHER)
STRANGE = "https://strange.example"
STRANGER = replace(a_client("dyn-x", STRANGE), session_api=False)


@dataclass
class Registered:
    clients: tuple[Client, ...] = (SPA, SECOND)

    def last_active(self, client_id: str) -> Client | None:
        return next((one for one in self.clients if one.id == client_id), None)

    @property
    def last_first_party(self) -> tuple[Client, ...]:
        return tuple(one for one in self.clients if one.session_api)

    @property
    def last_origins(self) -> frozenset[str] | None:
        listed = [one.origins for one in self.clients]
        return frozenset().union(*listed) if listed else None


FAILURES = {
    "400": InvalidGrant("x"),
    "429": Throttled("x", retry_after=3),
    "503": Unavailable("x"),
    "500": RuntimeError("x"),
}


async def door(request: Request) -> Response:
    if client_id := request.query_params.get("client"):
        note_client(request.scope, {"spa": SPA, "second": SECOND}[client_id])
    if failure := request.query_params.get("fail"):
        raise FAILURES[failure]
    return json_bytes({"ok": True})


@pytest.fixture
def registered() -> Registered:
    return Registered()


@pytest.fixture
async def browser(registered: Registered):
    documents = (paths.JWKS, paths.OAUTH_METADATA)
    places = (paths.TOKEN, paths.REVOKE, paths.PAR, paths.INTROSPECT, *documents)
    routes = [
        Route(path, door, methods=["GET", "POST"])
        for path in (*places, paths.REFRESH, paths.ME, "/elsewhere")
    ]
    app = Cors(Starlette(routes=routes, exception_handlers=error_handlers()), registered)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="https://id.example") as client:
        yield client


def preflight(origin: str) -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": "POST"}


ALLOWED, CREDENTIALS = "access-control-allow-origin", "access-control-allow-credentials"


@pytest.mark.parametrize("path", [paths.JWKS, paths.OAUTH_METADATA])
async def test_WB_11_public_documents_are_everybody_s_without_credentials(browser, path):
    answer = await browser.get(path, headers={"Origin": EVIL})
    assert answer.headers.get_list(ALLOWED) == ["*"]
    assert CREDENTIALS not in answer.headers


@pytest.mark.parametrize("path", [paths.TOKEN, paths.REVOKE, paths.PAR])
async def test_WB_11_protocol_answers_are_the_client_s_pages_without_credentials(browser, path):
    own = await browser.post(path, params={"client": "spa"}, headers={"Origin": APP})
    assert own.headers[ALLOWED] == APP
    assert own.headers["vary"] == "Origin"
    assert CREDENTIALS not in own.headers
    foreign = await browser.post(path, params={"client": "spa"}, headers={"Origin": OTHER})
    assert ALLOWED not in foreign.headers
    assert foreign.headers["vary"] == "Origin"


async def test_WB_11_before_the_client_is_known_its_pages_may_still_read_the_error(browser):
    answer = await browser.post(paths.TOKEN, params={"fail": "400"}, headers={"Origin": APP})
    assert (answer.status_code, answer.headers[ALLOWED]) == (400, APP)


@pytest.mark.parametrize("path", [paths.INTROSPECT, "/elsewhere"])
async def test_WB_11_elsewhere_no_page_reads_anything(browser, path):
    answer = await browser.post(path, headers={"Origin": APP})
    asked = await browser.options(path, headers=preflight(APP))
    for one in (answer, asked):
        assert not [name for name in one.headers if name.startswith("access-control")]


async def test_WB_11_the_session_api_allows_credentials_to_the_named_client_s_pages(browser):
    headers = {"X-Keyturn-Client": "spa"}
    own = await browser.post(paths.REFRESH, headers={**headers, "Origin": APP})
    assert (own.headers[ALLOWED], own.headers[CREDENTIALS]) == (APP, "true")
    exposed = "WWW-Authenticate, DPoP-Nonce, Retry-After, Date"
    assert own.headers["access-control-expose-headers"] == exposed
    for origin in (OTHER, EVIL, "null", "https://APP.example"):
        foreign = await browser.post(paths.REFRESH, headers={**headers, "Origin": origin})
        assert ALLOWED not in foreign.headers
        assert CREDENTIALS not in foreign.headers


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("path", [paths.REFRESH, paths.TOKEN])
async def test_WB_11_failures_can_be_read_as_well(browser, path, failure):
    """An app that cannot read a 503 takes it for a sign-out."""
    headers = {"X-Keyturn-Client": "spa", "Origin": APP}
    answer = await browser.post(path, params={"fail": failure}, headers=headers)
    assert (str(answer.status_code), answer.headers[ALLOWED]) == (failure, APP)


async def test_WB_11_without_an_origin_the_answer_still_varies_by_it(browser):
    answer = await browser.post(paths.REFRESH, headers={"X-Keyturn-Client": "spa"})
    assert answer.headers["vary"] == "Origin"
    assert ALLOWED not in answer.headers


async def test_WB_11_the_only_client_needs_no_name(browser, registered):
    registered.clients = (SPA,)
    answer = await browser.post(paths.REFRESH, headers={"Origin": APP})
    assert answer.headers[ALLOWED] == APP


@pytest.mark.parametrize("origin", [APP, OTHER])
async def test_WB_11_a_preflight_is_allowed_for_the_pages_of_any_client(browser, origin):
    answer = await browser.options(paths.REFRESH, headers=preflight(origin))
    assert answer.status_code == 204
    assert (answer.headers[ALLOWED], answer.headers[CREDENTIALS]) == (origin, "true")
    assert "X-Keyturn-Client" in answer.headers["access-control-allow-headers"]
    assert "DELETE" in answer.headers["access-control-allow-methods"]
    assert answer.headers["vary"] == "Origin"


async def test_WB_11_a_client_without_the_session_api_opens_it_to_no_page(browser, registered):
    """Whoever may register a client can name any origin."""
    registered.clients = (SPA, SECOND, STRANGER)
    assert (await browser.options(paths.TOKEN, headers=preflight(STRANGE))).status_code == 204
    asked = await browser.options(paths.REFRESH, headers=preflight(STRANGE))
    assert (asked.status_code, asked.json()["error"]) == (403, "origin_not_allowed")
    answer = await browser.post(paths.REFRESH, headers={"Origin": STRANGE})
    for one in (asked, answer):
        assert ALLOWED not in one.headers


@pytest.mark.parametrize("path", [paths.REFRESH, paths.TOKEN])
@pytest.mark.parametrize("origin", [EVIL, "null", ""])
async def test_WB_11_a_preflight_of_a_stranger_is_refused(browser, path, origin):
    answer = await browser.options(path, headers=preflight(origin))
    assert (answer.status_code, answer.json()["error"]) == (403, "origin_not_allowed")
    assert ALLOWED not in answer.headers
    assert answer.headers["vary"] == "Origin"


async def test_WB_11_a_preflight_of_the_token_endpoint_allows_no_credentials(browser):
    answer = await browser.options(paths.TOKEN, headers=preflight(APP))
    assert answer.headers[ALLOWED] == APP
    assert CREDENTIALS not in answer.headers


async def test_options_that_asks_nothing_is_no_preflight(browser):
    answer = await browser.options(paths.TOKEN, headers={"Origin": APP})
    assert answer.status_code == 405


async def test_with_no_copy_of_the_clients_a_preflight_is_503_and_answers_go_unread(
    browser, registered
):
    registered.clients = ()
    assert (await browser.options(paths.REFRESH, headers=preflight(APP))).status_code == 503
    answer = await browser.post(paths.REFRESH, headers={"Origin": APP, "X-Keyturn-Client": "spa"})
    assert ALLOWED not in answer.headers
