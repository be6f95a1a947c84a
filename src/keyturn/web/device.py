"""What a browser calls itself: kept to tell a person where they are signed in, never believed."""

from starlette.requests import Request

MOST_DEVICE = 200
"""Characters of a User-Agent that are kept."""


def device_of(request: Request) -> str | None:
    """Return the printable part of the User-Agent, or None."""
    text = request.headers.get("user-agent") or ""
    return "".join(one for one in text if one.isprintable())[:MOST_DEVICE] or None
