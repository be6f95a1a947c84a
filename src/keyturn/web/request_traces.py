"""Which requests are traced, and what their traces say of them.

As OpenTelemetry's conventions for HTTP servers have it, without what names a person or holds a
secret: no path and no query (codes, tokens and ids are in them), no address of the caller, no
header. The log line of the same trace id has the address.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from starlette.types import Scope

from keyturn.settings import Settings
from keyturn.telemetry.traceparent import Traceparent
from keyturn.telemetry.tracing import Trace, Traces
from keyturn.web.client_ip import ClientAddress
from keyturn.web.request_notes import RequestNotes

FAILED = 500


class Told(NamedTuple):
    """How a request was answered: `method` is a known one, `route` a template or none."""

    method: str
    route: str | None
    status: int


@dataclass(frozen=True, slots=True, eq=False)
class RequestTraces:
    """Begins and ends the traces of a server's requests."""

    traces: Traces
    callers: ClientAddress
    """Whose `traceparent` is continued."""
    scheme: str
    host: str

    @classmethod
    def of(cls, traces: Traces | None, settings: Settings) -> Self | None:
        """Return them for a process; None where nothing is traced."""
        if traces is None:
            return None
        # What people call the server is configured, never read from the header Host.
        issuer = urlsplit(settings.issuer)
        callers = ClientAddress(settings.tracing.trusted_callers)
        return cls(traces, callers, issuer.scheme, issuer.hostname or "")

    def begin(self, scope: Scope, said: Traceparent | None) -> Trace | None:
        """Begin the trace of this request, or do not."""
        believed = said is not None and self.callers.comes_through_proxy(scope)
        return self.traces.begin(said, believed=believed)

    def end(self, trace: Trace, told: Told, notes: RequestNotes) -> None:
        """End it: `told` is what the log line says."""
        trace.name = told.method if told.route is None else f"{told.method} {told.route}"
        trace.failed = told.status >= FAILED
        trace.attributes = {
            "http.request.method": told.method,
            "http.response.status_code": told.status,
            "url.scheme": self.scheme,
            "server.address": self.host,
            "keyturn.request_id": notes.request_id,
        }
        if told.route is not None:
            trace.attributes["http.route"] = told.route
        if trace.failed:
            trace.attributes["error.type"] = str(told.status)
        if notes.error:
            trace.attributes["keyturn.error"] = notes.error
        if notes.client is not None:
            trace.attributes["keyturn.client_id"] = notes.client.id
        self.traces.end(trace)
