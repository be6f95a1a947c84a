"""The compact JWS (RFC 7515 section 7.1), read strictly: one token has one spelling.

Everything here is the attacker's text. Sizes are limited before anything is decoded, and base64url
must be canonical (RFC 4648 section 3.5): else the last character of a signature could be changed
and the token would still pass, under another hash than the one it is cached and logged by.
"""

import re
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any, NamedTuple

from keyturn_verifier.errors import InvalidToken, Reason
from keyturn_verifier.strict_json import parse_object

MOST_CHARACTERS = 16_384
MOST_HEADER_CHARACTERS = 2_048

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_LAST = {
    0: frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
    2: frozenset("AQgw"),
    3: frozenset("AEIMQUYcgkosw048"),
}
"""By length modulo 4: the last characters whose unused bits are zero."""


class CompactJws(NamedTuple):
    """A JWS whose signature nobody has checked yet."""

    encoded_header: str
    payload: bytes
    signing_input: bytes
    signature: bytes

    def header(self) -> Mapping[str, Any]:
        """Return the header's members. Raises `InvalidToken`."""
        return _members(_decoded(self.encoded_header), "header")

    def claims(self) -> Mapping[str, Any]:
        """Return the payload's members. Raises `InvalidToken`."""
        return _members(self.payload, "payload")


def parse(text: str, limit: int = MOST_CHARACTERS) -> CompactJws:
    """Take a compact JWS apart. Raises `InvalidToken`."""
    if len(text) > limit:
        raise InvalidToken(Reason.TOO_LARGE, "token")
    parts = _COMPACT.fullmatch(text)
    if parts is None:
        raise InvalidToken(Reason.MALFORMED, "not a compact JWS")
    if parts.end(1) > MOST_HEADER_CHARACTERS:
        raise InvalidToken(Reason.TOO_LARGE, "header")
    header, payload, signature = parts.groups()
    signing_input = text[: parts.end(2)].encode("ascii")
    return CompactJws(header, _decoded(payload), signing_input, _decoded(signature))


def _decoded(text: str) -> bytes:
    try:
        return decode(text)
    except ValueError as error:
        raise InvalidToken(Reason.MALFORMED, f"{error}") from None


def _members(text: bytes, part: str) -> Mapping[str, Any]:
    try:
        return parse_object(text)
    except ValueError as error:
        raise InvalidToken(Reason.MALFORMED, f"{part}: {error}") from None


def decode(text: str) -> bytes:
    """Return the bytes of unpadded, canonical base64url. Raises `ValueError`."""
    rest = len(text) % 4
    if rest == 1 or text[-1] not in _LAST[rest]:
        raise ValueError("base64url is not canonical")
    return a2b_base64(text.replace("-", "+").replace("_", "/") + "=="[: -rest % 4])
