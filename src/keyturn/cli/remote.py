"""Carries operations of the admin API out by sending them to a server.

What there is, the server's own document says (`/admin/v1/openapi.json`): where an operation is,
whether it takes an `Idempotency-Key`, and whose tokens it takes. So an older server says of what it
does not have that it has not got it. A command does not decide on what it read before: what it
changes, it changes whatever the version (`If-Match: *`), as it does on the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import orjson
from pydantic import BaseModel, ValidationError

from keyturn import paths
from keyturn.cli.credentials import Credentials
from keyturn.cli.exchange import Message, Reply, exchange
from keyturn.cli.server_address import ServerAddress
from keyturn.cli.server_answers import no_document, refusal
from keyturn.cli.server_tokens import token
from keyturn.cli.server_trouble import ServerRefused
from keyturn.crypto import opaque

Answered = TypeVar("Answered", bound=BaseModel)

OK, UNAUTHORIZED, FIRST_OF_THE_REFUSED = 200, 401, 300


@dataclass(frozen=True, slots=True)
class Offered:
    """An operation, as the server's document has it."""

    method: str
    path: str
    headers: frozenset[str]
    """Those that it takes."""


@dataclass(slots=True, eq=False)
class Remote:
    """One server, asked as one administrative client."""

    address: ServerAddress
    credentials: Credentials
    _offered: Mapping[str, Offered] = field(default_factory=dict)
    _issuer: str = ""
    _token: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str, issuer: str | None, credentials: Credentials) -> "Remote":
        """Nothing is connected yet. Leaves for a URL that a token must not be sent to."""
        return cls(ServerAddress.of(url, issuer), credentials)

    async def ask(
        self,
        name: str,
        answers: type[Answered],
        members: Mapping[str, Any] | None = None,
        **ids: object,
    ) -> Answered:
        """Carry out an operation. Raises `Refusal`, `ServerAway`, `ServerRefused`."""
        offered = await self._find(name)
        path = offered.path.format_map({key: quote(str(one), "") for key, one in ids.items()})
        message = _message(offered, self.address.url + path, members or {})
        reply = await self._send(message)
        if reply.status >= FIRST_OF_THE_REFUSED:
            raise refusal(reply)
        try:
            return answers.model_validate_json(reply.body or b"{}")
        except ValidationError:
            raise ServerRefused(f"the server answers {name} as another release would") from None

    async def _send(self, message: Message) -> Reply:
        """Send a request with a token; with another one, once, when that was good no longer."""
        was_fresh = not self._token
        self._token = self._token or await token(self._issuer, self.credentials)
        reply = await exchange(_with_token(message, self._token))
        if reply.status != UNAUTHORIZED or was_fresh:
            return reply
        self._token = await token(self._issuer, self.credentials)
        return await exchange(_with_token(message, self._token))

    async def _find(self, name: str) -> Offered:
        if not self._offered:
            url = self.address.url + paths.ADMIN_OPENAPI
            reply = await exchange(Message("GET", url, twice=True))
            document = _document(reply)
            self._issuer = self.address.issuer_of(document)
            self._offered = _operations(document)
        if name not in self._offered:
            raise ServerRefused(f"this server is of a release that has no {name}")
        return self._offered[name]


def _document(reply: Reply) -> Mapping[str, Any]:
    try:
        document = orjson.loads(reply.body) if reply.status == OK else None
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise no_document(reply)
    return document


def _operations(document: Mapping[str, Any]) -> Mapping[str, Offered]:
    return {
        said["operationId"]: Offered(
            method.upper(),
            path,
            frozenset(one["name"] for one in said["parameters"] if one["in"] == "header"),
        )
        for path, ways in document["paths"].items()
        for method, said in ways.items()
    }


def _message(offered: Offered, url: str, members: Mapping[str, Any]) -> Message:
    if offered.method == "GET":
        given = {name: value for name, value in members.items() if value is not None}
        return Message("GET", f"{url}?{urlencode(given)}" if given else url, twice=True)
    headers = {"Content-Type": "application/json"}
    if "If-Match" in offered.headers:
        headers["If-Match"] = "*"
    if "Idempotency-Key" in offered.headers:
        headers["Idempotency-Key"] = opaque.token_urlsafe()
    body = orjson.dumps(members)
    return Message(offered.method, url, headers, body, twice="Idempotency-Key" in headers)


def _with_token(message: Message, value: str) -> Message:
    headers = {**message.headers, "Authorization": f"Bearer {value}"}
    return Message(message.method, message.url, headers, message.body, message.twice)
