"""Which pages may send requests: `Origin` and `Sec-Fetch-Site`, which no script can forge.

A browser adds them, so they say the truth about browsers; programs may send what they like, and
have no cookies of ours. `null` (sandboxed frames, local files) is nobody's origin.
"""

from starlette.datastructures import Headers

from keyturn.clients.model import Client
from keyturn.errors import CookieNeedsSameSite, OriginRefused

NOBODY = "null"

CLIENT_HEADER = "X-Keyturn-Client"
"""Names the client of a request to the session API."""


def check(headers: Headers, client: Client) -> None:
    """Let a request without `Origin` pass, and one whose `Origin` the client lists, exactly.

    Raises `OriginRefused`.
    """
    origins = headers.getlist("origin")
    if origins and not is_listed(origins, client.origins):
        raise OriginRefused("origin: not one of this client's")


def require(headers: Headers, client: Client) -> None:
    """Let pass only what proves that it comes from a page of the client: for cookies.

    A page of another origin cannot send `X-Keyturn-Client` without a preflight. Raises
    `OriginRefused`.
    """
    if CLIENT_HEADER not in headers:
        raise OriginRefused("cookie: without X-Keyturn-Client")
    check(headers, client)
    if "origin" not in headers and headers.getlist("sec-fetch-site") != ["same-origin"]:
        raise OriginRefused("cookie: neither Origin nor Sec-Fetch-Site: same-origin")


def refuse_cross_site(headers: Headers) -> None:
    """Refuse a sign-in whose cookie the browser would drop. Raises `CookieNeedsSameSite`."""
    if "cross-site" in headers.getlist("sec-fetch-site"):
        raise CookieNeedsSameSite("sec-fetch-site: cross-site")


def is_listed(origins: list[str], allowed: frozenset[str]) -> bool:
    """Whether there is exactly one origin, somebody's, and among those allowed."""
    return len(origins) == 1 and origins[0] != NOBODY and origins[0] in allowed
