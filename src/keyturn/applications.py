"""The applications of a server, public and management: doors behind what every request meets."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from keyturn.hosted import Hosted
from keyturn.management import Watched, management_routes
from keyturn.parts import Parts
from keyturn.routes import public_routes
from keyturn.telemetry import logs
from keyturn.web.cors import Cors
from keyturn.web.request_log import EXPECTED, RequestLog
from keyturn.web.request_traces import RequestTraces
from keyturn.web.responses import ErrorPage, error_handlers


def _routed(routes: Sequence[Route], page: ErrorPage | None = None) -> Starlette:
    routed = Starlette(routes=routes, exception_handlers=error_handlers(page))
    routed.router.redirect_slashes = False  # its target is made of the Host header
    return routed


def _logged(app: ASGIApp, parts: Parts, writer: logs.LineWriter, *, quiet: bool = False) -> ASGIApp:
    traces = RequestTraces.of(parts.traces, parts.settings)
    return RequestLog(app, parts.clock, parts.metrics, writer, parts.address, quiet, traces)


def public_app(parts: Parts, writer: logs.LineWriter) -> ASGIApp:
    """Everything the world may call."""
    hosted = Hosted.of(parts)
    answering = _routed(public_routes(parts, hosted), hosted.answers.error)
    routed = Cors(answering, parts.registry)
    for method, route, statuses in EXPECTED:
        parts.metrics.requests.expect(method, route, statuses)
    return _logged(routed, parts, writer)


def management_app(
    parts: Parts, writer: logs.LineWriter, watched: Watched | None = None
) -> ASGIApp:
    """Health, metrics and administration, on a port of their own that no Ingress reaches."""
    managed = _routed(management_routes(parts, watched))
    return _logged(managed, parts, writer, quiet=True)
