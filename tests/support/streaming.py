"""A primary and a standby that streams from it, over TCP, through a wire that can be held.

What is held does not reach the standby: it lags, as over a slow line. When the primary is killed
then, and the wire is cut, the standby has forgotten the last seconds.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from keyturn.dev.data_dir import DataDir
from keyturn.dev.postgres import PostgresServer
from keyturn.dev.supervisor import prepare_postgres
from support.balancer import free_ports
from support.disturbed import connected
from support.proxy import Proxy
from support.servers import options, seeded, throwaway_dir

PATIENCE = 60.0
ACCESS = """\
local all all trust
local replication all trust
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
"""


@dataclass(frozen=True)
class Member:
    """One of the two servers, and its address."""

    server: PostgresServer
    port: int
    socket: str

    @property
    def url(self) -> str:
        """Of its database."""
        return f"postgresql://keyturn@127.0.0.1:{self.port}/keyturn"


@dataclass
class Streaming:
    """The pair; `wire` is what the standby follows the primary through."""

    primary: Member
    standby: Member
    wire: Proxy

    @property
    def url(self) -> str:
        """Both hosts, as settings name them."""
        ports = (self.primary.port, self.standby.port)
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"postgresql://keyturn@{hosts}/keyturn"

    async def name_standbys(self, names: str, state: str) -> None:
        """Set `synchronous_standby_names` on the primary; wait until the standby is of that state.

        Not on the standby: promoted, it would wait for a standby of its own.
        """
        async with connected(self.primary.url) as sql:
            await sql.execute(f"alter system set synchronous_standby_names = '{names}'")
            await sql.execute("select pg_reload_conf()")
            query = "select sync_state from pg_stat_replication where state = 'streaming'"
            deadline = time.monotonic() + PATIENCE
            while (found := await sql.fetchval(query)) != state:
                assert time.monotonic() < deadline, f"the standby is {found}"
                await asyncio.sleep(0.05)

    async def caught_up(self) -> None:
        """Wait until the standby has replayed everything that is written by now."""
        async with connected(self.primary.url) as primary, connected(self.standby.url) as standby:
            written = await primary.fetchval("select pg_current_wal_lsn()::text")
            query = "select pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
            deadline = time.monotonic() + PATIENCE
            while not await standby.fetchval(query, written):
                assert time.monotonic() < deadline, "the standby never caught up"
                await asyncio.sleep(0.05)

    async def fail_over(self) -> float:
        """Kill the primary, cut the wire, promote the standby; return the seconds that took."""
        began = time.monotonic()
        await asyncio.to_thread(self.primary.server.kill)
        await self.wire.refuse()
        async with connected(self.standby.url) as sql:
            assert await sql.fetchval("select pg_promote(true, 60)")
        return time.monotonic() - began


@asynccontextmanager
async def streaming() -> AsyncIterator[Streaming]:
    """Run a primary, copy it by `pg_basebackup -R`, run the standby; both end with the block."""
    port, standby_port = free_ports(2)
    async with (
        primary_on(port) as primary,
        Proxy.to(primary.socket) as wire,
        standby_on(standby_port, wire) as standby,
    ):
        pair = Streaming(primary, standby, wire)
        await pair.name_standbys("", "async")
        yield pair


@asynccontextmanager
async def primary_on(port: int) -> AsyncIterator[Member]:
    """Run a server that others may copy and follow; it ends with the block."""
    data = await seeded(throwaway_dir())
    member = _member(data, port)
    with _held(member, data):
        try:
            await member.server.start()
            yield member
        finally:
            await member.server.stop()


@asynccontextmanager
async def standby_on(port: int, wire: Proxy) -> AsyncIterator[Member]:
    """Copy the server behind the wire, and run what follows it; it ends with the block."""
    data = throwaway_dir()
    member = _member(data, port)
    server, folder = member.server, data.path / "postgres"
    program = server._postgres
    with _held(member, data):
        data.give(folder)
        copying = (program.with_name("pg_basebackup"), "-D", folder, "-R", "-c", "fast", "-N")
        await server.run((*copying, "-d", f"postgresql://keyturn@127.0.0.1:{wire.port}/keyturn"))
        settings = [f"--{name}={value}" for name, value in server._settings.items()]
        try:
            server.spawn((program, "-D", folder, *settings))
            yield member
        finally:
            await server.stop()


def _member(data: DataDir, port: int) -> Member:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "hba_file": str(data.path / "access.conf"),
        "wal_retrieve_retry_interval": "200ms",
    }
    server = prepare_postgres(data, options(postgres=settings))
    return Member(server, port, f"{data.sockets}/.s.PGSQL.{port}")


@contextmanager
def _held(member: Member, data: DataDir) -> Iterator[None]:
    """Keep the folder, with who may come in."""
    with data.hold(member.url):
        access = data.path / "access.conf"
        access.write_text(ACCESS)
        access.chmod(0o644)
        yield
