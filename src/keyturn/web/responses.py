"""Answers and refusals, in the shape of the family of doors they come from.

Protocol endpoints answer errors as RFC 6749 section 5.2 says, the session API adds the request id,
the admin API answers problem details (`problem`). Refusals show their constant sentence, never
their detail; what nobody foresaw shows nothing but `server_error`. Nothing that is answered here
may be kept by a cache.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import orjson
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from keyturn import paths
from keyturn.authorization_errors import InsufficientScope
from keyturn.crypto.client_jws import ALGORITHMS
from keyturn.dpop_errors import AT_RESOURCE
from keyturn.errors import (
    InsufficientUserAuthentication,
    InvalidClient,
    InvalidRequest,
    InvalidToken,
    MethodNotAllowed,
    NotFound,
    Refusal,
    RequestTimeout,
    Throttled,
    Unavailable,
)
from keyturn.registration_errors import RegistrationRefusal
from keyturn.web import html, problem
from keyturn.web.request_notes import notes_of

MEDIA_TYPE: Final = "application/json"
SESSION_API: Final = "/auth/"
REALM: Final = 'realm="keyturn"'
HUNG_UP: Final = 499
"""The status in log and metric of a request whose caller left before the answer began."""
PAGES: Final = frozenset(
    {
        paths.AUTHORIZE,
        paths.RESUME,
        paths.END_SESSION,
        paths.LOGIN_PAGE,
        paths.CONSENT_PAGE,
        paths.ACCOUNT_PAGE,
        paths.DEVICE_PAGE,
        paths.SIGNED_OUT,
    }
)
"""What people open in a browser: they read a page, not JSON."""
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}

Handler = Callable[[Request, Exception], Awaitable[Response]]

ErrorPage = Callable[[Request, Refusal], Response]
"""Shows a refusal to a person: `keyturn.pages.answers` does."""


def json_bytes(
    content: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return `content` as JSON that nobody may keep (RFC 6749 section 5.1)."""
    every = {**_NO_STORE, **headers} if headers else _NO_STORE
    return Response(orjson.dumps(content), status, every, MEDIA_TYPE)


def json_answer(
    message: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a message of the session API, or of the admin API, under its names on the wire."""
    body = message.model_dump_json(by_alias=True)
    return Response(body, status, {**_NO_STORE, **(headers or {})}, MEDIA_TYPE)


def empty_answer(status: int = 204) -> Response:
    """Return an answer without a body."""
    return Response(status_code=status, headers=_NO_STORE)


def see_other(location: str) -> Response:
    """Send a browser on by GET, whatever it came with (RFC 9700 section 4.12).

    303 alone never repeats a form, which may hold a password, at the next address.
    """
    headers = {**_NO_STORE, "Location": location, "Referrer-Policy": "no-referrer"}
    return Response(status_code=303, headers=headers)


def oauth_error(refusal: Refusal) -> Response:
    """Return a refusal as the protocol's errors look (RFC 6749 section 5.2)."""
    members = refusal.members if isinstance(refusal, RegistrationRefusal) else ()
    return json_bytes(
        {
            "error": refusal.code,
            "error_description": refusal.sentence,
            **({"members": list(members)} if members else {}),
        },
        refusal.status,
        _oauth_headers(refusal),
    )


def session_error(refusal: Refusal, request_id: str) -> Response:
    """Return a refusal as the session API's errors look; `request_id` is for the operator."""
    headers = _error_headers(refusal)
    if refusal.status == InvalidToken.status:
        # RFC 9110 section 15.5.2 wants a challenge. Never Basic: browsers would open a window.
        headers.setdefault("WWW-Authenticate", f"Bearer {REALM}")
    return json_bytes(
        {
            "error": refusal.code,
            "error_description": refusal.sentence,
            "requestId": request_id,
        },
        refusal.status,
        headers,
    )


def admin_error(refusal: Refusal, request_id: str) -> Response:
    """Return a refusal as problem details (RFC 9457)."""
    body = problem.problem_of(refusal, request_id).model_dump_json()
    headers = {**_NO_STORE, **_error_headers(refusal)}
    return Response(body, refusal.status, headers, problem.MEDIA_TYPE)


def render(request: Request, refusal: Refusal, page: ErrorPage | None = None) -> Response:
    """Return a refusal in the shape of the doors under the request's path, and note it.

    Without `page`, people read a page that needs nothing but itself.
    """
    notes = notes_of(request.scope)
    notes.error, notes.detail = refusal.code, refusal.detail
    if request.scope["path"] in PAGES or (page is not None and _went_astray(request, refusal)):
        return _page(request, refusal, page)
    if request.scope["path"].startswith(SESSION_API):
        response = session_error(refusal, notes.request_id)
    elif notes.administers:
        response = admin_error(refusal, notes.request_id)
    else:
        response = oauth_error(refusal)
    if isinstance(refusal, InvalidToken) and not _shows_token(request):
        # Who showed no token is told that one is wanted, and of no error (RFC 6750 section 3.1).
        response.headers["WWW-Authenticate"] = f"Bearer {REALM}"
    return response


def _went_astray(request: Request, refusal: Refusal) -> bool:
    """Whether a person looks for what is not here: browsers ask for HTML, programs do not."""
    if not isinstance(refusal, NotFound) or request.scope["path"].startswith(SESSION_API):
        return False
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _page(request: Request, refusal: Refusal, page: ErrorPage | None) -> Response:
    if page is None:
        response = html.bare_error(refusal, notes_of(request.scope).request_id)
    else:
        response = page(request, refusal)
    if isinstance(refusal, RequestTimeout):
        response.headers["Connection"] = "close"
    return response


async def answer_refusal(
    request: Request, refusal: Exception, page: ErrorPage | None = None
) -> Response:
    """Answer a rule or a door that said no."""
    if not isinstance(refusal, Refusal):
        raise refusal
    return render(request, refusal, page)


async def answer_http_exception(
    request: Request, error: Exception, page: ErrorPage | None = None
) -> Response:
    """Answer what the router refuses: unknown paths and methods, alike everywhere."""
    if not isinstance(error, HTTPException):
        raise error
    refusal = _ROUTER.get(error.status_code, InvalidRequest)("router")
    response = render(request, refusal, page)
    if error.headers and "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


async def answer_nobody(_request: Request, _gone: Exception) -> Response:
    """End a request whose caller has left while sending it: nobody hears this."""
    return Response(status_code=HUNG_UP)


async def answer_unforeseen(request: Request, _error: Exception) -> Response:
    """Answer an exception nobody caught; `request_log` logs it, with its traceback."""
    return render(request, Refusal("unforeseen"))


def error_handlers(page: ErrorPage | None = None) -> dict[Any, Handler]:
    """Return what to give Starlette as `exception_handlers`; `page` is for people."""
    return {
        Refusal: partial(answer_refusal, page=page),
        HTTPException: partial(answer_http_exception, page=page),
        ClientDisconnect: answer_nobody,
        Exception: answer_unforeseen,
    }


_ROUTER: Final[Mapping[int, type[Refusal]]] = {404: NotFound, 405: MethodNotAllowed}


def _oauth_headers(refusal: Refusal) -> dict[str, str]:
    headers = _error_headers(refusal)
    if isinstance(refusal, InvalidClient) and refusal.basic_challenge:
        headers["WWW-Authenticate"] = f'Basic {REALM}, charset="UTF-8"'
    return headers


def _error_headers(refusal: Refusal) -> dict[str, str]:
    headers = {}
    if isinstance(refusal, Throttled | Unavailable):
        headers["Retry-After"] = str(max(1, refusal.retry_after))
    if isinstance(refusal, AT_RESOURCE):
        headers["WWW-Authenticate"] = _dpop_challenge(refusal)
    elif isinstance(refusal, InvalidToken | InsufficientUserAuthentication | InsufficientScope):
        headers["WWW-Authenticate"] = _bearer_challenge(refusal)
    if isinstance(refusal, RequestTimeout):
        headers["Connection"] = "close"
    return headers


def _shows_token(request: Request) -> bool:
    shown = request.headers.getlist("authorization")
    return any(value.partition(" ")[0].lower() in {"bearer", "dpop"} for value in shown)


def _dpop_challenge(refusal: Refusal) -> str:
    """Return the challenge of RFC 9449 section 7.1."""
    return (
        f'DPoP {REALM}, error="{refusal.code}", error_description="{refusal.sentence}",'
        f' algs="{" ".join(ALGORITHMS)}"'
    )


def _bearer_challenge(
    refusal: InvalidToken | InsufficientUserAuthentication | InsufficientScope,
) -> str:
    """Return the challenge of RFC 6750 section 3, with `max_age` by RFC 9470 section 3."""
    challenge = f'Bearer {REALM}, error="{refusal.code}", error_description="{refusal.sentence}"'
    if isinstance(refusal, InsufficientUserAuthentication):
        challenge += f', max_age="{refusal.max_age}"'
    if isinstance(refusal, InsufficientScope):
        challenge += f', scope="{refusal.scope}"'
    return challenge
