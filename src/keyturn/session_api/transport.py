"""How a refresh token travels between the server and a first-party app: body or cookie.

A cookie is sent by the browser whatever page asks, so whoever uses one must show where the
request comes from: `Origin` (or `Sec-Fetch-Site: same-origin`) and `X-Keyturn-Client`, which no
foreign page can send without asking first. A token that came by cookie never leaves in a body,
where scripts could read it.
"""

from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from keyturn.clients.model import Client
from keyturn.clients.registry import Registry
from keyturn.errors import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    SessionGone,
)
from keyturn.sessions.model import Session
from keyturn.sessions.rotation import Rotation
from keyturn.telemetry.callers import Actor, acts
from keyturn.telemetry.labels import SESSION_API
from keyturn.telemetry.metrics import Metrics
from keyturn.web import origin
from keyturn.web.cookies import SessionCookies
from keyturn.web.dpop import Dpop
from keyturn.web.request_notes import note_client


@dataclass(frozen=True, slots=True)
class Credential:
    """A refresh token as it arrived, and the client it was sent for."""

    client: Client
    token: str
    by_cookie: bool
    dpop_jkt: str | None = None
    """The key that a proof came by (RFC 9449)."""


@dataclass(frozen=True, slots=True)
class Transport:
    """Reads and answers session credentials by the rules of the session API."""

    registry: Registry
    cookies: SessionCookies
    rotation: Rotation
    dpop: Dpop
    metrics: Metrics

    def count(self, *kinds: Literal["access", "refresh"]) -> None:
        """Count tokens that are being answered."""
        for kind in kinds:
            self.metrics.tokens_issued(kind, SESSION_API)

    async def client(self, request: Request) -> Client:
        """Return the client of this request; a request with a foreign `Origin` is refused.

        `X-Keyturn-Client` names it; without the header, the only session API client there is.
        Raises `InvalidClient`, `InvalidRequest`, `OriginRefused`.
        """
        named = request.headers.get(origin.CLIENT_HEADER)
        client = await (self.registry.get(named) if named else self._only_one())
        if client is None or not client.session_api:
            raise InvalidClient("X-Keyturn-Client: unknown, disabled or not for the session API")
        note_client(request.scope, client)
        origin.check(request.headers, client)
        return client

    async def _only_one(self) -> Client:
        candidates = await self.registry.first_party()
        if len(candidates) != 1:
            raise InvalidRequest("X-Keyturn-Client: missing, and there is not exactly one client")
        return candidates[0]

    async def credential(self, request: Request, from_body: str | None) -> Credential:
        """Return the session credential of this request; two of them are a mistake.

        Raises `SessionGone` when there is none, `OriginRefused` when a cookie came from nowhere,
        and what `Dpop.demanded` raises.
        """
        client = await self.client(request)
        from_cookie = self.cookies.read(request, client.id)
        if from_cookie is not None and from_body is not None:
            raise InvalidRequest("session credential: both in the cookie and in the body")
        if from_cookie is not None:
            origin.require(request.headers, client)
        token = from_body if from_cookie is None else from_cookie
        if token is None:
            raise SessionGone("session credential: none")
        jkt = await self.dpop.demanded(request, client)
        return Credential(client, token, by_cookie=from_cookie is not None, dpop_jkt=jkt)

    async def session(self, credential: Credential) -> Session:
        """Return the live session of a credential; nothing is rotated.

        Raises `SessionGone`, and `InvalidDpopProof` when it is bound to another key.
        """
        try:
            session = await self.rotation.recognise(
                credential.client, credential.token, credential.dpop_jkt
            )
        except InvalidGrant as refusal:
            raise SessionGone(refusal.detail) from None
        acts(Actor.user(session.user_id))
        return session

    def set_cookie(self, response: Response, session: Session, token: str) -> None:
        """Put a refresh token into the browser's jar, for as long as the session can live."""
        left = int((session.expires_at - session.decided_at).total_seconds())
        max_age = None if session.remembered is False else left
        self.cookies.set(response, session.client_id, token, max_age)
