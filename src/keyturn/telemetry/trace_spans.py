"""Traces as spans of OpenTelemetry, by its semantic conventions, and their way to a collector.

The one module that imports OpenTelemetry. Spans are made here, after the fact and beside the
event loop, not by its tracer: that would work where requests are answered. Everything a span says
stands on this page and in `web.request_traces`; nothing is read from a header, a URL, a statement
or its parameters.
"""

import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from keyturn.crypto import opaque
from keyturn.settings_tracing import TracingSettings
from keyturn.telemetry import build
from keyturn.telemetry.traceparent import Traceparent
from keyturn.telemetry.tracing import Kind, Step, Trace, new_span_id

PATIENCE: Final = 5.0
"""Seconds for one batch, tries again included."""

MOST_REASON: Final = 200
"""Characters of what a collector, who may be anybody, has the log say."""

KINDS: Final[Mapping[Kind, SpanKind]] = {
    "sql": SpanKind.CLIENT,
    "redis": SpanKind.CLIENT,
    "http": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}
STORES: Final[Mapping[Kind, str]] = {"sql": "postgresql", "redis": "redis"}


class OtlpSender:
    """Sends batches to one collector, in the thread that calls it."""

    def __init__(self, settings: TracingSettings) -> None:
        self._resource = _resource(settings)
        self._scope = InstrumentationScope("keyturn", str(dict(build.facts())["version"]))
        self._status = 0
        self._said = _Overhears()
        # Its own lines would be one for each batch, and repeat what the collector answers.
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(self._said)
        self._exporter = OTLPSpanExporter(
            endpoint=settings.endpoint,
            certificate_file=None if settings.ca_file is None else str(settings.ca_file),
            headers=settings.sent_headers(),
            timeout=PATIENCE,
            compression=Compression.Gzip,
            session=self._session(),
        )

    def send(self, traces: Sequence[Trace]) -> str:
        """Send some; return why they did not arrive, or nothing."""
        self._status, self._said.last = 0, ""
        result = self._exporter.export([span for trace in traces for span in self._spans(trace)])
        if result is not SpanExportResult.SUCCESS:
            return self._said.last[:MOST_REASON] or "no answer"
        # The exporter takes a redirection, which it does not follow, for an arrival.
        return "" if self._status < HTTPStatus.MULTIPLE_CHOICES else f"status {self._status}"

    def close(self) -> None:
        """Give up what is being tried."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _session(self) -> requests.Session:
        session = requests.Session()
        # No proxy and no .netrc of the environment; no body, however large or compressed.
        session.trust_env, session.stream = False, True
        session.hooks["response"] = [self._leave_unread]
        return session

    def _leave_unread(self, answer: Any, **_: Any) -> None:
        self._status = answer.status_code
        answer.close()

    def _spans(self, trace: Trace) -> Iterator[ReadableSpan]:
        zero = int(trace.began_at.timestamp() * 1e9) - int(trace.began * 1e9)
        here = _context(trace.trace_id, trace.span_id)
        attributes = dict(trace.attributes)
        if trace.steps_dropped:
            attributes["keyturn.spans_dropped"] = trace.steps_dropped
        yield ReadableSpan(
            name=trace.name,
            context=here,
            parent=_of_caller(trace.parent),
            links=[Link(context)] if (context := _of_caller(trace.linked)) else (),
            kind=SpanKind.SERVER,
            attributes=attributes,
            status=_status(failed=trace.failed),
            start_time=zero + int(trace.began * 1e9),
            end_time=zero + int(trace.ended * 1e9),
            resource=self._resource,
            instrumentation_scope=self._scope,
        )
        for step in trace.steps:
            yield ReadableSpan(
                name=step.name,
                context=_context(trace.trace_id, new_span_id()),
                parent=here,
                kind=KINDS[step.kind],
                attributes=_attributes(step),
                status=_status(failed=bool(step.error)),
                start_time=zero + int(step.began * 1e9),
                end_time=zero + int(step.ended * 1e9),
                resource=self._resource,
                instrumentation_scope=self._scope,
            )


class _Overhears(logging.Filter):
    """Keeps what the exporter would log, and lets nothing through."""

    last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.last = record.getMessage()
        return False


def _resource(settings: TracingSettings) -> Resource:
    facts = dict(build.facts())
    return Resource(
        {
            "service.name": settings.service_name,
            "service.version": str(facts["version"]),
            # Of each process, workers included; it starts afresh with each.
            "service.instance.id": str(opaque.random_uuid()),
            "host.name": socket.gethostname(),
        }
    )


def _attributes(step: Step) -> dict[str, str]:
    attributes = {"error.type": step.error} if step.error else {}
    if step.kind in STORES:
        attributes |= {"db.system.name": STORES[step.kind], "db.operation.name": step.name}
    elif step.kind == "http":
        attributes |= {"http.request.method": step.name, "server.address": step.host}
    return attributes


def _context(trace_id: str, span_id: str, *, is_remote: bool = False) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote, flags)


def _of_caller(said: Traceparent | None) -> SpanContext | None:
    return _context(said.trace_id, said.span_id, is_remote=True) if said else None


def _status(*, failed: bool) -> Status:
    return Status(StatusCode.ERROR if failed else StatusCode.UNSET)
