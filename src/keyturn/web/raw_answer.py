"""The answer to what was no request: written past the application, which never sees it."""

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from keyturn.errors import Refusal


def raw_answer(refusal: Refusal, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return an answer in the shape of errors that closes; `headers` are those of every answer."""
    body = orjson.dumps({"error": refusal.code, "error_description": refusal.sentence})
    every = [
        *headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    lines = b"".join(b"%s: %s\r\n" % pair for pair in every)
    return b"%s%s\r\n%s" % (STATUS_LINE[refusal.status], lines, body)
