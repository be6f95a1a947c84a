"""A tiny verifier behind a proxy: nginx `auth_request`, Traefik and Caddy forward authentication.

    python -m keyturn_verifier.forward_auth --issuer https://id.example.com \
        --audience https://api.example.com --port 8090

The proxy asks with the caller's `Authorization`. 200 lets the request pass and says whose it is in
`X-Auth-...` headers, for the proxy to hand on; 401 and 403 refuse it, with a challenge to hand back;
503 means that nothing can be said. The query is the proxy's own and says what its route needs:
`/?scope=orders.read&max_age=300`. `/health` answers 200 without a token.

Every `X-Auth-...` header is always answered, so that handing them on overwrites what a caller wrote.
Bearer tokens only: a proof of possession names an address that this process does not know. It
listens on loopback unless told otherwise, since whoever reaches it may try tokens.
"""

import argparse
from urllib.parse import parse_qs, quote

from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.asgi import App, AuthMiddleware, Message, Receive, Scope, Send
from keyturn_verifier.challenges import Answer
from keyturn_verifier.step_up import require_max_age
from keyturn_verifier.verifier import Verifier

HEALTH = "/health"
_PLAIN = "!#$&'()*+,-./:;<=>?@[]^_`{|}~ "


def forward_auth(verifier: Verifier) -> App:
    """Return the ASGI application that answers the proxy."""
    guarded = AuthMiddleware(_answer, verifier, optional=(HEALTH,))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def refuse(message: Message) -> None:
            # nginx knows 401 and 403 only, and makes 500 of any other refusal.
            await send({**message, "status": 401} if message.get("status") == 400 else message)

        await guarded(scope, receive, refuse)

    return app


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    token = scope["auth"]
    if token is not None:
        _require(token, parse_qs(scope["query_string"].decode("latin-1")))
    headers = () if token is None else tuple(identity(token).items())
    answer = Answer(200, (*headers, ("Content-Length", "0"), ("Cache-Control", "no-store")), b"")
    await send(
        {"type": "http.response.start", "status": answer.status, "headers": answer.raw_headers}
    )
    await send({"type": "http.response.body", "body": answer.body})


def _require(token: AccessToken, asked: dict[str, list[str]]) -> None:
    """Raise `InsufficientScope` or `StepUpRequired`: what the proxy asked for is not there."""
    token.require_scopes(*" ".join(asked.get("scope", [])).split())
    for seconds in asked.get("max_age", []):
        require_max_age(token, int(seconds))


def identity(token: AccessToken) -> dict[str, str]:
    """Return who a request is by, as headers that no claim can break out of."""
    said = {
        "X-Auth-Subject": token.subject,
        "X-Auth-Client": token.client_id,
        "X-Auth-Scope": " ".join(sorted(token.scopes)),
        "X-Auth-Session": token.session_id or "",
        "X-Auth-Time": "" if token.auth_time is None else str(token.auth_time),
    }
    # Percent-encoded but for printable ASCII: a line break in a claim would be a header of its own.
    return {name: quote(value, safe=_PLAIN) for name, value in said.items()}


async def _live(receive: Receive, send: Send) -> None:
    for moment in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{moment}.complete"})


def main() -> None:
    """Serve until stopped; needs uvicorn."""
    import uvicorn  # noqa: PLC0415 - any ASGI server will do; this command is the only user

    parser = argparse.ArgumentParser(description="Verify access tokens for a proxy.")
    parser.add_argument("--issuer", required=True, help="whose tokens: https://id.example.com")
    parser.add_argument("--audience", required=True, help="what they must be for")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8090, help="where to listen (8090)")
    asked = parser.parse_args()
    app = forward_auth(Verifier(asked.issuer, asked.audience))
    uvicorn.run(app, host=asked.host, port=asked.port)


if __name__ == "__main__":
    main()
