"""The cookie that carries a refresh token (RFC 6265bis), one for each client of each issuer.

The name binds it to both, so that two clients, or two servers behind one host name, do not
overwrite each other. `__Host-` makes the browser refuse it from a subdomain or without TLS.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from keyturn.crypto import opaque
from keyturn.errors import InvalidRequest

_VALUE = re.compile(r"[A-Za-z0-9._~-]{1,2048}")
_DIGITS = 8


@dataclass(frozen=True, slots=True)
class SessionCookies:
    """Reads, sets and clears the cookies of one issuer.

    `path` is the setting `session_api.cookie_path`. `secure` is off on an http loopback issuer
    only, where a browser would drop a `Secure` cookie.
    """

    issuer: str
    path: str = "/"
    secure: bool = True

    def name(self, client_id: str) -> str:
        """Return the cookie's name for one client."""
        return self._prefix + _bare_name(self.issuer, client_id)

    def read(self, request: Request, client_id: str) -> str | None:
        """Return the token in the client's cookie, or None.

        Raises `InvalidRequest` when there are two of them: which one an attacker planted on a
        wider path cannot be told.
        """
        wanted = self.name(client_id)
        found = [value for name, value in cookies_of(request) if name == wanted]
        if len(found) > 1:
            raise InvalidRequest("cookie: the same name twice")
        return (found[0] or None) if found else None

    def set(self, response: Response, client_id: str, token: str, max_age: int | None) -> None:
        """Keep `token` for `max_age` seconds; None: until the browser closes."""
        if not _VALUE.fullmatch(token):
            raise ValueError("a refresh token holds no character a cookie could not")
        lifetime = "" if max_age is None else f"; Max-Age={max(0, max_age)}"
        response.headers.append(
            "Set-Cookie", f"{self.name(client_id)}={token}{lifetime}{self._attributes}"
        )

    def clear(self, response: Response, client_id: str) -> None:
        """Make the browser forget the client's cookie."""
        response.headers.append(
            "Set-Cookie", f"{self.name(client_id)}=; Max-Age=0{self._attributes}"
        )

    @property
    def _prefix(self) -> str:
        if not self.secure:
            return ""
        return "__Host-" if self.path == "/" else "__Secure-"

    @property
    def _attributes(self) -> str:
        secure = "; Secure" if self.secure else ""
        return f"; Path={self.path}{secure}; HttpOnly; SameSite=Strict"


@lru_cache(maxsize=1024)
def _bare_name(issuer: str, client_id: str) -> str:
    # The line break cannot occur in an issuer: no two pairs are hashed alike.
    return "kt_" + opaque.sha256(f"{issuer}\n{client_id}".encode()).hex()[:_DIGITS]


def cookies_of(request: Request) -> list[tuple[str, str]]:
    """Return every cookie of a request by name, in order, repeated ones too."""
    pairs = []
    for header in request.headers.getlist("cookie"):
        for part in header.split(";"):
            name, equals, value = part.strip(" \t").partition("=")
            if equals:
                pairs.append((name, value))
    return pairs
