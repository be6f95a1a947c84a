"""POST /auth/login: a password in, an access token and a refresh token out."""

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from keyturn.clients.model import Client
from keyturn.errors import InvalidDpopProof, InvalidGrant
from keyturn.session_api.messages import LoginAnswer, LoginBody, UserAnswer
from keyturn.session_api.transport import Transport
from keyturn.sessions.lifetimes import choose
from keyturn.sessions.model import Started
from keyturn.sessions.start import SessionRequest, Starter
from keyturn.settings import SessionsSettings
from keyturn.tokens import scope
from keyturn.tokens.access_token import AccessTokens
from keyturn.users.authenticate import Authenticator
from keyturn.users.model import Authenticated
from keyturn.web import origin
from keyturn.web.client_ip import ClientAddress
from keyturn.web.device import device_of
from keyturn.web.json_body import JsonBodies
from keyturn.web.responses import json_answer


@dataclass(frozen=True, slots=True)
class _SignIn:
    """A sign-in of which everything has been checked but the password."""

    client: Client
    body: LoginBody
    scopes: frozenset[str]
    cookie: str | None
    """The refresh token this browser held until now."""
    by_cookie: bool
    """Whether the new one travels in a cookie."""
    device: str | None
    ip: str
    dpop_jkt: str | None
    """The key that the session will be bound to (RFC 9449); None: to none."""


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
        """Answer 200 with tokens, or 401 `invalid_credentials`, 400, 429, 503."""
        asked = await self._read(request)
        self.access_tokens.require_key()
        person = await self.authenticator.authenticate(
            asked.body.email, asked.body.password, asked.ip
        )
        replaces = await self._live_session(asked)
        started = await self.starter.start(self._session_request(asked, person, replaces))
        return self._answer(asked, person, started)

    async def _read(self, request: Request) -> _SignIn:
        client = await self.transport.client(request)
        body = await self.bodies.read(request, LoginBody)
        cookie = self.transport.cookies.read(request, client.id)
        by_cookie = body.transport == "cookie"
        if by_cookie:
            origin.refuse_cross_site(request.headers)
        if by_cookie or cookie is not None:
            origin.require(request.headers, client)
        return _SignIn(
            client=client,
            body=body,
            scopes=scope.granted(scope.parse(body.scope), client.scopes),
            cookie=cookie,
            by_cookie=by_cookie,
            device=device_of(request),
            ip=self.address.of(request),
            dpop_jkt=await self.transport.dpop.demanded(request, client),
        )

    def _session_request(
        self, asked: _SignIn, person: Authenticated, replaces: UUID | None
    ) -> SessionRequest:
        client = asked.client
        return SessionRequest(
            user_id=person.user.id,
            client=client,
            scopes=asked.scopes,
            audiences=(client.default_audience, self.issuer),
            lifetimes=choose(self.settings, client, remember_me=asked.body.remember_me),
            proof_time=person.proof_time,
            claims=person.user.claims(client.claims),
            device=asked.device,
            ip=asked.ip,
            replaces=replaces,
            dpop_jkt=asked.dpop_jkt,
        )

    async def _live_session(self, asked: _SignIn) -> UUID | None:
        """Return the session of a live cookie: this browser signs in anew, that one ends.

        One that is bound to a key which is not here any more goes on until it expires.
        """
        if asked.cookie is None:
            return None
        recognise = self.transport.rotation.recognise
        try:
            return (await recognise(asked.client, asked.cookie, asked.dpop_jkt)).id
        except (InvalidGrant, InvalidDpopProof):
            return None

    def _answer(self, asked: _SignIn, person: Authenticated, started: Started) -> Response:
        session = started.session
        access = self.access_tokens.for_session(
            session, asked.client, session.scopes, session.audiences
        )
        self.transport.count("access", "refresh")
        answer = LoginAnswer(
            access_token=access.value,
            token_type=access.token_type,
            expires_in=access.expires_in,
            session_id=session.id,
            refresh_token=None if asked.by_cookie else started.refresh_token,
            refresh_expires_in=session.seconds_left,
            user=UserAnswer(id=person.user.id, email=person.user.email, name=person.user.name),
        )
        response = json_answer(answer)
        if asked.by_cookie:
            self.transport.set_cookie(response, session, started.refresh_token)
        return response
