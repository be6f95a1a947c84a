"""A request before it is written down: its parts lie apart, so that each can be bent by itself.

A `Draft` begins as a valid request. `written` is the only place where it becomes octets, framed
honestly: what lies about its own length is for the raw sockets of `test_smuggling`.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote, quote_from_bytes, quote_plus

Value: TypeAlias = str | bytes
Pair: TypeAlias = tuple[str, Value]
Sign: TypeAlias = Callable[[Any, Any], str]
"""Signs a JWT's header and claims, as who holds the key could."""

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
HOST = "localhost"
BASE64 = re.compile(rb"[^A-Za-z0-9_-]")
ALPHABET = bytes.maketrans(b"+/", b"-_")
LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
HAS_A_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})

RAW_JSON = (
    "1e999", "-0", "9" * 6000, "NaN", "-Infinity", "[" * 3000, '{"a":' * 900, "'a'", "0x1F", "1.",
    '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\\x"', '"' + "\\u0041" * 2000 + '"', "nul", "",
    "[" * 400 + "]" * 400, '{"":0,"":1}', "\ufeff1", "1 1", "[1,]", "/**/1",
)  # fmt: skip
"""What no library would write, to stand where a value does."""


def raw_json(number: int) -> str:
    """Return the text that `json_text` replaces by one of the above."""
    return f"@raw {number}@"


def json_text(value: Any, *, ascii_only: bool = True) -> bytes:
    """Write JSON, lone surrogates and all."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    if "@raw " in text:
        for number, raw in enumerate(RAW_JSON):
            text = text.replace(json.dumps(raw_json(number)), raw)
    return octets(text)


def octets(value: Value) -> bytes:
    """Return a value as it would travel; half a surrogate pair becomes broken UTF-8."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def usual(value: Value) -> str:
    """Escape as browsers do."""
    return quote_plus(octets(value))


def every_octet(value: Value) -> str:
    """Escape what needs it not, too."""
    return "".join(f"%{octet:02x}" for octet in octets(value))


def twice(value: Value) -> str:
    """Escape what is escaped."""
    return quote(usual(value))


def hardly(value: Value) -> str:
    """Escape nothing but what would end the pair."""
    return quote_from_bytes(octets(value), safe=" !\"#$%'()*,/:;<>?@[\\]^`{|}~")


def brokenly(value: Value) -> str:
    """Escape as somebody does who stops in the middle."""
    return f"{usual(value)}%{'g' if len(value) % 2 else ''}"


ESCAPES = (every_octet, twice, hardly, brokenly)


@dataclass
class Draft:
    """One request; `mutations` are the names of what was done to it."""

    door: str
    """The route it is meant for: `POST /oauth2/token`."""
    path: str
    method: str = ""
    query: list[Pair] = field(default_factory=list)
    headers: list[Pair] = field(default_factory=list)
    cookies: list[Pair] = field(default_factory=list)
    form: list[Pair] | None = None
    json: Any = None
    signers: dict[str, Sign] = field(default_factory=dict)
    """How a JWT is signed anew, by the name of the field or header in which it stands."""
    escape: Callable[[Value], str] = usual
    body: bytes | None = None
    chunks: int = 0
    ascii_only: bool = True
    mutations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.method = self.method or self.door.partition(" ")[0]

    @property
    def manages(self) -> bool:
        """Whether it is for the management port."""
        return self.path.startswith(("/admin", "/health", "/metrics"))

    @property
    def places(self) -> list[list[Pair]]:
        """Every list of names and values there is something in."""
        return [one for one in (self.query, self.headers, self.cookies, self.form) if one]

    def pairs(self) -> Iterator[tuple[list[Pair], int]]:
        """Yield where each name and value stands."""
        for place in self.places:
            for at in range(len(place)):
                yield place, at

    def content(self) -> bytes:
        """Return the body."""
        if self.body is not None:
            return self.body
        if self.form is not None:
            return octets(self._urlencoded(self.form))
        return b"" if self.json is None else json_text(self.json, ascii_only=self.ascii_only)

    def _urlencoded(self, pairs: list[Pair]) -> str:
        return "&".join(f"{self.escape(name)}={self.escape(value)}" for name, value in pairs)

    def target(self) -> bytes:
        """Return the request target: no blank and no line end, which would end it."""
        query = f"?{self._urlencoded(self.query)}" if self.query else ""
        return quote_from_bytes(
            octets(self.path + query), safe="".join(map(chr, range(0x21, 0x7F)))
        ).encode()

    def carries(self, secret: bytes) -> bool:
        """Whether the caller itself sent this, however it was packed."""
        sent = [octets(value) for place in self.places for _, value in place]
        sent += [self.content(), octets(self.path), *map(_unpacked, sent)]
        return any(secret in one for one in sent)

    def written(self) -> bytes:
        """Return the request in octets."""
        body = self.content()
        lines = [b"%s %s HTTP/1.1" % (octets(self.method), self.target())]
        lines += [b"%s: %s" % (octets(name), _one_line(value)) for name, value in self.headers]
        if self.cookies:
            jar = b"; ".join(octets(n) + b"=" + _one_line(v) for n, v in self.cookies)
            lines.append(b"Cookie: " + jar)
        if self.chunks:
            lines.append(b"Transfer-Encoding: chunked")
            body = b"".join(_chunked(body, self.chunks))
        elif body or self.method in HAS_A_BODY:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _one_line(value: Value) -> bytes:
    return octets(value).translate(LINE_ENDS)


def _chunked(body: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _unpacked(value: bytes) -> bytes:
    """Return what base64 in a header or a JWT says, as far as it is any."""
    return b"\n".join(map(unpacked, value.replace(b"Basic ", b"").split(b".")))


def unpacked(segment: bytes) -> bytes:
    """Decode base64 of either alphabet, as far as it is any: mutants get bent twice."""
    only = BASE64.sub(b"", segment.translate(ALPHABET))
    cut = only[: len(only) - (len(only) % 4 == 1)]
    return base64.urlsafe_b64decode(cut + b"=" * (-len(cut) % 4))


def draft(door: str, path: str = "", **parts: Any) -> Draft:
    """Return a draft for a route, with the headers that every request has."""
    what = {"form": FORM, "json": JSON}
    typed = [("Content-Type", kind) for name, kind in what.items() if parts.get(name) is not None]
    headers = [("Host", HOST), *typed, *parts.pop("headers", ())]
    return Draft(door, path or door.partition(" ")[2], headers=headers, **parts)
