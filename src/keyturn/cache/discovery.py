"""Where the server is that has our keys, when others know that better than the settings do.

Found out beside the calls, never within one's deadline: an address that is known is used at once,
and looked up again while it is in use. A call waits only for the first address there is, and when
its time is up, the search goes on for the next call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from keyturn.clock import Clock
from keyturn.settings_redis_url import Address

log = structlog.get_logger("keyturn.cache")

TROUBLE = (RedisError, OSError, EOFError, ValueError)
"""What a dead line, or a server that does not speak the protocol, makes the driver raise."""

PATIENCE = 0.5
"""Seconds for one answer to where the server is; all are asked at once, so it is also the whole.

And for a connection that is being opened after its caller has gone."""

SHORTEST_PAUSE = 0.1
"""Seconds between two looks while calls fail: enough to be quick, not enough to be a burden."""

Maker = Callable[[Address], AbstractConnection]
"""Makes a connection that is not open yet."""


class NobodyKnows(RedisConnectionError):
    """No address was ever found. Its name is all that operators see of it."""


class Source(Protocol):
    """Whoever knows where the server is."""

    interval: float
    """Seconds after which an address is looked up again although calls do well."""

    async def find(self, current: Address | None) -> Address | None:
        """Return the address, within `PATIENCE`; None when nobody answered. Raises nothing."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(slots=True, eq=False)
class Witness:
    """One that is asked where the server is, on a line that is kept: always the same question.

    So even an answer to an earlier one would be an answer; it is hung up on all the same.
    """

    address: Address
    make: Maker = field(repr=False)
    _line: AbstractConnection | None = field(default=None, repr=False)

    async def ask(self, *question: str) -> tuple[Address, Any] | None:
        """Return whom we asked, and the reply; None when there is none that is good for us."""
        line, self._line = self._line or self.make(self.address), None
        try:
            async with asyncio.timeout(PATIENCE):
                await line.send_command(*question)
                reply = await line.read_response()
        except TROUBLE:
            # One that is away is nothing yet: others are asked, and calls fail loudly if all are.
            await line.disconnect(nowait=True)
            return None
        except BaseException:
            await line.disconnect(nowait=True)
            raise
        self._line = line
        return self.address, reply

    async def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            await self._line.disconnect(nowait=True)
            self._line = None


async def testimonies(
    witnesses: Sequence[Witness], enough: int, *question: str
) -> list[tuple[Address, Any]]:
    """Ask all at once and return the first `enough` replies, fewer when there are no more."""
    asking = [asyncio.create_task(one.ask(*question)) for one in witnesses]
    replies: list[tuple[Address, Any]] = []
    try:
        for answer in asyncio.as_completed(asking):
            reply = await answer
            if reply is not None:
                replies.append(reply)
            if len(replies) >= enough:
                break
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    return replies


@dataclass(slots=True, eq=False)
class Discovery:
    """One address, kept current; `switched` is called whenever it changes.

    `found` is, too, when whoever knows says so: a node that redirects us may know nothing better.
    """

    source: Source
    clock: Clock
    switched: Callable[[], Awaitable[None]]
    found: Callable[[], None]
    address: Address | None = None
    _looked_at: float = -inf
    _doubted: bool = False
    _looking: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin to look the address up if that is due; never wait for it."""
        if self._looking is not None and not self._looking.done():
            return
        age = self.clock.monotonic() - self._looked_at
        if age >= (SHORTEST_PAUSE if self._doubted else self.source.interval):
            self._looked_at, self._doubted = self.clock.monotonic(), False
            self._looking = asyncio.create_task(self._look())

    def doubt(self) -> None:
        """Have the address looked up soon: a call got no answer there, or the wrong one."""
        self._doubted = True

    async def current(self) -> Address:
        """Return the address; wait for it only where there is none yet."""
        if self.address is None and self._looking is not None:
            # A caller whose time is up does not end the search that others wait for.
            await asyncio.shield(self._looking)
        if self.address is None:
            self.doubt()
            raise NobodyKnows
        return self.address

    async def switch(self, address: Address) -> None:
        """Use this address from now on."""
        if address == self.address:
            return
        if self.address is not None:
            log.info("redis_switched", old=_text(self.address), new=_text(address))
        self.address = address
        await self.switched()

    async def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self.source.close()

    async def _look(self) -> None:
        before = self.address
        found = await self.source.find(before)
        # A redirection that came meanwhile knows better than what was asked before it.
        if found is not None and self.address == before != found:
            self.found()
            await self.switch(found)


def _text(address: Address) -> str:
    return f"{address.host}:{address.port}"
