"""POST /oauth2/register, and GET, PUT, DELETE of what it made (RFC 7591, RFC 7592).

Whoever comes is a stranger. An initial access token admits to registering, if the settings ask
for one; a registration access token to the one client it came with. Neither is an access token.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import RootModel
from starlette.requests import Request
from starlette.responses import Response

from keyturn import paths
from keyturn.errors import InvalidToken
from keyturn.registrations.answer import describe
from keyturn.registrations.model import Issued
from keyturn.registrations.registrations import Registrations
from keyturn.web.json_body import JsonBodies
from keyturn.web.presented_token import shown
from keyturn.web.request_notes import note_client
from keyturn.web.responses import empty_answer, json_bytes


class _Members(RootModel[dict[str, Any]]):
    """A JSON object, each member once; what they mean the rules say."""


class RegistrationThrottle(Protocol):
    """The limiter of registrations, and of tokens that are not good for one."""

    async def registering(self, subject: str, address: str) -> None:
        """Count an attempt. Raises `Throttled` when there were too many."""
        ...


@dataclass(frozen=True, slots=True)
class Registration:
    """The registration endpoint, and the address of each registered client."""

    bodies: JsonBodies
    registrations: Registrations
    throttle: RegistrationThrottle
    address_of: Callable[[Request], str]
    issuer: str

    async def post(self, request: Request) -> Response:
        """Answer 201 with the client, its secret and its registration access token.

        Raises what `Registrations.register` raises, `Throttled`, what `JsonBodies.read` raises.
        """
        initial, address = _bearer(request), self.address_of(request)
        if initial is None:
            # Without a token anybody may come: each attempt counts, the good ones, too.
            await self.throttle.registering("", address)
        members = await self.bodies.read(request, _Members)
        registering = self.registrations.register(members.root, initial, address)
        issued = await self._counted(registering, "initial", address)
        return self._answer(request, issued, 201)

    async def get(self, request: Request) -> Response:
        """Answer 200 with what is registered, but for its secret."""
        client_id, token = _presented(request)
        finding = self.registrations.find(client_id, token)
        managed = await self._counted(finding, "management", self.address_of(request))
        return self._answer(request, Issued(managed, token, None), 200)

    async def put(self, request: Request) -> Response:
        """Answer 200 with what is registered now. Raises as `post` does."""
        client_id, token = _presented(request)
        await self.throttle.registering(client_id, self.address_of(request))
        members = await self.bodies.read(request, _Members)
        replacing = self.registrations.replace(client_id, token, members.root)
        issued = await self._counted(replacing, "management", self.address_of(request))
        return self._answer(request, issued, 200)

    async def delete(self, request: Request) -> Response:
        """Answer 204: the client is closed for good."""
        client_id, token = _presented(request)
        deleting = self.registrations.delete(client_id, token)
        await self._counted(deleting, "management", self.address_of(request))
        return empty_answer()

    async def _counted(self, work: Awaitable[Any], kind: str, address: str) -> Any:
        """Count tokens that are not good: guessing one is hopeless, and costs a query each."""
        try:
            return await work
        except InvalidToken:
            await self.throttle.registering(kind, address)
            raise

    def _answer(self, request: Request, issued: Issued, status: int) -> Response:
        client = issued.managed.client
        note_client(request.scope, client)
        uri = self.issuer + paths.REGISTRATION.format(client_id=client.id)
        return json_bytes(describe(issued.managed, issued.token, uri, issued.secret), status)


def _bearer(request: Request) -> str | None:
    """Return the bearer token of the header, and of nowhere else (RFC 6750 section 2.1)."""
    if "authorization" not in request.headers:
        return None
    scheme, value = shown(request)
    if scheme != "bearer" or not value:
        raise InvalidToken("bearer: not one token")
    return value


def _presented(request: Request) -> tuple[str, str]:
    """Return which client it is about, and the token."""
    token = _bearer(request)
    if token is None:
        raise InvalidToken("bearer: none")
    return request.path_params["client_id"], token
