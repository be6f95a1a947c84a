"""What a browser calls itself: kept to tell a person where they are signed in, never believed.

Browsers say much that each of them says. It is left out: half of the name, in every session's row.
"""

import re

from starlette.requests import Request

MOST_DEVICE = 200
"""Characters of a User-Agent that are kept."""

_BROWSER = "Mozilla/5.0 ("
_SAID_BY_ALL = re.compile(
    r"^Mozilla/5\.0 | AppleWebKit/[\d.]+| \(KHTML, like Gecko\)| Gecko/[\d.]+| Safari/537\.36"
)
"""The last is no Safari: Chrome and its kin call themselves by that number since 2013."""


def device_of(request: Request) -> str | None:
    """Return the printable part of the User-Agent that tells devices apart, or None."""
    text = request.headers.get("user-agent") or ""
    printable = "".join(one for one in text if one.isprintable())
    return condensed(printable)[:MOST_DEVICE] or None


def condensed(name: str) -> str:
    """Return a browser's name without what all say: `(X11; Linux x86_64) Chrome/131.0.0.0`."""
    return _SAID_BY_ALL.sub("", name) if name.startswith(_BROWSER) else name
