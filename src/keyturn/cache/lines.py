"""The driver's connections to the one server that has our keys, wherever that is.

They are held directly, without the driver's pool and retries: a connection whose answer did not
come in time is closed, never lent again, because the late answer would be read as the answer to
the next question. With tokens, that would be somebody else's revocation.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from keyturn.cache.cluster import ClusterNodes
from keyturn.cache.discovery import PATIENCE, TROUBLE, Discovery, Source
from keyturn.cache.sentinel import Sentinels
from keyturn.clock import Clock
from keyturn.settings_redis_url import Address, RedisUrl

Argument: TypeAlias = str | bytes | int | float

MOST_REDIRECTIONS = 3
"""In one call. A cluster that sends us further than that is being changed: ask PostgreSQL."""

LOGIN = ("username", "password", "db")


class NotThePrimary(RedisConnectionError):
    """The Sentinels sent us to a replica. Its answers lag behind, so it may not be asked."""


class Redirected(ResponseError):
    """The server has changed, or the slot is moving: this command is not for where it would go."""


class InCircles(RedisConnectionError):
    """Each node sent us to another one: nobody has our keys, which is as good as nobody there."""


@dataclass(slots=True, eq=False)
class Lines:
    """Connections, lent for one command each; `found` is called when another server is found."""

    url: RedisUrl
    clock: Clock
    found: Callable[[], None]
    epoch: int = 0
    """Counts the servers that had our keys: what two of them say is not to be compared."""
    _pool: ConnectionPool = field(init=False, repr=False)
    _idle: deque[AbstractConnection] = field(init=False, repr=False, default_factory=deque)
    _discovery: Discovery | None = field(init=False, repr=False, default=None)
    _nodes: ClusterNodes | None = field(init=False, repr=False, default=None)
    _opening: set[asyncio.Task[None]] = field(init=False, repr=False, default_factory=set)
    """Connections whose callers have gone, and who keeps them."""
    _closed: bool = False

    def __post_init__(self) -> None:
        """Prepare to connect; nothing is connected before the first command."""
        # The pool is only the driver's reader of URLs and maker of connections. Without
        # `driver_info` each connection reads the driver's package metadata, blocking the loop.
        self._pool = ConnectionPool.from_url(
            self.url.server,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=None,
            driver_info=None,
        )
        source: Source
        if self.url.topology == "cluster":
            source = self._nodes = ClusterNodes(self.url.hosts, self._make)
        elif self.url.topology == "sentinel":
            make = partial(self._make, login=self.url.sentinel_login)
            source = Sentinels(self.url.hosts, self.url.service, make)
        else:
            return
        self._discovery = Discovery(source, self.clock, self._switch, self.found)

    def look(self) -> None:
        """Begin to find out where the server is, if that is due; never wait."""
        if self._discovery is not None and not self._closed:
            self._discovery.look()

    async def exchange(self, command: Sequence[Argument], epoch: int | None = None) -> Any:
        """Send one command to the server that has our keys, and return its reply.

        With an `epoch`, to that epoch's server only. Raises what the driver raises; the caller
        sets the deadline, connecting included.
        """
        for _ in range(MOST_REDIRECTIONS):
            address = None if self._discovery is None else await self._discovery.current()
            if epoch not in {None, self.epoch}:
                raise Redirected
            line = await self._take(address)
            try:
                return await self._on(line, command)
            except AskError as error:
                if self._nodes is None or self._discovery is None:
                    raise
                there = Address(error.host or getattr(line, "host", ""), error.port)
                if not isinstance(error, MovedError):
                    if epoch is not None:
                        raise Redirected from None
                    return await self._aside(there, command)
                self._nodes.slot = error.slot_id
                await self._discovery.switch(there)
        raise InCircles

    async def close(self) -> None:
        """Close every idle connection; those in use close when their call ends."""
        self._closed = True
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        await self._hang_up(*self._idle)
        if self._discovery is not None:
            await self._discovery.close()

    async def _on(self, line: AbstractConnection, command: Sequence[Argument]) -> Any:
        try:
            await line.send_command(*command)
            reply = await line.read_response()
        except ResponseError as error:
            if isinstance(error, ReadOnlyError | ClusterDownError):
                # Demoted under us, or cut off: only new connections can find the new primary.
                await self._hang_up(line, *self._idle)
                self._doubt()
            else:
                await self._give_back(line)
            raise
        except TROUBLE:
            await self._hang_up(line, *self._idle)
            self._doubt()
            raise
        except BaseException:
            # The deadline, or a caller who went away; nobody can tell which from here.
            await self._hang_up(line)
            self._doubt()
            raise
        await self._give_back(line)
        return reply

    async def _aside(self, there: Address, command: Sequence[Argument]) -> Any:
        """Ask the node that our slot is moving to, this once: a key has gone there already.

        It has moved, not been copied: what it says of `upto` follows what the owner said before.
        """
        line = self._make(there)
        try:
            await line.send_command("ASKING")
            await line.read_response()
            await line.send_command(*command)
            return await line.read_response()
        finally:
            await line.disconnect(nowait=True)

    async def _check_role(self, line: AbstractConnection) -> None:
        await line.send_command("ROLE")
        role = await line.read_response()
        if not isinstance(role, list) or role[:1] != [b"master"]:
            raise NotThePrimary

    async def _take(self, address: Address | None) -> AbstractConnection:
        """Lend an idle line, or open one.

        A caller whose time is up leaves it to the next: else a server to which the way is long, or
        a process that is busy, would never be back, as each probe would begin from nothing.
        """
        if self._idle:
            return self._idle.pop()
        if self._closed:
            raise RedisConnectionError("closed")
        line = self._make(address)
        opening = asyncio.create_task(self._open(line))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            keeping = asyncio.create_task(self._keep(opening, line))
            self._opening |= {opening, keeping}
            keeping.add_done_callback(lambda _: self._opening.difference_update({opening, keeping}))
            raise
        return line

    async def _open(self, line: AbstractConnection) -> None:
        try:
            await line.connect()  # type: ignore[no-untyped-call]
            if self.url.topology == "sentinel":
                await self._check_role(line)
        except BaseException:
            await self._hang_up(line)
            self._doubt()
            raise

    async def _keep(self, opening: "asyncio.Task[None]", line: AbstractConnection) -> None:
        """Keep what nobody waits for any more; if it failed, the next call will say so."""
        await asyncio.wait([opening], timeout=PATIENCE)
        opening.cancel()
        await asyncio.wait([opening])
        if not opening.cancelled() and opening.exception() is None:
            await self._give_back(line)

    def _make(
        self, address: Address | None, login: dict[str, str] | None = None
    ) -> AbstractConnection:
        """Make a connection as the URL says, to this address; with another login where given."""
        options = self._pool.connection_kwargs | ({} if address is None else address._asdict())
        if login is not None:
            options = {key: value for key, value in options.items() if key not in LOGIN} | login
        line: AbstractConnection = self._pool.connection_class(**options)
        return line

    async def _give_back(self, line: AbstractConnection) -> None:
        """Keep a line for the next command, unless the server has changed meanwhile."""
        at = Address(getattr(line, "host", ""), getattr(line, "port", 0))
        if self._closed or (self._discovery is not None and self._discovery.address != at):
            await self._hang_up(line)
        else:
            self._idle.append(line)

    async def _hang_up(self, *lines: AbstractConnection) -> None:
        for line in lines:
            if line in self._idle:
                self._idle.remove(line)
            await line.disconnect(nowait=True)

    def _doubt(self) -> None:
        if self._discovery is not None:
            self._discovery.doubt()

    async def _switch(self) -> None:
        """Leave the server that was asked so far; all idle lines lead to it."""
        self.epoch += 1
        old, self._idle = self._idle, deque()
        await self._hang_up(*old)
