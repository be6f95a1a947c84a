"""The HTTP parser's bounds, which uvicorn leaves open: sizes, times, and two lengths at once.

    request target over `max_url_bytes`              414
    header block over `max_header_bytes`             431
    head not complete within `header_timeout`        408 and close (slowloris)
    answer not read within `answer_timeout`          the connection is cut
    `Content-Length` with `Transfer-Encoding`,       400 and close (request smuggling,
      any coding but `chunked`, two `Host`s            RFC 9112 sections 3.2 and 6.1)

Bytes are counted before the parser sees them, because it keeps an unfinished header to itself.
A request that arrives in one piece costs a comparison; only an unfinished one starts a timer.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NoReturn

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from keyturn.errors import HeadTooLarge, InvalidRequest, Refusal, RequestTimeout, UrlTooLong
from keyturn.settings import ServerSettings
from keyturn.web.body import note_arrival
from keyturn.web.raw_answer import raw_answer

REQUEST_LINE: Final = 64
"""Bytes of a request line beside its target."""

LINE_EXTRA: Final = 4
"""Bytes of a header line beside its name and value."""

MOST_HEADERS: Final = 128
LINGER: Final = 1.0
"""Seconds a refused caller has to read the refusal."""

HOP_BY_HOP: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The bounds of one port: bytes and seconds; `refused` is told each status and peer."""

    header_bytes: int
    url_bytes: int
    header_seconds: float
    answer_seconds: float
    refused: Callable[[int, str], None]

    @property
    def head_bytes(self) -> int:
        """The largest request line and header block together."""
        return self.header_bytes + self.url_bytes + REQUEST_LINE

    @classmethod
    def of(cls, settings: ServerSettings, refused: Callable[[int, str], None]) -> "HttpLimits":
        """Return the bounds the settings ask for."""
        times = settings.header_timeout, settings.answer_timeout
        return cls(settings.max_header_bytes, settings.max_url_bytes, *times, refused)


class LimitedConfig(uvicorn.Config):
    """uvicorn's configuration, and what its protocol class cannot be told otherwise."""

    def __init__(self, app: Any, limits: HttpLimits, **options: Any) -> None:
        super().__init__(app, http=LimitedProtocol, **options)
        self.limits = limits
        self.draining = False
        """While true, every answer closes its connection."""


class _At(Enum):
    """Where in its stream of requests a connection is."""

    REST = "between two requests"
    HEAD = "in a request line or header block"
    BODY = "in a body"


class LimitedProtocol(HttpToolsProtocol):
    """One connection, within bounds."""

    config: LimitedConfig

    def __init__(
        self,
        config: LimitedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._at = _At.REST
        self._requests = 0
        self._head_bytes = 0
        self._refusal: Refusal | None = None
        self._refused = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._closes_anyway = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock: a caller who says nothing holds no connection for long."""
        super().connection_made(transport)
        _cut_when_unread(transport, self._limits.answer_seconds)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the timers go."""
        self._stop_head_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give a caller who does not keep up so long to read most of what waits here."""
        super().pause_writing()
        seconds = self._limits.answer_seconds
        self._unread_timer = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it was read, or nobody will."""
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, within bounds."""
        if self._refused or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or InvalidRequest("http: unreadable"))
            return
        if not self._is_answering():
            self._start_head_timer()

    def _feed(self, data: bytes) -> None:
        while data:
            piece, data = data, b""
            if self._at is not _At.BODY:
                room = self._limits.head_bytes - self._head_bytes
                piece, data = piece[:room], piece[room:]
            before = self._requests
            self._parse(piece)
            if self._at is _At.HEAD:
                # How much of the piece a head takes that began in it, only the parser knows.
                self._head_bytes = self._head_bytes + len(piece) if before == self._requests else 1
                if self._head_bytes >= self._limits.head_bytes:
                    self._fail(HeadTooLarge("http: no end of the header block"))

    def _parse(self, piece: bytes) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(piece[upgrade.args[0] :])

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Read the request again without its `Upgrade`, which we ignore (RFC 9110 section 7.8).

        The parser would drop the body behind it; clients that offer h2c with a POST mean the POST.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._fail(InvalidRequest("http: CONNECT"))
        lines = [b"%s %s HTTP/1.1" % (method, self.url)]
        lines += [b"%s: %s" % pair for pair in self.headers if pair[0] not in HOP_BY_HOP]
        self.parser = httptools.HttpRequestParser(self)
        self._closes_anyway = True
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._at = _At.HEAD
        self._requests += 1
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Hand the request to the application, unless it must be refused or read again."""
        self._check_head()
        self._at = _At.BODY
        self._head_bytes = 0
        self._stop_head_timer()
        if self.parser.should_upgrade():
            return
        super().on_headers_complete()
        if self.config.draining or self._closes_anyway:
            self.cycle.keep_alive = False

    def _check_head(self) -> None:
        size = hosts = 0
        old = self.parser.get_http_version() != "1.1"
        for name, value in self.headers:
            size += len(name) + len(value) + LINE_EXTRA
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding" and (old or value.lower() != b"chunked"):
                self._fail(InvalidRequest("http: a transfer coding other than chunked"))
        if len(self.url) > self._limits.url_bytes:
            self._fail(UrlTooLong("http: request target"))
        if size > self._limits.header_bytes or len(self.headers) > MOST_HEADERS:
            self._fail(HeadTooLarge("http: header block"))
        if hosts > 1 or (hosts == 0 and not old):
            self._fail(InvalidRequest("http: not one Host"))

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if not self.parser.should_upgrade():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; a further one may follow on this connection."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
            note_arrival(self.scope)
            self._at = _At.REST

    def shutdown(self) -> None:
        """Close, unless a request is arriving: it is answered first, and closes then."""
        if self._at is _At.REST or self._is_answering():
            super().shutdown()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            seconds = self._limits.header_seconds
            self._head_timer = self.loop.call_later(seconds, self._head_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if self._is_answering():
            return
        if self._at is _At.HEAD:
            self._refuse(RequestTimeout("http: head"))
        else:
            self.transport.close()

    def _is_answering(self) -> bool:
        # uvicorn types it as if there always were one.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _fail(self, refusal: Refusal) -> NoReturn:
        self._refusal = refusal
        raise httptools.HttpParserError(refusal.detail)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what cannot be read, and close."""
        self._refused = True
        self._stop_head_timer()
        self._limits.refused(refusal.status, self.client[0] if self.client else "")
        if self._is_answering() and (self.cycle.response_started or not self.cycle.more_body):
            # The rubbish came behind a good request: that one is still owed its answer.
            self.cycle.keep_alive = False
            return
        self.transport.write(raw_answer(refusal, self.server_state.default_headers))
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # Closing at once with bytes unread would reset the connection and take the answer along.
        self.transport.write_eof()
        self._head_timer = self.loop.call_later(LINGER, self.transport.close)


def _cut_when_unread(transport: asyncio.Transport, seconds: float) -> None:
    """Have the kernel cut a connection that takes no whole segment for so long (Linux).

    That cuts a caller, too, who reads but never opens the window far enough for the next segment.
    A transport that is closed with bytes unsent would wait for such a caller for ever.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        line = transport.get_extra_info("socket")
        line.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))
