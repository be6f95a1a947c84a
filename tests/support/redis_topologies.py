"""Redis as operators run it: a primary with a replica and three Sentinels, or a Cluster.

Real processes of Valkey's one program, which can be all three. Their timeouts are short, so that a
failover takes a second or two; nothing else about them is unusual.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio
import redis.asyncio.cluster
from redis.crc import key_slot
from redis.exceptions import RedisError

from keyturn.cache.client import keyspace
from keyturn.dev.binaries import find_valkey
from keyturn.dev.data_dir import DataDir
from keyturn.dev.privileges import reachable
from keyturn.dev.process import ChildProcess
from keyturn.dev.valkey import SETTINGS, START_PATIENCE, ValkeyServer
from keyturn.settings_redis_url import read_redis_url
from support.servers import held, private_valkey, throwaway_dir
from support.tree import ROOT

SERVICE = "keyturn-test"
USER, USER_PASSWORD = "keyturn", "keyturn-word"
"""The user that docs/redis.md tells operators to make, with the commands that are listed there."""
SERVER_PASSWORD = "server-word"
LOCKED_PASSWORD = "nobody-knows-it"
SENTINEL_PASSWORD = "sentinel-word"
DOWN_AFTER = 1000
"""Milliseconds without an answer after which a primary is given up, in both topologies."""

PATIENCE = 180.0
"""Seconds; a machine that is busy with other things takes its time."""
SLOTS = 16384
QUICK_REPLICATION = {"repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}


async def until(holds: Callable[[], Awaitable[Any]], patience: float = PATIENCE) -> float:
    """Ask until it holds, whatever goes wrong meanwhile; return the seconds that took."""
    began, failure = time.monotonic(), "it does not hold"
    while True:
        try:
            if await holds():
                return time.monotonic() - began
        except (RedisError, OSError, ValueError) as error:
            failure = repr(error)
        assert time.monotonic() - began < patience, f"not within {patience} s: {failure}"
        await asyncio.sleep(0.02)


DATABASES = {"databases": SETTINGS["databases"]}


def connect(url: str, **options: Any) -> "redis.asyncio.Redis | redis.asyncio.RedisCluster":
    """Return the driver's own client for what `redis.url` says, as the operator: for a look."""
    read = read_redis_url(url)
    if read.topology == "cluster":
        nodes = [redis.asyncio.cluster.ClusterNode(*host) for host in read.hosts]
        return redis.asyncio.RedisCluster(startup_nodes=nodes, **options)
    if read.topology == "server":
        return redis.asyncio.from_url(url, **options)
    options |= {"password": SERVER_PASSWORD, "db": int(urlsplit(read.server).path[1:])}
    login = {"password": SENTINEL_PASSWORD}
    sentinel = redis.asyncio.Sentinel(read.hosts, sentinel_kwargs=login)
    return sentinel.master_for(read.service, **options)


def on_all_nodes(client: "redis.asyncio.Redis | redis.asyncio.RedisCluster") -> dict[str, str]:
    """Return the option by which a command goes to all nodes of a Cluster."""
    whole = redis.asyncio.RedisCluster
    return {"target_nodes": whole.ALL_NODES} if isinstance(client, whole) else {}


@dataclass
class KeySpaces:
    """Key spaces of one Redis: numbered databases, or in a Cluster the one there is."""

    running: "ValkeyServer | Watched | Clustered"
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def shared(self) -> str:
        """The URL of the last one."""
        return self._url(int(SETTINGS["databases"]) - 1)

    async def empty(self) -> str:
        """Return the URL of another one, which is empty now."""
        url = self._url(next(self._numbers) % (int(SETTINGS["databases"]) - 1))
        if isinstance(self.running, Clustered):
            for one in self.running.primaries:
                await one.command("FLUSHALL")
        else:
            async with connect(url) as client:
                await client.flushdb()
        return url

    def _url(self, number: int) -> str:
        if isinstance(self.running, Clustered):
            return self.running.url
        if isinstance(self.running, Watched):
            return self.running.url.replace("/0?", f"/{number}?")
        return f"{self.running.url}?db={number}"


@dataclass(frozen=True)
class Node:
    """A server, and its port."""

    server: ValkeyServer
    port: int
    password: str | None = None

    async def command(self, *words: str | int) -> Any:
        """Run one command on it, whatever part it plays."""
        async with redis.asyncio.from_url(
            self.server.url, protocol=2, decode_responses=True, password=self.password
        ) as client:
            return await client.execute_command(*words)

    async def role(self) -> str:
        """Return `master` or `slave`."""
        return (await self.command("ROLE"))[0]

    async def protect(self) -> None:
        """Make the user of the documentation, and give everybody else a password if one is set.

        Not by settings of the start, which is over when a PING without a password is answered.
        """
        open_to_all = replace(self, password=None)
        await open_to_all.command(*access_list(on_sentinels=False))
        if self.password is not None:
            await open_to_all.command("CONFIG", "SET", "masterauth", self.password)
            await open_to_all.command("CONFIG", "SET", "requirepass", self.password)

    async def lock_out_operators(self) -> None:
        """Cut its replica and the Sentinels off, by their login; keyturn's own is as it was."""
        await self.command("ACL", "SETUSER", "default", "resetpass", f">{LOCKED_PASSWORD}")
        with suppress(RedisError):
            await replace(self, password=LOCKED_PASSWORD).command(
                "CLIENT", "KILL", "USER", "default"
            )

    async def let_operators_in(self) -> None:
        """End that."""
        there = replace(self, password=LOCKED_PASSWORD)
        await there.command("ACL", "SETUSER", "default", "resetpass", f">{self.password}")


def access_list(*, on_sentinels: bool) -> list[str]:
    """Return the command that makes the user, as the documentation has it."""
    page = (ROOT / "docs" / "redis.md").read_text(encoding="utf-8")
    (line,) = [
        line
        for line in page.splitlines()
        if line.startswith("ACL SETUSER") and ("+sentinel" in line) == on_sentinels
    ]
    return line.replace(">password", f">{USER_PASSWORD}").split()


async def has_replica(primary: Node) -> bool:
    """Whether a replica is in step with this one."""
    found = await primary.command("INFO", "replication")
    return found.get("slave0", {}).get("state") == "online"


def free_port() -> int:
    """Return a port nobody has just now, nor the one that a cluster's node adds to it."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 10000))
            except (OSError, OverflowError):
                continue
            return port


@asynccontextmanager
async def node(settings: dict[str, str], password: str | None = None) -> AsyncIterator[Node]:
    """Run one server on a port of its own."""
    port = free_port()
    async with private_valkey({"port": str(port), **QUICK_REPLICATION, **settings}) as server:
        running = Node(server, port, password)
        await running.protect()
        yield running


class SentinelServer(ChildProcess):
    """One Sentinel; what it learns it keeps in its configuration file."""

    def __init__(self, data: DataDir, primary: Node) -> None:
        super().__init__("Sentinel", data.path / "sentinel.log", data.account, signal.SIGTERM)
        found = find_valkey(os.environ.get("PATH", os.defpath))
        assert found is not None, "these tests need valkey-server: install the dev extra"
        self.port = free_port()
        self.url = f"redis://:{SENTINEL_PASSWORD}@127.0.0.1:{self.port}"
        self._program = reachable(found, data.account)
        self._data = data
        self._lines = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {data.sockets}",
            f"requirepass {SENTINEL_PASSWORD}",
            f"sentinel sentinel-pass {SENTINEL_PASSWORD}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} 2",
            f"sentinel auth-pass {SERVICE} {SERVER_PASSWORD}",
            f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}",
            f"sentinel failover-timeout {SERVICE} 4000",
        )

    async def start(self) -> None:
        """Start and return once it listens."""
        file = self._data.sockets / "sentinel.conf"
        file.write_text("\n".join(self._lines) + "\n")
        if self._data.account.dropped:
            os.chown(file, self._data.account.uid, self._data.account.gid)
        self.spawn((self._program, file, "--sentinel"))
        await self.started(self._listens, START_PATIENCE)
        await self.ask(*access_list(on_sentinels=True))

    async def primary_port(self) -> int:
        """Return where it says that the primary is."""
        state = await self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(state[1])

    async def ask(self, *words: str) -> Any:
        """Run one command on it."""
        async with redis.asyncio.from_url(self.url, protocol=2, decode_responses=True) as client:
            return await client.execute_command(*words)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass(frozen=True)
class Watched:
    """A primary, its replica, and three Sentinels, with a password for each of the two kinds."""

    nodes: tuple[Node, Node]
    sentinels: list[SentinelServer]

    @property
    def url(self) -> str:
        """What the setting `redis.url` says."""
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        login = f"sentinel_username={USER}&sentinel_password={USER_PASSWORD}"
        return f"redis+sentinel://{USER}:{USER_PASSWORD}@{hosts}/0?service={SERVICE}&{login}"

    async def owner(self) -> Node:
        """Return the primary as all Sentinels that run name it."""
        (port,) = {await one.primary_port() for one in self.sentinels if one.running}
        return next(one for one in self.nodes if one.port == port)

    async def is_safe(self) -> bool:
        """Whether a failover would succeed: the replica follows, the Sentinels know each other."""
        for one in self.sentinels:
            state = await one.ask("SENTINEL", "MASTER", SERVICE)
            facts = dict(zip(state[::2], state[1::2], strict=True))
            known = int(facts["num-other-sentinels"]), int(facts["num-slaves"]), facts["flags"]
            if known != (2, 1, "master"):
                raise ValueError(f"{one.port}: {known}")
        return await has_replica(await self.owner())

    async def mend(self) -> None:
        """Make a replica of the one that is not the primary, sooner than Sentinel would; wait."""
        primary = await self.owner()
        other = next(one for one in self.nodes if one is not primary)
        if await other.role() != "slave":
            await other.command("REPLICAOF", "127.0.0.1", primary.port)
        await until(self.is_safe)


@asynccontextmanager
async def watched(settings: dict[str, str] | None = None) -> AsyncIterator[Watched]:
    """Run five processes; `settings` are of the primary and its replica."""
    async with AsyncExitStack() as stack:
        primary, replica = [
            await stack.enter_async_context(node(settings or {}, SERVER_PASSWORD)) for _ in range(2)
        ]
        await replica.command("REPLICAOF", "127.0.0.1", primary.port)
        sentinels = []
        for _ in range(3):
            data = throwaway_dir()
            sentinels.append(SentinelServer(data, primary))
            await stack.enter_async_context(held(data, sentinels[-1]))
        running = Watched((primary, replica), sentinels)
        await until(running.is_safe)
        yield running


@dataclass(frozen=True)
class Clustered:
    """Three primaries with a third of the slots each, and a replica of one issuer's owner."""

    primaries: list[Node]
    replica: Node
    issuer: str

    @property
    def nodes(self) -> list[Node]:
        """All of them."""
        return [*self.primaries, self.replica]

    @property
    def slot(self) -> int:
        """The slot of the issuer's keys."""
        return key_slot(keyspace(self.issuer, "").encode())

    @property
    def url(self) -> str:
        """What the setting `redis.url` says: two of the nodes, the owner is found."""
        others = [one for one in self.primaries if one is not self._first_owner][:2]
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in others)
        return f"redis+cluster://{USER}:{USER_PASSWORD}@{hosts}"

    @property
    def _first_owner(self) -> Node:
        return self.primaries[owner_at_first(self.slot)]

    async def owner(self) -> Node:
        """Return the node that has the slot, as all that run say."""
        found = set()
        for one in self.nodes:
            if one.server.running:
                for first, last, owner, *_ in await one.command("CLUSTER", "SLOTS"):
                    if first <= self.slot <= last:
                        found.add(owner[1])
        (port,) = found
        return next(one for one in self.nodes if one.port == port)

    async def is_safe(self) -> bool:
        """Whether a failover would succeed."""
        return await _agree(self.nodes) and await has_replica(await self.owner())

    async def move(self, target: Node, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Move the slot as `redis-cli --cluster reshard` does; half-way through do `meanwhile`."""
        source = await self.owner()
        ids = [await one.command("CLUSTER", "MYID") for one in (source, target)]
        await target.command("CLUSTER", "SETSLOT", self.slot, "IMPORTING", ids[0])
        await source.command("CLUSTER", "SETSLOT", self.slot, "MIGRATING", ids[1])
        while keys := await source.command("CLUSTER", "GETKEYSINSLOT", self.slot, 10):
            await source.command(
                "MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "KEYS", *keys
            )  # fmt: skip
        await meanwhile()
        for one in (target, source, *self.primaries):
            await one.command("CLUSTER", "SETSLOT", self.slot, "NODE", ids[1])


def owner_at_first(slot: int) -> int:
    """Return which of the three primaries gets the slot when the cluster is made."""
    return next(n for n, (first, last) in enumerate(THIRDS) if first <= slot <= last)


THIRDS = ((0, 5460), (5461, 10922), (10923, SLOTS - 1))


@asynccontextmanager
async def clustered(
    issuer: str, settings: dict[str, str] | None = None
) -> AsyncIterator[Clustered]:
    """Run four processes, the last a replica of the owner of the issuer's keys."""
    wanted = {
        "cluster-enabled": "yes",
        "cluster-node-timeout": str(DOWN_AFTER),
        "cluster-replica-validity-factor": "0",
        "databases": "1",
        **(settings or {}),
    }
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(wanted)) for _ in range(4)]
        running = Clustered(nodes[:3], nodes[3], issuer)
        for one, slots in zip(running.primaries, THIRDS, strict=True):
            await one.command("CLUSTER", "ADDSLOTSRANGE", *slots)
        for one in nodes[1:]:
            await one.command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        await until(lambda: _agree(nodes))
        owner = running.primaries[owner_at_first(running.slot)]
        await running.replica.command(
            "CLUSTER", "REPLICATE", await owner.command("CLUSTER", "MYID")
        )
        await until(lambda: _follows(owner, nodes))
        yield running


async def _agree(nodes: Sequence[Node]) -> bool:
    for one in nodes:
        info = await one.command("CLUSTER", "INFO")
        if "cluster_state:ok" not in info or f"cluster_known_nodes:{len(nodes)}" not in info:
            return False
    return True


async def _follows(owner: Node, nodes: Sequence[Node]) -> bool:
    """Whether the replica is in step, and every node knows that it is one."""
    for one in nodes:
        if "slave" not in await one.command("CLUSTER", "NODES"):
            return False
    return await has_replica(owner)
