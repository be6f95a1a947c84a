"""The middleware as callers and applications see it: any ASGI application, real tokens."""

import asyncio
import json

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from keyturn_verifier import InsufficientScope, Unavailable
from keyturn_verifier.asgi import POLICY_VIOLATION, AuthMiddleware
from keyturn_verifier.dpop import Dpop
from keyturn_verifier.dpop_memory import Nonces
from keyturn_verifier.resource_metadata import ProtectedResource
from keyturn_verifier.step_up import require_acr, require_max_age
from keyturn_verifier.testing import FakeIssuer, ProofKey

API = "https://api.example.test"


@pytest.fixture
def issuer():
    return FakeIssuer()


@pytest.fixture
async def verifier(issuer):
    async with issuer.verifier() as verifier:
        yield verifier


async def echo(scope, receive, send):
    """Answer with whose request it is."""
    token = scope["auth"]
    body = json.dumps(None if token is None else token.subject).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def get(app, path="/orders", *, method="GET", headers=()):
    transport = httpx2.ASGITransport(app, raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url=API) as client:
        return await client.request(method, path, headers=list(headers))


def bearer(token):
    return [("Authorization", f"Bearer {token}")]


async def test_the_application_is_told_whose_request_it_is(issuer, verifier):
    app = AuthMiddleware(echo, verifier)
    answer = await get(app, headers=bearer(issuer.token(subject="ada")))
    assert (answer.status_code, answer.json()) == (200, "ada")


async def test_no_request_passes_without_a_token(verifier):
    answer = await get(AuthMiddleware(echo, verifier))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_token_in_the_query_string_is_none(issuer, verifier):
    answer = await get(AuthMiddleware(echo, verifier), f"/orders?access_token={issuer.token()}")
    assert answer.status_code == 401
    assert "error=" not in answer.headers["www-authenticate"]


async def test_two_authorization_headers_are_refused_even_when_equal(issuer, verifier):
    answer = await get(AuthMiddleware(echo, verifier), headers=bearer(issuer.token()) * 2)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/health/live", 200),
        ("/healthy", 401),
        ("/", 401),
        ("/health/../orders", 401),
        ("/health//orders", 401),
        ("/health/%2e%2e/orders", 401),
        ("/health/%252e%252e/orders", 401),
    ],
)
async def test_a_token_is_optional_where_the_api_says_so(verifier, path, status):
    app = AuthMiddleware(echo, verifier, optional=("/health",))
    scope = {"type": "http", "method": "GET", "path": path.replace("%2e", "."), "headers": []}
    sent = await exchanged(app, scope)
    assert sent[0]["status"] == status


async def test_a_bad_token_is_refused_where_it_is_optional_too(issuer, verifier):
    app = AuthMiddleware(echo, verifier, optional=("/",))
    assert (await get(app)).json() is None
    answer = await get(app, headers=bearer(issuer.token(lifetime=-60)))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


async def test_what_the_application_refuses_is_put_into_a_challenge(issuer, verifier):
    async def orders(request):
        request.auth.require_scopes("orders:write")

    async def payments(request):
        require_max_age(request.auth, 300, clock=issuer.clock)
        require_acr(request.auth, "urn:gold")

    app = Starlette(routes=[Route("/orders", orders), Route("/payments", payments)])
    app.add_middleware(AuthMiddleware, verifier=verifier)
    answer = await get(app, headers=bearer(issuer.token("orders:read")))
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="orders:write"' in answer.headers["www-authenticate"]
    answer = await get(app, "/payments", headers=bearer(issuer.token()))
    assert answer.status_code == 401
    assert 'acr_values="urn:gold"' in answer.headers["www-authenticate"]
    token = issuer.token()
    await issuer.pass_time(306)
    answer = await get(app, "/payments", headers=bearer(token))
    assert 'max_age="300"' in answer.headers["www-authenticate"]
    assert answer.json()["error"] == "insufficient_user_authentication"


async def test_an_answer_that_has_begun_is_not_begun_again(issuer, verifier):
    async def late(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise InsufficientScope(["a"])

    app = AuthMiddleware(late, verifier)
    with pytest.raises(InsufficientScope):
        await get(app, headers=bearer(issuer.token()))


async def test_trouble_of_the_issuer_is_not_the_callers_fault(issuer):
    issuer.go_away()
    async with issuer.verifier() as verifier:
        answer = await get(AuthMiddleware(echo, verifier), headers=bearer(issuer.token()))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "www-authenticate" not in answer.headers


async def test_why_a_request_was_refused_is_logged_without_the_token(issuer, verifier, caplog):
    token = issuer.token(claims={"aud": "https://other.test"})
    with caplog.at_level("INFO", "keyturn_verifier"):
        await get(AuthMiddleware(echo, verifier), headers=bearer(token))
    assert "audience" in caplog.text
    assert not any(part in caplog.text for part in token.split("."))


RESOURCE = ProtectedResource(f"{API}/v1", ["https://id.example.test"], ["orders:read"])


async def test_the_api_describes_itself_to_whoever_asks(verifier):
    app = AuthMiddleware(echo, verifier, resource=RESOURCE)
    answer = await get(app, "/.well-known/oauth-protected-resource/v1")
    assert answer.json() == {
        "resource": f"{API}/v1",
        "authorization_servers": ["https://id.example.test"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["orders:read"],
    }
    assert answer.headers["access-control-allow-origin"] == "*"
    where = f'resource_metadata="{API}/.well-known/oauth-protected-resource/v1"'
    assert where in (await get(app)).headers["www-authenticate"]
    assert (await get(app, RESOURCE.path, method="POST")).status_code == 401


@pytest.fixture
def key(issuer):
    return ProofKey(issuer.clock)


def possessed(issuer, key, method="GET", path="/orders", token=None, **claims):
    token = token or issuer.token(claims={"cnf": {"jkt": key.jkt}})
    proof = key.proof(method, API + path, token, **claims)
    return [("Authorization", f"DPoP {token}"), ("DPoP", proof)]


async def test_a_bound_token_needs_its_key(issuer, verifier, key):
    app = AuthMiddleware(echo, verifier, dpop=Dpop(API, clock=issuer.clock))
    good = possessed(issuer, key)
    assert (await get(app, headers=good)).status_code == 200
    again = await get(app, headers=good)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_dpop_proof")
    bound = good[0][1].removeprefix("DPoP ")
    stolen = {
        "as a bearer token": (bearer(bound), "invalid_token"),
        "without a proof": (good[:1], "invalid_dpop_proof"),
        "by the thief's key": (
            possessed(issuer, ProofKey(issuer.clock), token=bound),
            "invalid_token",
        ),
        "with another request's proof": (
            possessed(issuer, key, "POST", token=bound),
            "invalid_dpop_proof",
        ),
        "with a proof of another token": (
            [good[0], possessed(issuer, key)[1]],
            "invalid_dpop_proof",
        ),
    }
    for how, (headers, error) in stolen.items():
        answer = await get(app, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, error), how
    answer = await get(app, headers=possessed(issuer, key, token=issuer.token()))
    assert answer.json()["error"] == "invalid_token", "a token that is bound to no key"
    challenge = (await get(app, headers=good[:1])).headers["www-authenticate"]
    assert challenge.startswith('Bearer, DPoP error="invalid_dpop_proof"')
    assert 'algs="ES256 ' in challenge
    assert (await get(app, headers=bearer(issuer.token()))).status_code == 200


async def test_a_refused_token_leaves_its_proof_unused(issuer, verifier, key):
    """Nobody without a good token fills the memory of proofs."""
    dpop = Dpop(API, clock=issuer.clock)
    app = AuthMiddleware(echo, verifier, dpop=dpop)
    expired = issuer.token(lifetime=-60, claims={"cnf": {"jkt": key.jkt}})
    answer = await get(app, headers=possessed(issuer, key, token=expired, jti="one"))
    assert answer.json()["error"] == "invalid_token"
    assert (await get(app, headers=possessed(issuer, key, jti="one"))).status_code == 200


async def test_without_dpop_no_bound_token_passes(issuer, verifier, key):
    app = AuthMiddleware(echo, verifier)
    answer = await get(app, headers=possessed(issuer, key))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_nonce_is_asked_for_and_brought(issuer, verifier, key):
    nonces = Nonces(b"n" * 32, issuer.clock)
    app = AuthMiddleware(echo, verifier, dpop=Dpop(API, clock=issuer.clock, nonces=nonces))
    first = await get(app, headers=possessed(issuer, key))
    assert first.json()["error"] == "use_dpop_nonce"
    nonce = first.headers["dpop-nonce"]
    second = await get(app, headers=possessed(issuer, key, nonce=nonce))
    assert (second.status_code, second.headers["dpop-nonce"]) == (200, nonce)
    assert "dpop-nonce" not in (await get(app, headers=bearer(issuer.token()))).headers


async def exchanged(app, scope, *received):
    """Run one connection; return all that the application sent."""
    waiting, sent = list(received), []

    async def receive():
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    async with asyncio.timeout(30):
        await app(scope, receive, send)
    return sent


def handshake(headers=(), **more):
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return {"type": "websocket", "path": "/live", "headers": raw, **more}


CONNECT = {"type": "websocket.connect"}


async def greet(scope, receive, send):
    await receive()
    scope["auth"].require_scopes("live")
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["auth"].subject})


async def test_a_websocket_is_accepted_with_a_token(issuer, verifier):
    app = AuthMiddleware(greet, verifier)
    sent = await exchanged(app, handshake(bearer(issuer.token("live"))), CONNECT)
    assert [one["type"] for one in sent] == ["websocket.accept", "websocket.send"]


async def test_a_websocket_is_closed_before_it_opens(issuer, verifier):
    app = AuthMiddleware(greet, verifier)
    for headers in ((), bearer(issuer.token(lifetime=-60)), bearer(issuer.token("other"))):
        sent = await exchanged(app, handshake(headers), CONNECT)
        assert sent == [{"type": "websocket.close", "code": POLICY_VIOLATION}]


async def test_a_websocket_is_refused_in_words_where_the_server_can(issuer, verifier):
    app = AuthMiddleware(greet, verifier)
    scope = handshake(extensions={"websocket.http.response": {}})
    start, body = await exchanged(app, scope, CONNECT)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert json.loads(body["body"])["error"] == "invalid_token"


async def lives(scope, receive, send):
    for moment in ("startup", "shutdown"):
        assert (await receive())["type"] == f"lifespan.{moment}"
        await send({"type": f"lifespan.{moment}.complete"})


LIFE = ({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})


async def test_keys_are_there_before_the_first_request(issuer):
    verifier = issuer.verifier()
    await exchanged(AuthMiddleware(lives, verifier), {"type": "lifespan"}, *LIFE)
    assert issuer.jwks_uri in issuer.fetched
    asked = len(issuer.fetched)
    await issuer.pass_time(3600)
    assert len(issuer.fetched) == asked, "the verifier was closed with the application"


async def test_an_api_starts_without_its_issuer(issuer, caplog):
    issuer.go_away()
    verifier = issuer.verifier()
    sent = await exchanged(AuthMiddleware(lives, verifier), {"type": "lifespan"}, *LIFE)
    assert [one["type"] for one in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert "cannot be checked yet" in caplog.text


async def test_starlette_calls_the_token_auth(issuer, verifier):
    async def whoami(request):
        return JSONResponse(request.auth.subject)

    inner = Starlette(routes=[Route("/orders", whoami)])
    inner.add_middleware(AuthMiddleware, verifier=verifier)
    assert (await get(inner, headers=bearer(issuer.token(subject="ada")))).json() == "ada"
    assert (await get(inner)).status_code == 401


async def test_litestar_is_an_asgi_application_like_any(issuer, verifier):
    litestar = pytest.importorskip("litestar")

    @litestar.get("/orders")
    async def orders(request: litestar.Request) -> str:
        return request.scope["auth"].subject

    orders.__annotations__["request"] = litestar.Request
    app = AuthMiddleware(litestar.Litestar([orders], openapi_config=None), verifier)
    assert (await get(app, headers=bearer(issuer.token(subject="ada")))).text == "ada"
    assert (await get(app)).status_code == 401


async def test_unavailable_from_below_is_answered_too(issuer, verifier):
    async def away(scope, receive, send):
        raise Unavailable("something else")

    answer = await get(AuthMiddleware(away, verifier), headers=bearer(issuer.token()))
    assert answer.status_code == 503
