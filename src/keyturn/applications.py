"""The applications of a server, public and management: doors behind what every request meets."""

from starlette.types import ASGIApp

from keyturn.hosted import Hosted
from keyturn.management import Watched, management_routes
from keyturn.parts import Parts
from keyturn.routes import public_routes
from keyturn.telemetry import logs
from keyturn.web.cors import Cors
from keyturn.web.request_log import EXPECTED, RequestLog
from keyturn.web.request_traces import RequestTraces
from keyturn.web.routing import Routed


def _logged(app: ASGIApp, parts: Parts, writer: logs.LineWriter, *, quiet: bool = False) -> ASGIApp:
    traces = RequestTraces.of(parts.traces, parts.settings)
    return RequestLog(app, parts.clock, parts.metrics, writer, parts.address, quiet, traces)


def public_app(parts: Parts, writer: logs.LineWriter) -> ASGIApp:
    """Everything the world may call."""
    hosted = Hosted.of(parts)
    routed = Routed.of(public_routes(parts, hosted), hosted.answers.error)
    for method, route, statuses in EXPECTED:
        parts.metrics.requests.expect(method, route, statuses)
    return _logged(Cors(routed, parts.registry), parts, writer)


def management_app(
    parts: Parts, writer: logs.LineWriter, watched: Watched | None = None
) -> ASGIApp:
    """Health, metrics and administration, on a port of their own that no Ingress reaches."""
    managed = Routed.of(management_routes(parts, watched))
    return _logged(managed, parts, writer, quiet=True)
