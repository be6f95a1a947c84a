"""Which door a request goes to. One of a fixed path is looked up; templates are Starlette's.

Starlette asks its routes one after the other, within three layers that each watch for exceptions.
That is dear (docs/performance.md), so what has no template, which is all that is asked often, is
answered from one table, and its exceptions in one place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from keyturn.errors import Refusal
from keyturn.web.responses import (
    ErrorPage,
    answer_http_exception,
    answer_nobody,
    answer_refusal,
    answer_unforeseen,
    error_handlers,
)


@dataclass(frozen=True, slots=True, eq=False)
class Routed:
    """The ASGI application of a port, behind its middleware."""

    app: Starlette
    """Every route: it answers templates, unknown paths and methods that a path does not have."""
    fixed: Mapping[tuple[str, str], Route]
    """Routes without a template, by method and path."""
    page: ErrorPage | None

    @classmethod
    def of(cls, routes: Sequence[Route], page: ErrorPage | None = None) -> Self:
        """Build it; `page` shows refusals to people. Raises `ValueError` for ambiguous routes."""
        app = Starlette(routes=routes, exception_handlers=error_handlers(page))
        app.router.redirect_slashes = False  # its target is made of the Host header
        plain = [route for route in routes if not route.param_convertors]
        doors = [((method, one.path), one) for one in plain for method in one.methods or ()]
        fixed = dict(doors)
        if len(fixed) != len(doors) or not all(iscoroutinefunction(one.endpoint) for one in plain):
            raise ValueError("routing: a door twice, or one that is no coroutine")
        return cls(app, fixed, page)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_request = scope["type"] == "http"
        route = self.fixed.get((scope["method"], scope["path"])) if is_request else None
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request)
        except Refusal as refusal:
            response = await answer_refusal(request, refusal, self.page)
        except ClientDisconnect as gone:
            response = await answer_nobody(request, gone)
        except HTTPException as error:
            response = await answer_http_exception(request, error, self.page)
        except Exception as error:
            response = await answer_unforeseen(request, error)
            await response(scope, receive, send)
            raise
        await response(scope, receive, send)
