"""An API that checks keyturn's access tokens offline: no call to keyturn on any request.

    ISSUER=http://localhost:8080 AUDIENCE=https://api.example.com uvicorn main:app --port 8082

The JWKS is fetched in the background and kept while keyturn is away, so this API goes on
answering when keyturn is down. What every such API must check is in `check`: algorithm, type,
signature, issuer, audience, expiry.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ISSUER = os.environ.get("ISSUER", "http://localhost:8080")
AUDIENCE = os.environ.get("AUDIENCE", "https://api.example.com")
REFRESH_SECONDS = 300
RETRY_SECONDS = 2

CLAIMS = jwt.JWTClaimsRegistry(
    leeway=60,
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "value": AUDIENCE},
    exp={"essential": True},
    sub={"essential": True},
)


class Keys:
    """keyturn's public keys: fetched in the background, kept while keyturn is away."""

    def __init__(self) -> None:
        self.known: KeySet | None = None

    async def keep_fresh(self) -> None:
        """Fetch the JWKS for ever; an outage leaves the known keys in place."""
        async with httpx2.AsyncClient(timeout=5) as client:
            while True:
                pause = REFRESH_SECONDS
                try:
                    answer = await client.get(f"{ISSUER}/.well-known/jwks.json")
                    self.known = KeySet.import_key_set(answer.raise_for_status().json())
                except (httpx2.HTTPError, JoseError, ValueError) as error:
                    print(f"JWKS: {type(error).__name__}; trying again", flush=True)  # noqa: T201
                    pause = RETRY_SECONDS if self.known is None else REFRESH_SECONDS // 10
                await asyncio.sleep(pause)


keys = Keys()


def check(token: str) -> dict[str, object]:
    """Return the claims of a good access token; raise `JoseError` or `ValueError` otherwise."""
    if keys.known is None:
        raise ValueError("no keys yet")
    decoded = jwt.decode(token, keys.known, algorithms=["RS256"])
    if decoded.header.get("typ") != "at+jwt":
        raise ValueError("not an access token")
    if "cnf" in decoded.claims:
        # Bound to a key (RFC 9449): without a check of the proof it would be good for a thief, too.
        raise ValueError("bound to a key, whose proof this example does not check")
    CLAIMS.validate(decoded.claims)
    return dict(decoded.claims)


async def orders(request: Request) -> Response:
    """GET /orders: what the signed-in person ordered."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        claims = check(token if scheme.lower() == "bearer" else "")
    except (JoseError, ValueError):
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return JSONResponse({"error": "invalid_token"}, 401, challenge)
    return JSONResponse({"orders": [{"id": 1, "item": "a key"}], "user": claims["sub"]})


async def ready(_request: Request) -> Response:
    """GET /ready: whether the keys are here."""
    return JSONResponse({"ready": keys.known is not None}, 200 if keys.known else 503)


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Keep the keys fresh while the API runs."""
    task = asyncio.create_task(keys.keep_fresh())
    yield
    task.cancel()


app = Starlette(routes=[Route("/orders", orders), Route("/ready", ready)], lifespan=lifespan)
