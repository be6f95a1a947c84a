"""A collector of traces: receives OTLP over HTTP as real ones do, and keeps every span.

What it does with a batch is `behaviour`: None takes it, a function has the bare handler.
"""

import gzip
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Wire

PATIENCE = 30.0
SERVER, CLIENT = Wire.SPAN_KIND_SERVER, Wire.SPAN_KIND_CLIENT
ERROR = 2

Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Span:
    """One span; ids in hex."""

    trace_id: str
    id: str
    parent: str
    name: str
    kind: int
    attributes: Mapping[str, Any]
    links: tuple[str, ...]
    """Trace ids."""
    failed: bool
    began: int
    ended: int
    resource: Mapping[str, Any]


@dataclass
class Collector:
    """What was received, by the server's threads."""

    port: int = 0
    behaviour: Behaviour | None = None
    spans: list[Span] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    """Decompressed, as they came."""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    asked: int = 0

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def of(self, trace_id: str) -> list[Span]:
        """Return the spans of one trace; a trace arrives whole."""
        return self.until(lambda: [one for one in self.spans if one.trace_id == trace_id])

    def until(self, found: Callable[[], Any]) -> Any:
        """Return what is found as soon as there is any."""
        deadline = time.monotonic() + PATIENCE
        while not (result := found()):
            assert time.monotonic() < deadline, f"not among {len(self.spans)} spans"
            time.sleep(0.02)
        return result

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.asked += 1
        body = handler.rfile.read(int(handler.headers["content-length"]))
        if self.behaviour is not None:
            self.behaviour(handler)
            return
        assert handler.headers["content-type"] == "application/x-protobuf"
        if handler.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        message = ExportTraceServiceRequest.FromString(body)
        self.bodies.append(body)
        self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        for group in message.resource_spans:
            resource = _values(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_span(one, resource) for one in scope.spans]
        answer = ExportTraceServiceResponse().SerializeToString()
        handler.send_response(200)
        handler.send_header("content-type", "application/x-protobuf")
        handler.send_header("content-length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)


def answering(status: int, *headers: tuple[str, str], body: bytes = b"") -> Behaviour:
    """Return the behaviour of one that answers only this."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def _span(one: Wire, resource: Mapping[str, Any]) -> Span:
    return Span(
        trace_id=one.trace_id.hex(),
        id=one.span_id.hex(),
        parent=one.parent_span_id.hex(),
        name=one.name,
        kind=one.kind,
        attributes=_values(one.attributes),
        links=tuple(link.trace_id.hex() for link in one.links),
        failed=one.status.code == ERROR,
        began=one.start_time_unix_nano,
        ended=one.end_time_unix_nano,
        resource=resource,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector for the length of the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                collector.take(self)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        collector.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
