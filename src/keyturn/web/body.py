"""Reading a request body: never more than allowed, never longer than allowed."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from keyturn.errors import InvalidRequest, PayloadTooLarge, RequestTimeout, UnsupportedMediaType

_ARRIVED = "keyturn.body_arrived"


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The largest body, in bytes, and the seconds it may take to arrive."""

    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class BodyHead:
    """What the headers say of the body; `media_type` is lower case and without parameters."""

    media_type: str
    length: int | None


def read_head(request: Request) -> BodyHead:
    """Return what is announced. Raises `InvalidRequest`, `UnsupportedMediaType`."""
    kinds = [value for name, value in request.scope["headers"] if name == b"content-type"]
    if len(kinds) > 1:
        raise InvalidRequest("content-type: repeated")
    kind, _, parameters = (kinds[0].decode("latin-1") if kinds else "").partition(";")
    if parameters and not _is_utf8(parameters):
        raise UnsupportedMediaType("content-type: a charset other than UTF-8")
    length = request.headers.get("content-length")
    return BodyHead(kind.strip().lower(), _parse_length(length))


async def read_body(request: Request, length: int | None, limits: BodyLimits) -> bytes:
    """Return the whole body.

    Raises `PayloadTooLarge` as soon as it is known to be, `RequestTimeout`, and Starlette's
    `ClientDisconnect` when the caller hangs up.
    """
    if length is not None and length > limits.size:
        raise PayloadTooLarge("body: announced larger than allowed")
    if arrived_whole(request.scope):
        return await _receive(request, limits.size)
    try:
        async with asyncio.timeout(limits.seconds):
            return await _receive(request, limits.size)
    except TimeoutError:
        raise RequestTimeout("body: did not arrive in time") from None


def note_arrival(scope: Any) -> None:
    """Note that the whole body is here: nobody will have to wait for it, or to time that."""
    scope[_ARRIVED] = True


def arrived_whole(scope: MutableMapping[str, Any]) -> bool:
    """Whether the whole body is known to be here."""
    return _ARRIVED in scope


async def _receive(request: Request, size: int) -> bytes:
    parts = []
    left = size
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        left -= len(part)
        if left < 0:
            raise PayloadTooLarge("body: larger than allowed")
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _is_utf8(parameters: str) -> bool:
    """Whether no parameter asks for another charset; unknown parameters mean nothing."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip('"').lower() not in {"utf-8", "utf8"}:
            return False
    return True


def _parse_length(text: str | None) -> int | None:
    if text is None:
        return None
    # The server's parser has refused anything but digits; other servers may not.
    if not text.isascii() or not text.isdigit():
        raise InvalidRequest("content-length: not a number")
    return int(text[:20])
