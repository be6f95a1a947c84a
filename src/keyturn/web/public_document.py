"""Documents anybody may read from anywhere and keep for a while: JWKS, metadata, status lists.

Their bytes are made once, so an answer costs a comparison of entity tags (RFC 9110 section 13).
They hold nothing of anybody's: `cors` lets every web page read them.
"""

from starlette.requests import Request
from starlette.responses import Response


def public_document(
    request: Request,
    body: bytes,
    etag: str,
    max_age: int,
    *,
    media_type: str = "application/json",
    gzipped: bytes | None = None,
) -> Response:
    """Return the document, or 304 when the caller has it already.

    `max_age` is in seconds. No stale-while-revalidate is sent: a key may sign once every cache
    has expired, and that time must be ours to know. `gzipped` is the same for who accepts gzip;
    its tag must be a weak one, as the two are not the same bytes.
    """
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={max_age}"}
    if gzipped is not None:
        headers["Vary"] = "Accept-Encoding"
    if _has_it(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    if gzipped is not None and _accepts_gzip(request.headers.get("accept-encoding", "")):
        body, headers = gzipped, {**headers, "Content-Encoding": "gzip"}
    return Response(body, media_type=media_type, headers=headers)


def _has_it(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    # Weak comparison (RFC 9110 section 8.8.3.2): a compressing proxy weakens the tag we sent.
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in {"*", etag.removeprefix("W/")} for tag in tags)


def _accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip is named and not refused (RFC 9110 section 12.5.3); "*" alone names nothing."""
    for one in accept_encoding.lower().split(","):
        coding, _, weight = one.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "").rstrip("0") not in {"q=", "q=0."}
    return False
