"""One measurement, one log line and one id for each request; and the net under every door.

Pure ASGI, outermost. Labels and lines name the route by its template and the method by a known
name: nothing a caller can choose becomes a label, and no query, body or header is written down.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Final

import orjson
import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyturn import paths
from keyturn.clock import Clock
from keyturn.errors import NotFound, Refusal, Unavailable
from keyturn.telemetry.callers import enter_call, leave_call
from keyturn.telemetry.labels import METHODS, OTHER_METHOD
from keyturn.telemetry.logs import LineWriter, enter_request, leave_request, redact
from keyturn.telemetry.metrics import Metrics
from keyturn.telemetry.traceparent import Traceparent
from keyturn.telemetry.tracing import enter_trace, leave_trace
from keyturn.web.client_ip import ClientAddress
from keyturn.web.request_notes import RequestNotes, begin_notes, new_request_id
from keyturn.web.request_traces import RequestTraces, Told
from keyturn.web.responses import HUNG_UP, render

UNMATCHED: Final = "unmatched"
METHOD_REFUSED: Final = 405
FAILED: Final = 500

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")

EXPECTED: Final = (
    ("POST", paths.TOKEN, (200, 400, 401, 500, 503)),
    ("POST", paths.REFRESH, (200, 401, 500, 503)),
    ("POST", paths.LOGIN, (200, 401, 429, 500, 503)),
    ("POST", paths.LOGIN_PAGE, (303, 503)),
    ("GET", paths.AUTHORIZE, (303, 503)),
    ("POST", paths.INTROSPECT, (200, 503)),
    ("GET", paths.JWKS, (200, 500, 503)),
    ("GET", paths.OPENID_CONFIGURATION, (200, 500, 503)),
)
"""What objectives are set on: it stands at zero from the start, and nothing else crowds it out."""

ADMIN_API: Final = "/admin/"

log = structlog.get_logger("keyturn.web")


@dataclass(slots=True, eq=False)
class RequestLog:
    """ASGI middleware around a whole port. `quiet` writes lines for failures only.

    And for administration, always: not all of its calls are in the audit trail.
    """

    app: ASGIApp
    clock: Clock
    metrics: Metrics
    writer: LineWriter
    address: ClientAddress
    quiet: bool = False
    traces: RequestTraces | None = None
    _prefix: str = field(default_factory=new_request_id)
    _numbers: Iterator[int] = field(default_factory=count)
    _active: dict[str, int] = field(default_factory=lambda: dict.fromkeys(METHODS, 0))

    def __post_init__(self) -> None:
        """Let scrapes ask how many requests are being answered on a public port."""
        if not self.quiet:
            for method, gauge in self.metrics.active_requests.items():
                gauge.set_function(partial(self._active.__getitem__, method))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens behind."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        notes = self._begin(scope)
        watch = _Watch(send, notes)
        entered, called = enter_request(notes.request_id), enter_call(notes.ip)
        traced = enter_trace(notes.trace)
        began = self.clock.monotonic()
        method = scope["method"] if scope["method"] in self._active else OTHER_METHOD
        self._active[method] += 1
        try:
            await self._answer(scope, receive, watch)
        except asyncio.CancelledError:
            # The process ends before this request does: another one will answer the next try.
            if not watch.status:
                await _refuse(scope, receive, watch, Unavailable("server: ended meanwhile"))
            raise
        finally:
            self._active[method] -= 1
            self._tell(scope, notes, watch.status, self.clock.monotonic() - began)
            leave_trace(traced)
            leave_call(called)
            leave_request(entered)

    async def _answer(self, scope: Scope, receive: Receive, watch: "_Watch") -> None:
        if not scope["path"].isprintable():
            # The router's patterns would overlook a line end behind a path of ours.
            await _refuse(scope, receive, watch, NotFound("path: not printable"))
            return
        try:
            await self.app(scope, receive, watch.send)
        except Exception:
            log.exception("request_failed", route=_route(scope))
            if not watch.status:
                await _refuse(scope, receive, watch, Refusal("unforeseen"))
            elif not watch.complete:
                # Half an answer is out: only a cut connection tells the caller so.
                raise

    def _begin(self, scope: Scope) -> RequestNotes:
        given = trace = None
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
            elif name == b"traceparent":
                trace = value
        said = Traceparent.parse(trace)
        notes = RequestNotes(
            request_id=self._request_id(scope, given),
            trace_id=None if said is None else said.trace_id,
            ip=self.address.of_scope(scope),
            administers=self.quiet and scope["path"].startswith(ADMIN_API),
        )
        begin_notes(scope, notes)
        if self.traces is not None and (notes.administers or not self.quiet):
            # Where the log and the exemplars say one id, the trace has that one.
            notes.trace = self.traces.begin(scope, said)
            notes.trace_id = notes.trace_id if notes.trace is None else notes.trace.trace_id
        return notes

    def _request_id(self, scope: Scope, given: bytes | None) -> str:
        if given and _REQUEST_ID.fullmatch(given) and self.address.comes_through_proxy(scope):
            return given.decode("ascii")
        # Unique among processes by its beginning, in this one by its end; a draw would cost more.
        return f"{self._prefix}-{next(self._numbers):x}"

    def _tell(self, scope: Scope, notes: RequestNotes, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        route = _route(scope)
        # 0: the door returned without an answer, because nobody was there any more.
        status = status or HUNG_UP
        if self.traces is not None and notes.trace is not None:
            told = Told(method, None if route == UNMATCHED else route, status)
            self.traces.end(notes.trace, told, notes)
        timed = (method, route, status)
        if status == METHOD_REFUSED or route == UNMATCHED:
            # Anybody can send any method to any path: that is one thing, and no endpoint's.
            timed = (OTHER_METHOD, UNMATCHED, status)
        exemplar = {"trace_id": notes.trace_id} if notes.trace_id else None
        self.metrics.requests.child(*timed).observe(seconds, exemplar)
        if self.quiet and status < FAILED and not notes.administers:
            return
        line: dict[str, Any] = {
            "time": self.clock.now(),
            "level": _level(status),
            "event": "request",
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "ip": notes.ip,
            "request_id": notes.request_id,
        }
        if notes.trace_id:
            line["trace_id"] = notes.trace_id
        if notes.client is not None:
            line["client_id"] = notes.client.id
        if notes.error:
            line["error"], line["detail"] = notes.error, redact(notes.detail)
        self.writer.write(orjson.dumps(line, option=orjson.OPT_UTC_Z))


@dataclass(slots=True, eq=False)
class _Watch:
    """Sees the answer go by: adds the request's id and a nonce, keeps the status."""

    sender: Send
    notes: RequestNotes
    status: int = 0
    complete: bool = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ())]
            headers.append((b"x-request-id", self.notes.request_id.encode("ascii")))
            if self.notes.dpop_nonce is not None:
                headers.append((b"dpop-nonce", self.notes.dpop_nonce.encode("ascii")))
            message["headers"] = headers
        elif not message.get("more_body", False):
            self.complete = True
        await self.sender(message)


async def _refuse(scope: Scope, receive: Receive, watch: _Watch, refusal: Refusal) -> None:
    await render(Request(scope), refusal)(scope, receive, watch.send)


def _level(status: int) -> str:
    if status == Unavailable.status:
        return "warning"  # trouble elsewhere, told where it was met; or a probe's plain "not yet"
    return "error" if status >= FAILED else "info"


def _route(scope: Scope) -> str:
    path: str | None = getattr(scope.get("route"), "path", None)
    return UNMATCHED if path is None else path
