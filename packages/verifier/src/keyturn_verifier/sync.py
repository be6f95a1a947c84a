"""The verifier for applications that do not await: Flask, Django, WSGI.

    tokens = SyncVerifier("https://id.example.com", "https://api.example.com")
    token = tokens.authenticate(request.headers.get("Authorization"))

One event loop in a thread of its own keeps the keys and the status list fresh for all threads of a
process. The thread starts with the first use in each process, so a server may fork before that.
Bearer tokens only.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from keyturn_verifier import credentials
from keyturn_verifier.access_token import AccessToken
from keyturn_verifier.challenges import Answer, Challenges
from keyturn_verifier.errors import InvalidToken, Reason, Refused, Unavailable
from keyturn_verifier.verifier import Verifier

T = TypeVar("T")


class SyncVerifier:
    """Checks access tokens from any thread."""

    def __init__(self, issuer: str, audience: str, *, timeout: float = 5.0, **options: Any) -> None:
        """Prepare to verify; `options` are those of `Verifier`.

        `timeout` seconds after the call every method raises `Unavailable`.
        """
        self._make = lambda: Verifier(issuer, audience, **options)
        self._timeout = timeout
        self._starting = threading.Lock()
        self._running: _Running | None = None

    def verify(self, token: str) -> AccessToken:
        """Return the verified token. Raises `InvalidToken`, `Unavailable`."""
        return self._run(lambda verifier: verifier.verify(token))

    def authenticate(self, authorization: str | None) -> AccessToken:
        """Return the verified token of an `Authorization` header.

        Raises `InvalidRequest`, `InvalidToken`, `Unavailable`; `answer` puts them into words.
        """
        headers = [] if authorization is None else [(b"authorization", authorization.encode())]
        shown = credentials.read(headers)
        if shown is None or shown.scheme != "Bearer":
            raise InvalidToken(Reason.MISSING)
        return self.verify(shown.token)

    def answer(self, refusal: Refused | Unavailable) -> Answer:
        """Return status, headers and body for a refused request."""
        return Challenges().answer(refusal)

    def warmup(self) -> None:
        """Fetch keys and status list now. Raises `Unavailable`."""
        self._run(lambda verifier: verifier.warmup())

    def close(self) -> None:
        """Stop the thread; the next use starts another."""
        with self._starting:
            running, self._running = self._running, None
        if running is not None and running.pid == os.getpid():
            running.stop(self._timeout)

    def _run(self, call: Callable[[Verifier], Coroutine[Any, Any, T]]) -> T:
        running = self._started()
        waiting = asyncio.run_coroutine_threadsafe(call(running.verifier), running.loop)
        try:
            return waiting.result(self._timeout)
        except FutureTimeout:
            waiting.cancel()
            raise Unavailable("no answer in time") from None

    def _started(self) -> "_Running":
        running = self._running
        if running is not None and running.pid == os.getpid():
            return running
        with self._starting:
            if self._running is None or self._running.pid != os.getpid():
                self._running = _Running(self._make)
            return self._running


class _Running:
    """A verifier, its loop and their thread; a forked process has none of them."""

    def __init__(self, make: Callable[[], Verifier]) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.verifier = make()
        self._thread = threading.Thread(
            target=self.loop.run_forever, name="keyturn-verifier", daemon=True
        )
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Close the verifier and end the thread."""
        closing = asyncio.run_coroutine_threadsafe(self.verifier.aclose(), self.loop)
        closing.result(timeout)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout)
        self.loop.close()
