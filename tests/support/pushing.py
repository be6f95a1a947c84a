"""A client that pushes its requests (RFC 9126), and the browser it sends behind them."""

import re

import httpx2

from support.api import Api
from support.browserless import Browserless, forms_of, request_of

PAR = "/oauth2/par"
AUTHORIZE = "/oauth2/authorize"
URN = re.compile(r"urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{22,}")


async def push(api: Api, client_id: str, **changes: str | None) -> httpx2.Response:
    """Push a good request; a parameter changed to None is left out."""
    return await api.form(PAR, client_id, **request_of(client_id, **changes))


async def pushed(api: Api, client_id: str, **changes: str | None) -> str:
    """Push a request that is taken; return its `request_uri`."""
    answer = await push(api, client_id, **changes)
    assert answer.status_code == 201, answer.text
    return uri_of(answer)


def uri_of(answer: httpx2.Response) -> str:
    """Return what a push was answered with."""
    uri: str = answer.json()["request_uri"]
    assert URN.fullmatch(uri)
    return uri


async def visit(
    browser: Browserless, client_id: str, request_uri: str, **besides: str
) -> httpx2.Response:
    """Come from the application with nothing but its name and what it has pushed."""
    return await browser.open(
        AUTHORIZE, {"client_id": client_id, "request_uri": request_uri, **besides}
    )


def is_over(answer: httpx2.Response) -> bool:
    """Whether a pushed request is answered by a page that sends nobody anywhere."""
    assert answer.status_code == 400, (answer.status_code, answer.headers.get("location"))
    assert answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers
    assert "answer" not in forms_of(answer)
    return True
