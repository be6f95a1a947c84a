"""POST /auth/login: a password in, an access token and a refresh token out."""

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from keyturn.clients.model import Client
from keyturn.errors import InvalidGrant, InvalidScope
from keyturn.session_api.messages import LoginAnswer, LoginBody, UserAnswer
from keyturn.session_api.transport import Transport
from keyturn.sessions.lifetimes import choose
from keyturn.sessions.model import Started
from keyturn.sessions.start import SessionRequest, Starter
from keyturn.settings import SessionsSettings
from keyturn.tokens.access_token import AccessTokens
from keyturn.users.authenticate import Authenticator
from keyturn.users.model import Authenticated
from keyturn.web import origin
from keyturn.web.client_ip import ClientAddress
from keyturn.web.json_body import JsonBodies
from keyturn.web.responses import json_answer

MOST_DEVICE = 200
"""Characters of a User-Agent that are kept to tell a person where they are signed in."""


@dataclass(frozen=True, slots=True)
class Login:
    """Signs a person in; starts no browser login (single sign-on is the hosted pages')."""

    bodies: JsonBodies
    transport: Transport
    authenticator: Authenticator
    starter: Starter
    access_tokens: AccessTokens
    address: ClientAddress
    settings: SessionsSettings
    issuer: str

    async def post(self, request: Request) -> Response:
        """Answer 200 with tokens, or 401 `invalid_credentials`, 429, 503."""
        client = await self.transport.client(request)
        body = await self.bodies.read(request, LoginBody)
        by_cookie = body.transport == "cookie"
        if by_cookie:
            origin.refuse_cross_site(request.headers)
            self.transport.require_proof_of_origin(request, client)
        scopes = self._scopes(body, client)
        cookie = self._cookie(request, client)
        person = await self.authenticator.authenticate(
            body.email, body.password, self.address.of(request)
        )
        replaces = await self._live_session(client, cookie)
        started = await self.starter.start(
            self._session_request(request, client, (body, scopes, person), replaces)
        )
        return self._answer(started, client, person, by_cookie=by_cookie)

    def _scopes(self, body: LoginBody, client: Client) -> frozenset[str]:
        if body.scope is None:
            return client.scopes
        asked = frozenset(body.scope.split())
        if not asked <= client.scopes:
            raise InvalidScope("scope: not allowed for this client")
        return asked

    def _session_request(
        self,
        request: Request,
        client: Client,
        what: tuple[LoginBody, frozenset[str], Authenticated],
        replaces: UUID | None,
    ) -> SessionRequest:
        body, scopes, person = what
        return SessionRequest(
            user_id=person.user.id,
            client=client,
            scopes=scopes,
            audiences=(client.default_audience, self.issuer),
            lifetimes=choose(self.settings, client, remember_me=body.remember_me),
            proof_time=person.proof_time,
            claims=person.user.claims(client.claims),
            device=_printable(request.headers.get("user-agent")),
            ip=self.address.of(request),
            replaces=replaces,
        )

    def _cookie(self, request: Request, client: Client) -> str | None:
        """Return the cookie that came along: whether it may, is decided before the password is."""
        token = self.transport.cookies.read(request, client.id)
        if token is not None:
            self.transport.require_proof_of_origin(request, client)
        return token

    async def _live_session(self, client: Client, cookie: str | None) -> UUID | None:
        """Return the session of a live cookie: this browser signs in anew, that one ends."""
        if cookie is None:
            return None
        try:
            return (await self.transport.rotation.recognise(client, cookie)).id
        except InvalidGrant:
            return None

    def _answer(
        self, started: Started, client: Client, person: Authenticated, *, by_cookie: bool
    ) -> Response:
        session = started.session
        access = self.access_tokens.for_session(session, client, session.scopes, session.audiences)
        answer = LoginAnswer(
            access_token=access.value,
            expires_in=access.expires_in,
            session_id=session.id,
            refresh_token=None if by_cookie else started.refresh_token,
            refresh_expires_in=session.seconds_left,
            user=UserAnswer(id=person.user.id, email=person.user.email, name=person.user.name),
        )
        response = json_answer(answer)
        if by_cookie:
            self.transport.set_cookie(response, session, started.refresh_token)
        return response


def _printable(text: str | None) -> str | None:
    if text is None:
        return None
    return "".join(one for one in text if one.isprintable())[:MOST_DEVICE] or None
