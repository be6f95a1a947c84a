"""The page that says which part to take is run, not only read."""

import re
import sys
from pathlib import Path

import httpx2
import pytest

from keyturn_verifier import Verifier
from keyturn_verifier import sync as sync_module
from keyturn_verifier.testing import FakeIssuer

PAGE = (Path(__file__).parents[3] / "docs" / "protecting-an-api.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ISSUER, AUDIENCE = "https://id.example.com", "https://api.example.com"


def executed(block, **given):
    names = dict(given)
    exec(block, names)
    return names


@pytest.fixture
def issuer():
    return FakeIssuer(ISSUER, AUDIENCE)


async def status(app, path, token, method="GET"):
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url=AUDIENCE) as client:
        headers = {"Authorization": f"Bearer {token}"}
        return (await client.request(method, path, headers=headers)).status_code


async def test_the_fastapi_example_works(issuer, monkeypatch):
    pytest.importorskip("fastapi")
    module = sys.modules["keyturn_verifier"]
    monkeypatch.setattr(
        module, "Verifier", lambda *given: Verifier(*given, fetch=issuer.fetch, clock=issuer.clock)
    )
    names = executed(BLOCKS[0])
    async with names["verifier"]:
        assert await status(names["app"], "/orders", issuer.token("orders.read")) == 200
        assert await status(names["app"], "/orders", issuer.token("other")) == 403
        long_ago = issuer.token("orders.write", claims={"auth_time": 1})
        assert await status(names["app"], "/payments", long_ago, "POST") == 401


def test_the_flask_example_works(monkeypatch):
    pytest.importorskip("flask")
    issuer = FakeIssuer(ISSUER, AUDIENCE)
    tokens = sync_module.SyncVerifier
    monkeypatch.setattr(
        sync_module,
        "SyncVerifier",
        lambda *given, **options: tokens(*given, **options, fetch=issuer.fetch, clock=issuer.clock),
    )
    names = executed(BLOCKS[1], __name__="example")
    names["app"].get("/orders")(lambda: names["g"].token.subject)
    client = names["app"].test_client()
    answer = client.get("/orders", headers={"Authorization": f"Bearer {issuer.token()}"})
    assert (answer.status_code, answer.text) == (200, "user-1")
    refused = client.get("/orders")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    names["tokens"].close()


async def test_the_example_of_a_test_works(issuer):
    pytest.importorskip("fastapi")
    app = executed("from fastapi import FastAPI\napp = FastAPI()")["app"]
    from keyturn_verifier.asgi import AuthMiddleware

    names = executed(BLOCKS[2], app=app, AuthMiddleware=AuthMiddleware)
    app.get("/orders")(lambda: "orders")
    token = names["headers"]["Authorization"].removeprefix("Bearer ")
    assert await status(app, "/orders", token) == 200
    assert await status(app, "/orders", "rubbish") == 401
