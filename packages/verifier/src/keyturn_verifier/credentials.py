"""The access token as a request carries it: in one `Authorization` header and nowhere else.

Never in the query string, which ends in logs and histories, nor in a body (RFC 6750 section 2).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from keyturn_verifier.errors import Reason, Refused

Scheme = Literal["Bearer", "DPoP"]
Headers = Iterable[tuple[bytes, bytes]]
"""Header fields as ASGI has them: names in lower case."""

_SCHEMES: dict[str, Scheme] = {"bearer": "Bearer", "dpop": "DPoP"}
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 section 2.1


class InvalidRequest(Refused):
    """The request says more than one thing, or nothing that can be read (RFC 6750 section 3.1)."""

    status = 400
    error = "invalid_request"

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.MALFORMED, detail)


@dataclass(frozen=True)
class Credentials:
    """An access token, unverified, and the scheme it came by."""

    scheme: Scheme
    token: str = field(repr=False)


def read(headers: Headers) -> Credentials | None:
    """Return what the `Authorization` header holds; None: no token of a scheme we know.

    Raises `InvalidRequest` for a second such header: proxy and API may each believe another one.
    """
    values = fields(headers, b"authorization")
    if len(values) > 1:
        raise InvalidRequest("authorization: more than one header")
    name, _, token = values[0].strip(" ").partition(" ") if values else ("", "", "")
    scheme = _SCHEMES.get(name.lower())
    if scheme is None:
        return None
    token = token.lstrip(" ")
    if not _TOKEN.fullmatch(token):
        raise InvalidRequest("authorization: not one token")
    return Credentials(scheme, token)


def fields(headers: Headers, wanted: bytes) -> list[str]:
    """Return every value of one header, whose name is given in lower case."""
    return [value.decode("latin-1") for name, value in headers if name.lower() == wanted]
