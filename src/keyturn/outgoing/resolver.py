"""Names to addresses, asked from the system in threads of their own.

A name server that does not answer keeps its thread for half a minute, whoever has stopped waiting.
So there are few threads, one name has one at most, none is the event loop's (which the database's
driver needs), and none outlives the process.
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Final, Protocol

MOST: Final = 16
"""Look-ups under way; a name beyond them is not looked up now."""


class Resolver(Protocol):
    """Who knows the addresses of a name."""

    async def addresses(self, host: str) -> Sequence[str]:
        """Return every address of a host, in order of preference. Raises `OSError`."""
        ...


@dataclass(slots=True, eq=False)
class SystemResolver:
    """The resolver of this machine; one look-up serves all who ask meanwhile."""

    _asked: dict[str, "asyncio.Future[Sequence[str]]"] = field(default_factory=dict)

    async def addresses(self, host: str) -> Sequence[str]:
        """Return every address of a host, in order of preference. Raises `OSError`."""
        answer = self._asked.get(host)
        if answer is None:
            if len(self._asked) >= MOST:
                raise OSError("too many names are being looked up")
            answer = self._ask(host)
        # Shielded: who stops waiting must not end the look-up for the others.
        return await asyncio.shield(answer)

    def _ask(self, host: str) -> "asyncio.Future[Sequence[str]]":
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()
        self._asked[host] = answer

        def settle(found: Sequence[str] | OSError) -> None:
            del self._asked[host]
            if isinstance(found, OSError):
                answer.set_exception(found)
                answer.exception()  # noted: nobody may be waiting any more
            else:
                answer.set_result(found)

        def ask() -> None:
            found = _look_up(host)
            with suppress(RuntimeError):  # the loop is closed, and with it everybody who asked
                loop.call_soon_threadsafe(settle, found)

        Thread(target=ask, name="keyturn-resolver", daemon=True).start()
        return answer


def _look_up(host: str) -> Sequence[str] | OSError:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    except UnicodeError:
        return OSError("not a name")
    return [str(address[0]) for *_, address in found]
