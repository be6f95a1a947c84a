"""The requests that begin sessions and end them: codes, passwords, revocations."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import orjson

import wire
from codes import BROWSER, REDIRECT_URI, Codes
from keyturn import paths
from people import APP
from traffic import form_headers

PASSWORD = "correct horse battery staple"


@dataclass(slots=True)
class SignIns:
    """What each connection sends; a code and a refresh token are good for one request."""

    codes: Codes
    tokens: list[str] = field(repr=False)
    """Refresh tokens of sessions that are there to be ended."""
    client_id: str
    emails: list[str]
    connections: int

    def code_exchanges(self) -> Sequence[wire.Source]:
        """Return redemptions of codes, each by its client with the verifier."""
        fields = {
            "grant_type": "authorization_code",
            "client_id": BROWSER,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": self.codes.verifier,
        }
        return self._each_once(paths.TOKEN, fields, "code", self.codes.values)

    def revocations(self) -> Sequence[wire.Source]:
        """Return revocations of refresh tokens, each of which ends a session."""
        return self._each_once(paths.REVOKE, {"client_id": self.client_id}, "token", self.tokens)

    def logins(self) -> Sequence[wire.Source]:
        """Return sign-ins with a password, by people of each connection's own."""
        messages = [_login(email) for email in self.emails]
        return [
            wire.InTurn(deque(messages[first :: self.connections]))
            for first in range(self.connections)
        ]

    def _each_once(
        self, path: str, fields: dict[str, str], last: str, values: list[str]
    ) -> Sequence[wire.Source]:
        start = f"{urlencode(fields)}&{last}="
        prefix = wire.message(
            "POST", path, form_headers(len(start) + len(values[0])), start.encode()
        )
        left = deque(value.encode() for value in values)
        return [wire.EachOnce(prefix, left) for _ in range(self.connections)]


def _login(email: str) -> bytes:
    body = orjson.dumps({"email": email, "password": PASSWORD})
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Keyturn-Client": str(APP["id"]),
    }
    return wire.message("POST", paths.LOGIN, headers, body)
