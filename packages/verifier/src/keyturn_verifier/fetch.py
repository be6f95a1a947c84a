"""How documents of the issuer are fetched; another way may be handed in (see `Fetch`).

The default is the standard library in threads of its own: never the event loop, and never the
application's default executor, which a hanging issuer would fill.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException, HTTPResponse
from ssl import SSLContext, create_default_context
from typing import IO, Any, Protocol
from urllib.error import HTTPError
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
    getproxies,
)

from keyturn_verifier.origin import origin, require_safe

LOG = logging.getLogger("keyturn_verifier")
SUCCESS = 200
NOT_MODIFIED = 304
LONGEST_RETRY_AFTER = 30.0
"""A server that asks for more patience is asked after this all the same."""
_CHUNK = 65_536


class FetchFailed(Exception):
    """No answer that can be used; its text is for the log."""

    retry_after = 0.0
    """Seconds for which the server asked not to be asked."""


@dataclass(frozen=True)
class Response:
    """An answer: its status, its headers by lower-case name, its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetch(Protocol):
    """Fetches by GET. Whatever it raises counts as no answer."""

    async def __call__(self, url: str, headers: Mapping[str, str], /) -> Response:
        """Return the answer, whatever its status, or raise `FetchFailed`.

        It follows no redirect to another origin and bounds size and time itself.
        """
        ...


async def ask(fetch: Fetch, url: str, headers: Mapping[str, str]) -> Response:
    """Fetch, and turn every failure into `FetchFailed`."""
    try:
        require_safe(url)
        return await fetch(url, headers)
    except FetchFailed:
        raise
    except Exception as error:  # what a fetch that was handed in raises, nobody knows
        raise FetchFailed(f"{url}: {type(error).__name__}: {error}") from error


def require_success(url: str, answer: Response) -> None:
    """Raise `FetchFailed` for another status than 200."""
    if answer.status == SUCCESS:
        return
    failed = FetchFailed(f"{url}: answered {answer.status}")
    # RFC 9110 section 10.2.3; of its two forms the seconds, which need no clocks that agree.
    stated = answer.headers.get("retry-after", "")
    if stated.isascii() and stated.isdigit():
        failed.retry_after = min(float(stated[:9]), LONGEST_RETRY_AFTER)
    raise failed


@dataclass(frozen=True)
class UrllibFetch:
    """The default: `urllib`, in a few threads that are made when first needed."""

    timeout: float = 5.0
    """Seconds for the whole answer."""
    most_bytes: int = 2_097_152
    context: SSLContext = field(default_factory=create_default_context)
    """Which authorities are trusted; made once, because reading them all takes long."""
    threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(4, thread_name_prefix="keyturn-verifier")
    )

    async def __call__(self, url: str, headers: Mapping[str, str], /) -> Response:
        """Fetch. Raises `FetchFailed`."""
        running = asyncio.get_running_loop().run_in_executor(
            self.threads, self._blocking, url, headers
        )
        try:
            # A look-up of a name has no time-out of its own: the thread waits, we do not.
            return await asyncio.wait_for(running, self.timeout)
        except asyncio.TimeoutError as error:
            raise FetchFailed(f"{url}: no answer in {self.timeout:g} s") from error

    def close(self) -> None:
        """Let the threads end; nothing can be fetched any more."""
        self.threads.shutdown(wait=False, cancel_futures=True)

    def _blocking(self, url: str, headers: Mapping[str, str]) -> Response:
        until = time.monotonic() + self.timeout  # noqa: TID251 - a real socket's time
        try:
            request = Request(url, headers=dict(headers))  # noqa: S310 - `ask` checked the scheme
            with _opener(self.context).open(request, timeout=self.timeout) as answer:
                return Response(answer.status, _lower(answer.headers), self._body(answer, until))
        except HTTPError as error:
            with error:
                return Response(error.code, _lower(error.headers), b"")
        except (OSError, HTTPException) as error:
            raise FetchFailed(f"{url}: {type(error).__name__}: {error}") from error

    def _body(self, answer: HTTPResponse, until: float) -> bytes:
        """Read to the end, within the size and the time: a byte a second is a hang, too."""
        body = bytearray()
        while chunk := answer.read1(_CHUNK):
            body += chunk
            if len(body) > self.most_bytes:
                raise FetchFailed(f"more than {self.most_bytes} bytes")
            if time.monotonic() > until:  # noqa: TID251 - a real socket's time
                raise FetchFailed("too slow")
        if answer.length:
            raise FetchFailed(f"cut short by {answer.length} bytes")
        return bytes(body)


class _SameOrigin(HTTPRedirectHandler):
    """Follows redirects inside one origin: the one whose certificate was asked for."""

    def redirect_request(  # noqa: PLR0917 - the library's signature
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        if origin(newurl) != origin(req.full_url):
            raise FetchFailed(f"{req.full_url}: redirected to another origin")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _opener(context: SSLContext) -> OpenerDirector:
    """Honour the environment's proxy for https; plain http is loopback and has none."""
    proxies = {scheme: url for scheme, url in getproxies().items() if scheme == "https"}
    return build_opener(ProxyHandler(proxies), HTTPSHandler(context=context), _SameOrigin())


def _lower(headers: Any) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def log(text: str) -> None:
    """Tell the operator why a document could not be had; never a token."""
    LOG.warning("%s", text)
