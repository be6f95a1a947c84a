"""An API that checks keyturn's access tokens offline: no call to keyturn on any request.

    ISSUER=http://localhost:8080 AUDIENCE=https://api.example.com uvicorn main:app --port 8082

The verifier fetches keys and the status list in the background. It goes on answering when keyturn
is down, and refuses the tokens of a session within seconds of its end.
"""

import os
from itertools import count

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyturn_verifier import AccessToken, Verifier
from keyturn_verifier.asgi import AuthMiddleware
from keyturn_verifier.step_up import require_max_age

ISSUER = os.environ.get("ISSUER", "http://localhost:8080")
AUDIENCE = os.environ.get("AUDIENCE", "https://api.example.com")
ORIGIN = os.environ.get("ORIGIN", "http://localhost:8084")
"""Whose pages may call this API."""

PROOF_AGE = 300
"""Seconds for which a proof of the person is good enough to pay with."""
LARGE, LARGE_PROOF_AGE = 1000, 30
"""From this amount on the proof has to be this fresh."""
MOST_ORDERS, LONGEST_ITEM = 20, 40

verifier = Verifier(ISSUER, AUDIENCE)
placed: dict[str, list[dict[str, object]]] = {}
"""The orders of each person, the latest last; gone at the end, as this is an example."""
numbers = count(2)


async def read_orders(request: Request) -> Response:
    """GET /orders: what the signed-in person ordered."""
    token: AccessToken = request.auth
    token.require_scopes("orders.read")
    return _orders(token.subject)


async def place_order(request: Request) -> Response:
    """POST /orders `{item}`: order something; answers with all orders."""
    token: AccessToken = request.auth
    token.require_scopes("orders.write")
    item = (await _body(request)).get("item")
    if not isinstance(item, str) or not 0 < len(item) <= LONGEST_ITEM:
        return JSONResponse({"error": "item: 1 to 40 characters"}, 400)
    orders = placed.setdefault(token.subject, [])
    orders.append({"id": next(numbers), "item": item})
    del orders[:-MOST_ORDERS]
    return _orders(token.subject)


async def pay(request: Request) -> Response:
    """POST /payments `{amount}`: for a person who proved themselves a moment ago (RFC 9470)."""
    token: AccessToken = request.auth
    token.require_scopes("orders.write")
    amount = (await _body(request)).get("amount")
    if not isinstance(amount, int | float) or not 0 < amount < 10 * LARGE:
        return JSONResponse({"error": "amount: above 0, below 10000"}, 400)
    require_max_age(token, LARGE_PROOF_AGE if amount >= LARGE else PROOF_AGE)
    return JSONResponse({"paid": amount})


async def ready(_request: Request) -> Response:
    """GET /ready: whether the keys are here, without which no token can be checked."""
    known = verifier.jwks_age is not None
    return JSONResponse({"ready": known}, 200 if known else 503)


def _orders(person: str) -> Response:
    return JSONResponse(
        {"orders": [{"id": 1, "item": "a key"}, *placed.get(person, ())], "user": person}
    )


async def _body(request: Request) -> dict[str, object]:
    """Return the JSON object of a request; an empty one for anything else."""
    try:
        body = await request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


cors = Middleware(
    CORSMiddleware,
    allow_origins=[ORIGIN],
    allow_methods=["GET", "POST"],
    allow_headers=["Authorization", "Content-Type"],
    expose_headers=["WWW-Authenticate", "Retry-After"],  # what a client has to read of a refusal
    max_age=600,
)
app = Starlette(
    routes=[
        Route("/orders", read_orders),
        Route("/orders", place_order, methods=["POST"]),
        Route("/payments", pay, methods=["POST"]),
        Route("/ready", ready),
    ],
    middleware=[cors, Middleware(AuthMiddleware, verifier, optional=("/ready",))],
)
