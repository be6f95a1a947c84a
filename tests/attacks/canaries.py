"""Keeps every secret that passes between a server and whoever calls it, and what was asked where."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx2

from keyturn import paths
from support.api import set_cookies
from support.browserless import forms_of

MEMBERS = frozenset({
    "password", "newPassword", "refreshToken", "accessToken", "access_token", "refresh_token",
    "id_token", "id_token_hint", "client_secret", "secret", "registration_access_token", "device_code",
    "user_code", "code_verifier", "client_assertion", "subject_token", "token", "request_uri",
})  # fmt: skip
"""Members of forms and of JSON that are secrets, whoever sends them."""

IN_ADDRESSES = frozenset({"code", "request_uri"})
PAGES = "form field"
COOKIE = "cookie"
LEAST = 8
OPAQUE = 16
"""Characters of a cookie or a hidden field that can be a secret."""

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

TEMPLATES = {
    path: re.compile(re.sub(r"{\w+}", "[^/]+", path))
    for name, path in sorted(vars(paths).items())
    if name.isupper()
}


def template_of(path: str) -> str | None:
    """Return the path of ours that this one is."""
    if path in TEMPLATES:
        return path
    return next((ours for ours, fits in TEMPLATES.items() if fits.fullmatch(path)), None)


@dataclass
class Recorder:
    """Watches callers; `kept` is every secret by kind and number."""

    kept: dict[str, bytes] = field(default_factory=dict)
    asked: set[tuple[str, bool]] = field(default_factory=set)
    """Paths of ours, and whether the answer was a good one."""
    refusals: list[bytes] = field(default_factory=list)
    """Refused answers, headers and all."""
    _known: set[str] = field(default_factory=set)

    def watch(self, caller: httpx2.AsyncClient) -> None:
        """Hear of everything that this caller sends and gets."""
        caller.event_hooks = {"response": [self.hear]}

    def keep(self, kind: str, value: str) -> None:
        """Keep a secret once."""
        if len(value) >= LEAST and value not in self._known:
            self._known.add(value)
            self.kept[f"{kind} {len(self.kept)}"] = value.encode()

    async def hear(self, answer: httpx2.Response) -> None:
        """Take one request and its answer apart."""
        await answer.aread()
        self._read_request(answer.request)
        template, good = template_of(answer.request.url.path), answer.status_code < 400
        if template is not None:
            self.asked.add((template, good))
        if not good:
            head = b"\n".join(b"%s: %s" % pair for pair in answer.headers.raw)
            self.refusals.append(head + b"\n\n" + answer.content)
        self._read_answer(answer)

    def _read_request(self, request: httpx2.Request) -> None:
        headers = request.headers
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            shown = unquote(base64.b64decode(shown).decode("latin-1").partition(":")[2])
        self.keep("authorization", shown)
        self.keep("proof", headers.get("dpop", ""))
        for name, value in _members(request.content, headers.get("content-type", "")):
            if name in MEMBERS:
                self.keep(name, value)

    def _read_answer(self, answer: httpx2.Response) -> None:
        for _, value, _ in set_cookies(answer):
            self._keep_opaque(COOKIE, value)
        query = urlsplit(answer.headers.get("location", "")).query
        for name, value in parse_qsl(query):
            if name in IN_ADDRESSES:
                self.keep(name, value)
        kind = answer.headers.get("content-type", "")
        for name, value in _members(answer.content, kind):
            if name in MEMBERS:
                self.keep(name, value)
        if kind.startswith("text/html"):
            for form in forms_of(answer).values():
                for name, value in form.fields.items():
                    if name != "email":
                        self._keep_opaque(PAGES, value)

    def _keep_opaque(self, kind: str, value: str) -> None:
        # An id in a form names a session or an application; it opens nothing.
        if len(value) >= OPAQUE and not UUID.fullmatch(value):
            self.keep(kind, value)


def _members(body: bytes, kind: str) -> Iterator[tuple[str, str]]:
    """Yield names and texts of a form or of JSON, however deep."""
    if kind.startswith("application/x-www-form-urlencoded"):
        yield from parse_qsl(body.decode("latin-1"))
    elif "json" in kind and body:
        try:
            yield from _texts(json.loads(body))
        except ValueError:
            return  # some are sent broken on purpose


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    if isinstance(value, Mapping):
        for name, one in value.items():
            if isinstance(one, str):
                yield name, one
            else:
                yield from _texts(one)
