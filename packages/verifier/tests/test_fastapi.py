"""The FastAPI dependency: what it demands, and what the OpenAPI document says of it."""

from typing import Annotated

import httpx2
import pytest

from keyturn_verifier import AccessToken
from keyturn_verifier.asgi import AuthMiddleware
from keyturn_verifier.testing import FakeIssuer

fastapi = pytest.importorskip("fastapi")


@pytest.fixture
def issuer():
    return FakeIssuer()


@pytest.fixture
def app(issuer):
    from keyturn_verifier.fastapi import require

    app = fastapi.FastAPI()
    clock = issuer.clock

    @app.get("/orders")
    async def orders(token: Annotated[AccessToken, require("orders:read")]) -> str:
        return token.subject

    @app.post("/payments")
    async def pay(
        token: Annotated[AccessToken, require("pay", "orders:read", max_age=300, clock=clock)],
    ) -> str:
        return token.subject

    @app.get("/maybe")
    async def maybe(token: Annotated[AccessToken, require()]) -> str:
        return token.subject

    return app


@pytest.fixture
async def client(app, issuer):
    async with issuer.verifier() as verifier:
        app.add_middleware(AuthMiddleware, verifier=verifier, optional=("/maybe",))
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="https://api.test") as client:
            yield client


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


async def test_a_route_is_handed_the_token(client, issuer):
    token = issuer.token("orders:read", subject="ada")
    answer = await client.get("/orders", headers=bearer(token))
    assert (answer.status_code, answer.json()) == (200, "ada")


async def test_a_route_refuses_what_lacks_its_scopes(client, issuer):
    answer = await client.get("/orders", headers=bearer(issuer.token("other")))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert 'scope="orders:read"' in answer.headers["www-authenticate"]
    assert (await client.get("/orders")).status_code == 401


async def test_a_route_asks_for_a_fresh_proof_of_the_person(client, issuer):
    token = issuer.token("pay", "orders:read")
    assert (await client.post("/payments", headers=bearer(token))).status_code == 200
    await issuer.pass_time(306)
    answer = await client.post("/payments", headers=bearer(token))
    assert answer.status_code == 401
    assert 'max_age="300"' in answer.headers["www-authenticate"]


async def test_a_route_that_needs_a_token_needs_it_on_an_optional_path_too(client):
    answer = await client.get("/maybe")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_the_document_shows_what_each_route_needs(app):
    document = app.openapi()
    schemes = document["components"]["securitySchemes"]
    assert schemes == {"AccessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    assert document["paths"]["/orders"]["get"]["security"] == [{"AccessToken": ["orders:read"]}]
    assert document["paths"]["/payments"]["post"]["security"] == [
        {"AccessToken": ["pay", "orders:read"]}
    ]


async def test_a_forgotten_middleware_is_an_error_and_no_open_door(app):
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://api.test") as client:
        with pytest.raises(RuntimeError, match="AuthMiddleware"):
            await client.get("/orders")
