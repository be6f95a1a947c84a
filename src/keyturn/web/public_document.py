"""Documents anybody may read from anywhere and keep for a while: JWKS and metadata.

Their bytes are made once, so an answer costs a comparison of entity tags (RFC 9110 section 13).
They hold nothing of anybody's: `cors` lets every web page read them.
"""

from starlette.requests import Request
from starlette.responses import Response


def public_document(request: Request, body: bytes, etag: str, max_age: int) -> Response:
    """Return the JSON document, or 304 when the caller has it already.

    `max_age` is in seconds. No stale-while-revalidate is sent: a key may sign once every cache
    has expired, and that time must be ours to know.
    """
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={max_age}"}
    if _has_it(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _has_it(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    # Weak comparison (RFC 9110 section 8.8.3.2): a compressing proxy weakens the tag we sent.
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in {"*", etag} for tag in tags)
