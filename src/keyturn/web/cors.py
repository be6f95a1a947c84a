"""Which pages of other origins may read our answers (Fetch standard, CORS; RFC 9700 section 2.6).

    public documents        every page, without credentials
    /oauth2/token, /revoke, /userinfo, /par   pages of the client's own origins, without credentials
    /auth/...               pages of the client's own origins, with credentials (cookies)
    everything else         none

Refusals and failures carry the headers as well: an app that cannot read a 503 takes it for a
sign-out. A preflight names no client, so it is allowed for the origins of any active client that
may use the door: for /auth/... those an operator made first-party, as whoever may register a client
can name any origin. The request itself is then held against its own client, here for reading and in
`origin` for acting.

Nothing here waits for the database: the last copy of the clients decides, however old. At worst a
page reads an answer although its client lists it no longer; acting is `origin`'s to refuse.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyturn import paths
from keyturn.clients.model import Client
from keyturn.errors import OriginRefused, Refusal, Unavailable
from keyturn.web.origin import CLIENT_HEADER, NOBODY
from keyturn.web.request_notes import notes_of
from keyturn.web.responses import SESSION_API, render

EXPOSED: Final = b"WWW-Authenticate, DPoP-Nonce, Retry-After, Date"
PREFLIGHT_SECONDS: Final = "600"


class Readers(Enum):
    """Whose pages may read an answer."""

    EVERYBODY = "everybody"
    PAGES_OF_CLIENT = "pages of the client"
    PAGES_OF_CLIENT_WITH_COOKIES = "pages of the client, with cookies"


PUBLIC_DOCUMENTS: Final = frozenset(
    {paths.OPENID_CONFIGURATION, paths.OAUTH_METADATA, paths.JWKS, paths.SESSION_OPENAPI}
)
STATUS_LISTS: Final = paths.STATUS_LIST.removesuffix("{number}")
CLIENT_ENDPOINTS: Final = frozenset({paths.TOKEN, paths.REVOKE, paths.USERINFO, paths.PAR})

_METHODS: Final = {
    Readers.EVERYBODY: "GET, HEAD",
    Readers.PAGES_OF_CLIENT: "GET, POST",
    Readers.PAGES_OF_CLIENT_WITH_COOKIES: "GET, POST, DELETE",
}
_HEADERS: Final = {
    Readers.EVERYBODY: "Accept, If-None-Match",
    Readers.PAGES_OF_CLIENT: "Authorization, Content-Type, DPoP",
    Readers.PAGES_OF_CLIENT_WITH_COOKIES: "Authorization, Content-Type, DPoP, X-Keyturn-Client",
}


class Clients(Protocol):
    """What is asked of the registry."""

    def last_active(self, client_id: str) -> Client | None:
        """Return an active client of the last copy, or None."""
        ...

    @property
    def last_first_party(self) -> tuple[Client, ...]:
        """The active clients of the session API in the last copy."""
        ...

    @property
    def last_origins(self) -> frozenset[str] | None:
        """The origins of all active clients in the last copy; None: there never was one."""
        ...


def readers_of(path: str) -> Readers | None:
    """Return whose pages may read what is answered under `path`; None: only our own."""
    if path in PUBLIC_DOCUMENTS or path.startswith(STATUS_LISTS):
        return Readers.EVERYBODY
    if path in CLIENT_ENDPOINTS:
        return Readers.PAGES_OF_CLIENT
    if path.startswith(SESSION_API):
        return Readers.PAGES_OF_CLIENT_WITH_COOKIES
    return None


@dataclass(frozen=True, slots=True)
class Cors:
    """ASGI middleware: answers preflights, adds the headers to everything else."""

    app: ASGIApp
    clients: Clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        readers = readers_of(scope["path"]) if scope["type"] == "http" else None
        if readers is None:
            await self.app(scope, receive, send)
        elif _is_preflight(scope):
            response = self._preflight(Request(scope), readers)
            await response(scope, receive, send)
        else:
            await self.app(scope, receive, self._sender(scope, readers, send))

    def _preflight(self, request: Request, readers: Readers) -> Response:
        origin = _origin(request.scope)
        if readers is not Readers.EVERYBODY:
            if self.clients.last_origins is None:
                return _refused(request, Unavailable("clients: never read"))
            if not self._is_anybodys(origin, readers):
                return _refused(request, OriginRefused("preflight: the origin of no client"))
        headers = {
            "Access-Control-Allow-Methods": _METHODS[readers],
            "Access-Control-Allow-Headers": _HEADERS[readers],
            "Access-Control-Max-Age": PREFLIGHT_SECONDS,
        }
        response = Response(status_code=204, headers=headers)
        response.raw_headers.extend(_allow(readers, origin))
        return response

    def _sender(self, scope: Scope, readers: Readers, send: Send) -> Send:
        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Asked now, not before: by now the door knows which client it answered.
                message["headers"] = [*message["headers"], *self._headers(scope, readers)]
            await send(message)

        return send_with_cors

    def _headers(self, scope: Scope, readers: Readers) -> list[tuple[bytes, bytes]]:
        if readers is Readers.EVERYBODY:
            return _allow(readers, None)
        origin = _origin(scope)
        if origin is None or not self._may_read(scope, origin, readers):
            return [(b"vary", b"Origin")]
        return [*_allow(readers, origin), (b"access-control-expose-headers", EXPOSED)]

    def _may_read(self, scope: Scope, origin: str, readers: Readers) -> bool:
        client = notes_of(scope).client
        if client is None and readers is Readers.PAGES_OF_CLIENT_WITH_COOKIES:
            client = self._named(scope)
        if client is None:
            return self._is_anybodys(origin, readers)
        return origin != NOBODY and origin in client.origins

    def _named(self, scope: Scope) -> Client | None:
        named = Headers(scope=scope).get(CLIENT_HEADER)
        if named:
            return self.clients.last_active(named)
        candidates = self.clients.last_first_party
        return candidates[0] if len(candidates) == 1 else None

    def _is_anybodys(self, origin: str | None, readers: Readers) -> bool:
        if origin == NOBODY:
            return False
        if readers is Readers.PAGES_OF_CLIENT_WITH_COOKIES:
            return any(origin in one.origins for one in self.clients.last_first_party)
        return origin in (self.clients.last_origins or ())


def _refused(request: Request, refusal: Refusal) -> Response:
    response = render(request, refusal)
    response.headers["Vary"] = "Origin"
    return response


def _is_preflight(scope: Scope) -> bool:
    if scope["method"] != "OPTIONS":
        return False
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


def _origin(scope: Scope) -> str | None:
    """Return the one `Origin`; two of them are as good as none."""
    found = [value for name, value in scope["headers"] if name == b"origin"]
    return found[0].decode("latin-1") if len(found) == 1 else None


def _allow(readers: Readers, origin: str | None) -> list[tuple[bytes, bytes]]:
    if readers is Readers.EVERYBODY:
        return [(b"access-control-allow-origin", b"*")]
    headers = [
        (b"access-control-allow-origin", (origin or "").encode("latin-1")),
        (b"vary", b"Origin"),
    ]
    if readers is Readers.PAGES_OF_CLIENT_WITH_COOKIES:
        headers.append((b"access-control-allow-credentials", b"true"))
    return headers
