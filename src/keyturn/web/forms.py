"""`application/x-www-form-urlencoded`, read once and strictly (RFC 6749 section 3.2, appendix B).

A parameter that appears twice means one thing to us and another to whoever looked before us, so
it is refused; only the `REPEATABLE` are lists. An empty value counts as left out. Nothing that
cannot be stored as text (NUL, control characters, broken UTF-8) gets past here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias
from urllib.parse import parse_qsl

from starlette.requests import Request

from keyturn.errors import InvalidRequest, UnsupportedMediaType
from keyturn.web.body import BodyLimits, read_body, read_head

MEDIA_TYPE = "application/x-www-form-urlencoded"
MOST_FIELDS = 64

Form: TypeAlias = Mapping[str, str]
"""Parameters by name; the values of a `REPEATABLE` one stand each on a line of its own."""

Pairs: TypeAlias = Sequence[tuple[str, str]]
"""Parameters in the order they were sent, empty and repeated ones included."""

REPEATABLE = frozenset({"resource", "audience"})
"""Parameters that may appear several times (RFC 8707 section 2, RFC 8693 section 2.1)."""

CREDENTIALS = frozenset(
    {
        "client_id",
        "client_secret",
        "client_assertion",
        "refresh_token",
        "code",
        "code_verifier",
        "device_code",
        "subject_token",
        "actor_token",
        "token",
        "username",
        "password",
    }
)
"""What must never travel in a URL: proxies log those (RFC 6749 section 2.3.1)."""

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Forms:
    """Reads the forms of protocol endpoints."""

    limits: BodyLimits

    async def read(self, request: Request) -> Form:
        """Return the parameters by name, none of them empty.

        Raises `InvalidRequest` for a repeated or malformed parameter or a credential in the
        query, `UnsupportedMediaType`, `PayloadTooLarge`, `RequestTimeout`.
        """
        return _once(await self.read_pairs(request))

    async def read_pairs(self, request: Request) -> Pairs:
        """Return names and values as they were sent, for a door that answers repetitions itself.

        Raises as `read` does.
        """
        refuse_credentials_in_query(request)
        head = read_head(request)
        if head.media_type != MEDIA_TYPE:
            raise UnsupportedMediaType("content-type: not a form")
        return parse_pairs(await read_body(request, head.length, self.limits))


def parse_form(body: bytes) -> Form:
    """Return the parameters of an urlencoded text. Raises `InvalidRequest`."""
    return _once(parse_pairs(body))


def parse_pairs(body: bytes) -> Pairs:
    """Return names and values of an urlencoded text. Raises `InvalidRequest`."""
    if b"%" in body and _BROKEN_ESCAPE.search(body):
        raise InvalidRequest("form: a broken percent escape")
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except UnicodeDecodeError:
        raise InvalidRequest("form: not UTF-8") from None
    except ValueError:
        raise InvalidRequest("form: too many fields") from None
    if holds_control("".join(chain.from_iterable(pairs))):
        raise InvalidRequest("form: a control character")
    return pairs


def repeated(pairs: Pairs) -> frozenset[str]:
    """Return the parameters that appear more than once, and may not."""
    seen: set[str] = set()
    again: set[str] = set()
    for name, _ in pairs:
        (again if name in seen else seen).add(name)
    return frozenset(again - REPEATABLE)


def fold(pairs: Pairs) -> Form:
    """Return the parameters by name, none of them empty; of a repeated one, nothing to rely on."""
    form: dict[str, str] = {}
    for name, value in pairs:
        if value:
            form[name] = f"{form[name]}\n{value}" if name in form else value
    return form


def _once(pairs: Pairs) -> Form:
    if repeated(pairs):
        raise InvalidRequest("form: a parameter is repeated")
    return fold(pairs)


def holds_control(text: str) -> bool:
    """Whether a text holds a character that no parameter may."""
    return _CONTROL.search(text) is not None


def refuse_credentials_in_query(request: Request) -> None:
    """Raise `InvalidRequest` when the URL carries a credential, used or not."""
    query: bytes = request.scope["query_string"]
    if query and not CREDENTIALS.isdisjoint(parse_form(query)):
        raise InvalidRequest("query: carries a credential")
