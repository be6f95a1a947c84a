"""What every answer must be, whatever was asked: a pure function from request and answer to complaints.

No failure of the server, the shape of a family of doors, a code that exists with its status, no
header that nobody knows, nobody sent anywhere but where a client is registered, and no secret that
the caller did not bring along.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from attacks.grammar import Draft
from attacks.wire import Answer
from keyturn import (
    authorization_errors,
    device_errors,
    dpop_errors,
    errors,
    paths,
    registration_errors,
    request_errors,
)
from keyturn.web.responses import PAGES
from support.browserless import CALLBACK, GOODBYE

ROOMS = (
    errors, authorization_errors, device_errors, dpop_errors, registration_errors, request_errors,
)  # fmt: skip
REFUSALS = {
    (one.code, one.status, one.sentence)
    for room in ROOMS
    for one in vars(room).values()
    if isinstance(one, type) and issubclass(one, errors.Refusal)
}
PROTOCOL, SESSION, ADMIN, PAGE = "protocol", "session API", "admin", "page"
SHAPES = {
    PROTOCOL: ({"error", "error_description"}, {"error", "error_description", "members"}),
    SESSION: ({"error", "error_description", "requestId"},),
    ADMIN: ({"type", "title", "status", "detail", "instance", "code", "request_id", "errors"},),
}
KNOWN_HEADERS = frozenset(
    [
        "access-control-allow-credentials",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "access-control-max-age",
        "allow",
        "cache-control",
        "connection",
        "content-length",
        "content-security-policy",
        "content-type",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "date",
        "dpop-nonce",
        "etag",
        "idempotency-replayed",
        "location",
        "origin-agent-cluster",
        "permissions-policy",
        "pragma",
        "referrer-policy",
        "retry-after",
        "set-cookie",
        "strict-transport-security",
        "vary",
        "www-authenticate",
        "x-content-type-options",
        "x-frame-options",
        "x-request-id",
        "transfer-encoding",
        "link",
        "content-language",
        "expires",
        "last-modified",
    ]
)
"""Anything else would be a header that a caller has smuggled in."""
SENT_ON = frozenset({CALLBACK, GOODBYE})
TELLTALES = (b"Traceback", b"asyncpg", b"starlette", b"uvicorn", b"site-packages")
BENT = frozenset({"other_path", "other_id"})
"""Mutations after which a request is for another address."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Judge:
    """Knows the issuer, and whose secrets must not be told."""

    issuer: str
    secrets: Mapping[str, bytes]

    def complaints(self, draft: Draft, answer: Answer) -> Iterator[str]:
        """Yield everything that is wrong with an answer."""
        if answer.status >= 500:
            yield f"status {answer.status}"
        yield from (f"header {name}" for name, _ in answer.headers if name not in KNOWN_HEADERS)
        yield from (f"says {one!r}" for one in TELLTALES if one in answer.raw)
        yield from (
            f"tells a {name}"
            for name, secret in self.secrets.items()
            if secret in answer.raw and not draft.carries(secret)
        )
        if answer.status in REDIRECTS:
            yield from self._strayed(answer)
        if answer.status >= 400 and draft.method != "HEAD":
            yield from misshapen(draft, answer)

    def _strayed(self, answer: Answer) -> Iterator[str]:
        location = answer.header("location")
        bare = location.partition("?")[0]
        own = location.startswith(f"{self.issuer}/") or urlsplit(location)[:2] == ("", "")
        if not (bare in SENT_ON or (own and not location.startswith(("//", "/\\")))):
            yield f"sends somebody to {location[:80]!r}"
        if answer.status != 303:
            yield f"redirects by {answer.status}"


def misshapen(draft: Draft, answer: Answer) -> Iterator[str]:
    """Yield what is wrong with the shape of a refusal."""
    kind = answer.header("content-type").partition(";")[0]
    if kind == "text/html":
        yield from _misshapen_page(draft, answer)
        return
    said = _object(answer.body)
    if said is None:
        yield f"a refusal that is no JSON object: {kind} {answer.body[:60]!r}"
        return
    families = allowed(draft)
    if not any(set(said) in SHAPES[one] for one in families if one in SHAPES):
        yield f"members {sorted(said)} where {sorted(families)} answer"
    code, sentence = (
        said.get("code", said.get("error")),
        said.get("detail", said.get("error_description")),
    )
    if (code, answer.status, sentence) not in REFUSALS:
        yield f"{code} with {answer.status}: {sentence!r}"
    if answer.header("cache-control") != "no-store":
        yield "a refusal that may be kept"


def _misshapen_page(draft: Draft, answer: Answer) -> Iterator[str]:
    if PAGE not in allowed(draft):
        yield "a page where programs ask"
    if "default-src 'none'" not in answer.header("content-security-policy"):
        yield "a page without a policy"


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(body)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def allowed(draft: Draft) -> set[str]:
    """Return the families that may answer: the path's own, and what cannot be read is JSON anywhere."""
    if not BENT.isdisjoint(draft.mutations):
        return {PROTOCOL, SESSION, ADMIN, PAGE}  # whose it is now, only the router knows
    wants_page = any(name == "Accept" for name, _ in draft.headers)
    template = draft.door.partition(" ")[2]
    if draft.path.startswith("/admin"):
        return {ADMIN, PROTOCOL}
    if draft.path.startswith("/auth/"):
        return {SESSION, PROTOCOL}
    if template in PAGES:
        return {PAGE, PROTOCOL}
    return {PROTOCOL, PAGE} if wants_page or template == paths.STATIC else {PROTOCOL}
