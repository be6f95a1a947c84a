"""A tiny verifier behind a proxy: nginx `auth_request`, Traefik and Caddy forward authentication.

    python -m keyturn_verifier.forward_auth --issuer https://id.example.com \
        --audience https://api.example.com --port 8090

The proxy asks with the caller's `Authorization`. 200 lets the request pass and says whose it is in
`X-Auth-...` headers, for the proxy to hand on; 401 and 403 refuse it, with a challenge to hand
back; 503: nothing can be said. Path and query are the proxy's own, never the caller's, and say what
a route needs: `/?scope=orders.read&max_age=300`. `/health`, and nothing below it, answers 200
without a token: a proxy that appends the caller's path must put one of its own before it.

Every `X-Auth-...` header is always answered, so handing them on overwrites what a caller wrote.
Bearer tokens only: a proof of possession names an address that this process does not know. It
listens on loopback unless told otherwise, since whoever reaches it may try tokens.
"""

import argparse
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, quote

from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.asgi import App, AuthMiddleware, Message, Receive, Scope, Send
from keyturn_verifier.clock import Clock
from keyturn_verifier.credentials import InvalidRequest
from keyturn_verifier.step_up import SYSTEM, require_max_age
from keyturn_verifier.verifier import Verifier

HEALTH = "/health"
LONGEST_AGE = 9
"""Digits of a `max_age`: thirty years."""
HEADERS = ("X-Auth-Subject", "X-Auth-Client", "X-Auth-Scope", "X-Auth-Session", "X-Auth-Time")
_PLAIN = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"


def forward_auth(verifier: Verifier, clock: Clock = SYSTEM) -> App:
    """Return the ASGI application that answers the proxy."""
    guarded = AuthMiddleware(_Answering(clock), verifier)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == HEALTH:
            await _let_pass(send, None)
            return

        async def refuse(message: Message) -> None:
            # nginx makes 500 of every refusal but 401 and 403.
            unreadable = message.get("status") == HTTPStatus.BAD_REQUEST
            await send({**message, "status": 401} if unreadable else message)

        await guarded(scope, receive, refuse)

    return app


@dataclass(frozen=True)
class _Answering:
    clock: Clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        token = scope["auth"]
        query = scope["query_string"].decode("latin-1")
        self._require(token, parse_qs(query, keep_blank_values=True))
        await _let_pass(send, token)

    def _require(self, token: AccessToken, asked: dict[str, list[str]]) -> None:
        """Raise `InsufficientScope` or `StepUpRequired` when the route needs what is not there."""
        token.require_scopes(*" ".join(asked.get("scope", [])).split())
        for seconds in asked.get("max_age", []):
            if not (seconds.isascii() and seconds.isdecimal() and len(seconds) <= LONGEST_AGE):
                # Refused rather than failed at: what fails here, some proxies let pass.
                raise InvalidRequest("max_age: no number of seconds")
            require_max_age(token, int(seconds), clock=self.clock)


async def _let_pass(send: Send, token: AccessToken | None) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in identity(token).items()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body"})


def identity(token: AccessToken | None) -> dict[str, str]:
    """Return who a request is by, as headers that no claim can break out of; empty for nobody.

    A line break in a claim would be a header of its own; a space at its end would get lost, and
    somebody else's subject be left.
    """
    if token is None:
        return dict.fromkeys(HEADERS, "")

    def safe(value: str) -> str:
        return quote(value, safe=_PLAIN)

    said = (
        safe(token.subject),
        safe(token.client_id),
        " ".join(safe(one) for one in sorted(token.scopes)),
        safe(token.session_id or ""),
        "" if token.auth_time is None else str(token.auth_time),
    )
    return dict(zip(HEADERS, said, strict=True))


async def _live(receive: Receive, send: Send) -> None:
    for moment in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{moment}.complete"})


def main() -> None:
    """Serve until stopped; needs uvicorn."""
    parser = argparse.ArgumentParser(description="Verify access tokens for a proxy.")
    parser.add_argument("--issuer", required=True, help="whose tokens: https://id.example.com")
    parser.add_argument("--audience", required=True, help="what they must be for")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (loopback)")
    parser.add_argument("--port", type=int, default=8090, help="where to listen (8090)")
    asked = parser.parse_args()
    try:
        import uvicorn  # noqa: PLC0415 - any ASGI server will do; this command is the only user
    except ModuleNotFoundError:
        parser.error("needs uvicorn: pip install uvicorn")
    app = forward_auth(Verifier(asked.issuer, asked.audience))
    uvicorn.run(app, host=asked.host, port=asked.port)


if __name__ == "__main__":
    main()
