"""Middleware for any ASGI application: Starlette, FastAPI, Litestar, or none of them.

    app.add_middleware(AuthMiddleware, verifier=Verifier(issuer, audience), optional=("/health",))

Below it `scope["auth"]` is the request's verified `AccessToken` (`request.auth` in Starlette), or
None where a token is optional and the request has none. `InsufficientScope` and `StepUpRequired`,
raised by the application before it has begun to answer, become the challenge that the standards
want; so it belongs inside whatever makes a 500 of exceptions, as `add_middleware` puts it.
(Litestar answers exceptions of its handlers itself: give it a handler of `Refused` that sends what
`Challenges().answer` returns.) CORS middleware goes around it, so that refusals carry its headers.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.authentication import Authentication
from keyturn_verifier.challenges import Answer
from keyturn_verifier.dpop import Dpop
from keyturn_verifier.errors import InvalidToken, Reason, Refused, Unavailable
from keyturn_verifier.resource_metadata import ProtectedResource
from keyturn_verifier.verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY_VIOLATION = 1008
"""Why a WebSocket is closed (RFC 6455 section 7.4.1)."""
_log = logging.getLogger("keyturn_verifier")


class AuthMiddleware:
    """Lets requests with a good access token pass, and answers the others."""

    def __init__(
        self,
        app: App,
        verifier: Verifier,
        *,
        optional: tuple[str, ...] = (),
        dpop: Dpop | None = None,
        resource: ProtectedResource | None = None,
    ) -> None:
        """Guard `app`; the verifier is warmed up and closed with it.

        `optional` are paths, each with all below it, that a request may ask for without a token;
        a bad token is refused there as well. `dpop` admits tokens that are bound to a key.
        `resource` is served at its well-known path and named in every challenge (RFC 9728).
        """
        self._app = app
        self._verifier = verifier
        self._optional = optional
        self._resource = resource
        self._authentication = Authentication(verifier, dpop, resource)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, *_live(self._verifier, receive, send))
        elif scope["type"] in {"http", "websocket"}:
            await self._serve(_Exchange(scope, receive, send))
        else:
            await self._app(scope, receive, send)

    async def _serve(self, exchange: "_Exchange") -> None:
        scope, headers = exchange.scope, exchange.scope["headers"]
        if self._resource is not None and exchange.asks_for(self._resource.path):
            await exchange.answer(self._resource.answer())
            return
        try:
            scope["auth"] = await self._token_of(scope)
            exchange.extra = self._authentication.nonce(headers)
            await self._app(scope, exchange.receive_on, exchange.send_on)
        except (Refused, Unavailable) as refusal:
            if exchange.begun:
                raise
            await exchange.answer(self._authentication.answer(refusal, headers))

    async def _token_of(self, scope: Scope) -> AccessToken | None:
        # A WebSocket begins as a GET; its scope does not say so.
        method, path = scope.get("method", "GET"), scope["path"]
        token = await self._authentication.token_of(scope["headers"], method, path)
        if token is None and not self._may_be_anonymous(path):
            raise InvalidToken(Reason.MISSING)
        return token

    def _may_be_anonymous(self, path: str) -> bool:
        """Say whether a path lies below an optional one, however somebody else would resolve it."""
        if any(one in path for one in ("..", "//", "\\", "%")):
            return False
        return any(path == one or path.startswith(one.rstrip("/") + "/") for one in self._optional)


@dataclass
class _Exchange:
    """One request or WebSocket, and whether the application has begun to answer it."""

    scope: Scope
    receive: Receive
    send: Send
    extra: tuple[tuple[str, str], ...] = ()
    begun: bool = field(default=False, init=False)
    heard: bool = field(default=False, init=False)

    def asks_for(self, path: str) -> bool:
        """Say whether this is a request to read `path`."""
        return self.scope["path"] == path and self.scope.get("method") in {"GET", "HEAD"}

    async def receive_on(self) -> Message:
        """Hand on what the caller says."""
        self.heard = True
        return await self.receive()

    async def send_on(self, message: Message) -> None:
        """Pass on what the application says."""
        self.begun = True
        if self.extra and message["type"] in {"http.response.start", "websocket.accept"}:
            added = [(name.lower().encode(), value.encode()) for name, value in self.extra]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await self.send(message)

    async def answer(self, answer: Answer) -> None:
        """Answer instead of the application."""
        if self.scope["type"] == "http":
            await self._respond("http.response", answer)
            return
        if not self.heard:
            await self.receive()  # the handshake, which has to be heard before it is refused
        if "websocket.http.response" in (self.scope.get("extensions") or {}):
            await self._respond("websocket.http.response", answer)
        else:
            # Before it was accepted: the server answers the handshake with 403.
            await self.send({"type": "websocket.close", "code": POLICY_VIOLATION})

    async def _respond(self, kind: str, answer: Answer) -> None:
        headers = answer.raw_headers
        await self.send({"type": f"{kind}.start", "status": answer.status, "headers": headers})
        await self.send({"type": f"{kind}.body", "body": answer.body})


def _live(verifier: Verifier, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Warm the verifier up before the application starts, and close it once that has ended."""

    async def receive_warm() -> Message:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await verifier.warmup()
            except Unavailable as unavailable:
                # An API starts without its issuer: requests are answered 503 until it is there.
                _log.warning("access tokens cannot be checked yet: %s", unavailable)
        return message

    async def send_closed(message: Message) -> None:
        if message["type"] in {"lifespan.shutdown.complete", "lifespan.startup.failed"}:
            await verifier.aclose()
        await send(message)

    return receive_warm, send_closed
