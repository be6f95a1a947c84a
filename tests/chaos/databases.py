"""PostgreSQL: a primary, a standby that commits wait for, and after a failover a new standby.

Rotations do not wait (`postgres.async_rotation`): a failover may forget some, which must heal.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.balancer import free_ports
from support.disturbed import Statements, connected
from support.proxy import Proxy
from support.streaming import Member, Streaming, primary_on, standby_on


@dataclass(eq=False)
class Databases:
    """The two servers; each has a port, which its successor takes over."""

    pair: Streaming
    ports: tuple[int, int]
    primary: Member
    """Today's: who takes the writes of everybody that may write."""
    _ends: dict[int, AsyncExitStack] = field(default_factory=dict)
    """What ends a server, its folder and what it follows through, by its port."""

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["Databases"]:
        """Run both; they end with the block."""
        first, second = free_ports(2)
        ends = {first: AsyncExitStack(), second: AsyncExitStack()}
        try:
            primary = await ends[first].enter_async_context(primary_on(first))
            pair = await _following(primary, second, ends[second])
            yield cls(pair, (first, second), primary, ends)
        finally:
            for one in reversed(ends.values()):
                await one.aclose()

    @property
    def url(self) -> str:
        """Both hosts, past the wires."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"postgresql://keyturn@{hosts}/keyturn"

    @property
    def sql(self) -> Statements:
        """Statements on today's primary, each on a connection of its own."""
        return Statements(self.primary.url)

    def sockets(self) -> dict[int, str]:
        """Return where each of the two listens, by its port."""
        return {one.port: one.socket for one in (self.pair.primary, self.pair.standby)}

    async def start_primary(self) -> None:
        """Start it again on its data, whatever a kill left behind."""
        lock = Path(f"{self.primary.socket}.lock")
        # A killed server's: PostgreSQL refuses if its number is another process's by now.
        lock.unlink(missing_ok=True)
        await self.primary.server.start()

    async def promote(self) -> None:
        """Let the standby take writes; nobody may reach the former primary any more."""
        await self.pair.wire.refuse()
        async with connected(self.pair.standby.url) as sql:
            assert await sql.fetchval("select pg_promote(true, 60)")
        self.primary = self.pair.standby

    async def succeed(self) -> None:
        """The standby was promoted: what was the primary ends, and a new standby takes its port."""
        former, primary = self.pair.primary, self.pair.standby
        await self._ends[former.port].aclose()
        self._ends[former.port] = AsyncExitStack()
        self.pair = await _following(primary, former.port, self._ends[former.port])

    async def until_followed(self) -> None:
        """Wait until commits wait for the standby again."""
        await self.pair.name_standbys("*", "sync")


async def _following(primary: Member, port: int, ends: AsyncExitStack) -> Streaming:
    """Return a pair whose standby is new; commits wait for it."""
    wire = await ends.enter_async_context(Proxy.to(primary.socket))
    standby = await ends.enter_async_context(standby_on(port, wire))
    pair = Streaming(primary, standby, wire)
    await pair.name_standbys("*", "sync")
    return pair
