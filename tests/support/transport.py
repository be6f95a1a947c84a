"""HTTP/1.1 as the tests' callers speak it: httpx's own transport, for most requests quicker.

Most of what a black-box test costs is its own side of the wire, and most of that is a protocol
library in Python. The usual request goes over a kept connection that httptools reads; whatever is
unusual (TLS, HEAD, a body in chunks or of many bytes) goes the way of httpx.
"""

import asyncio
import select
import time
from collections import defaultdict
from typing import Any, cast

import httptools
import httpx2

MOST_BYTES = 2**15
"""A larger body may be refused before it is sent, which takes care on our side."""


class Line(asyncio.Protocol):
    """One connection, on which one request at a time is answered."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.free_since = 0.0
        self.ended = False
        self._heard = False
        self._answer: asyncio.Future[httpx2.Response] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    async def ask(self, raw: bytes) -> httpx2.Response:
        """Send a request and return the answer to it."""
        self._answer = asyncio.get_running_loop().create_future()
        self._heard = False
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self.transport.write(raw)
        return await self._answer

    def is_usable(self) -> bool:
        """Whether the server has neither hung up nor said something unasked."""
        if self.ended or self.transport.is_closing():
            return False
        number = self.transport.get_extra_info("socket").fileno()
        return not select.select([number], [], [], 0)[0]

    def data_received(self, data: bytes) -> None:
        self._heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx2.RemoteProtocolError(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        if exc is not None:
            self._fail(httpx2.ReadError(str(exc)))
        elif self._heard:
            self._fail(httpx2.RemoteProtocolError("hung up in the middle of an answer"))
        else:
            self._fail(httpx2.RemoteProtocolError("hung up without an answer"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._answer is None or self._answer.done():
            return
        if not self._parser.should_keep_alive():
            self.ended = True
        self._answer.set_result(
            httpx2.Response(
                status,
                headers=self._headers,
                content=b"".join(self._body),
                extensions={"http_version": b"HTTP/1.1"},
            )
        )

    def _fail(self, error: httpx2.TransportError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Lines(httpx2.AsyncBaseTransport):
    """Kept connections to the servers of a test, hung up on when idle for `idle` seconds."""

    def __init__(self, idle: float = 5.0) -> None:
        self._idle = idle
        self._free: defaultdict[tuple[str, int], list[Line]] = defaultdict(list)
        self._usual = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(keepalive_expiry=idle))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx."""
        headers = request.headers
        if (
            request.url.scheme != "http"
            or request.method == "HEAD"
            or "transfer-encoding" in headers
            or int(headers.get("content-length", 0)) > MOST_BYTES
        ):
            return await self._usual.handle_async_request(request)
        raw = _head(request) + await request.aread()
        return await self._answer(request, raw, request.extensions.get("timeout", {}))

    async def _answer(
        self, request: httpx2.Request, raw: bytes, patience: dict[str, Any]
    ) -> httpx2.Response:
        place = request.url.host, request.url.port or 80
        line = self._kept(place) or await _connected(place, patience.get("connect"))
        good = False
        try:
            async with asyncio.timeout(patience.get("read")):
                answer = await line.ask(raw)
            good = not line.ended
        except TimeoutError as error:
            raise httpx2.ReadTimeout("no answer in time") from error
        finally:
            if good:
                line.free_since = time.monotonic()
                self._free[place].append(line)
            else:
                line.transport.abort()
        return answer

    def _kept(self, place: tuple[str, int]) -> Line | None:
        free = self._free[place]
        while free:
            line = free.pop()
            if time.monotonic() - line.free_since < self._idle and line.is_usable():
                return line
            line.transport.abort()
        return None

    async def aclose(self) -> None:
        """Hang up."""
        for lines in self._free.values():
            for line in lines:
                line.transport.abort()
        self._free.clear()
        await self._usual.aclose()


def _head(request: httpx2.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % pair for pair in request.headers.raw]
    return b"\r\n".join([*lines, b"", b""])


async def _connected(place: tuple[str, int], patience: float | None) -> Line:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(patience):
            _, line = await loop.create_connection(Line, *place)
    except TimeoutError as error:
        raise httpx2.ConnectTimeout("no connection in time") from error
    except OSError as error:
        raise httpx2.ConnectError(str(error)) from error
    return line
