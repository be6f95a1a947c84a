"""The replicas behind the balancer, each with wires of its own to PostgreSQL and Redis."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkstemp

from chaos.databases import Databases
from support.balancer import Balancer, Place
from support.disturbed import socket_of
from support.proxy import Proxy
from support.replicas import Replica
from support.rollout import DRAIN, STOP_PATIENCE
from support.starts import Starts

REPLICAS = 2
SPARE = REPLICAS
"""Places more than replicas: all new ones are there before the old ones go."""


@dataclass(eq=False)
class Spot:
    """A place behind the balancer, the wires that lead from it, and who serves there."""

    place: Place
    postgres_wires: dict[int, Proxy]
    """By the port of the server that each leads to."""
    redis_wire: Proxy
    replica: Replica | None = None
    """None, too, once it was killed or stopped: whoever is dead and still here died by itself."""

    @property
    def is_alive(self) -> bool:
        """Whether somebody serves here."""
        return self.replica is not None and self.replica.process.poll() is None

    def environment(self, common: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a replica here: its servers are at the ends of its wires."""
        return {
            **common,
            **DRAIN,
            **self.place.settings,
            "KEYTURN_POSTGRES__URL": past(self.postgres_wires),
            "KEYTURN_REDIS__URL": f"redis://127.0.0.1:{self.redis_wire.port}",
        }


@dataclass(eq=False)
class ReplicaSet:
    """Two replicas on four spots; `environment` is what new ones start with."""

    balancer: Balancer
    starts: Starts
    environment: dict[str, str]
    spots: Sequence[Spot]
    logs: list[Path] = field(default_factory=list)
    """Of every process there was."""

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        balancer: Balancer,
        starts: Starts,
        environment: dict[str, str],
        databases: Databases,
    ) -> AsyncIterator["ReplicaSet"]:
        """Lay the wires and start the replicas; they are ready. All ends with the block."""
        redis = socket_of(environment["KEYTURN_REDIS__URL"])
        async with AsyncExitStack() as stack:
            spots = [await _wired(place, databases, redis, stack) for place in balancer.places]
            running = cls(balancer, starts, environment, spots)
            stack.callback(running._end)
            await asyncio.gather(*map(running.start, spots[:REPLICAS]))
            yield running

    @property
    def serving(self) -> list[Spot]:
        """Where somebody serves."""
        return [spot for spot in self.spots if spot.is_alive]

    @property
    def free(self) -> Spot:
        """Where nobody serves."""
        return next(spot for spot in self.spots if spot.replica is None)

    def launch(self, spot: Spot, *command: str, **changes: str) -> Replica:
        """Start a process there, not ready yet; `changes` are variables of its environment."""
        descriptor, name = mkstemp(prefix="keyturn-chaos-", suffix=".log")
        os.close(descriptor)
        log = Path(name)
        self.logs.append(log)
        environ = spot.environment(self.environment) | changes
        process = self.starts.launch(environ, log, *command)
        spot.replica = Replica(
            process,
            log,
            f"http://127.0.0.1:{spot.place.port}",
            f"http://127.0.0.1:{spot.place.management_port}",
            environ,
        )
        return spot.replica

    async def start(self, spot: Spot, *command: str, **changes: str) -> None:
        """Start a process there, and wait until the balancer finds it ready."""
        self.launch(spot, *command, **changes)
        await self._until_up(spot)

    async def kill(self, spot: Spot) -> None:
        """SIGKILL whoever serves there."""
        assert spot.replica is not None
        await asyncio.to_thread(spot.replica.kill)
        spot.replica = None

    async def stop(self, spot: Spot) -> None:
        """SIGTERM whoever serves there; it must end well, and the balancer must have seen it go."""
        assert spot.replica is not None
        code = await asyncio.to_thread(spot.replica.terminate, STOP_PATIENCE)
        assert code == 0, spot.replica.log.read_text()[-4000:]
        await self.balancer.until(spot.place, "DOWN")
        spot.replica = None

    async def roll(self) -> None:
        """Replace all by new ones, which are there first."""
        old, free = self.serving, [spot for spot in self.spots if spot.replica is None]
        await asyncio.gather(*map(self.start, free[: len(old)]))
        await asyncio.gather(*map(self.stop, old))

    async def mend(self) -> None:
        """Start whoever was ended, and wait until the balancer finds all ready."""
        for spot in self.spots:
            _require_nobody_died(spot)
        for _ in range(REPLICAS - len(self.serving)):
            self.launch(self.free)
        await asyncio.gather(*map(self._until_up, self.serving))

    async def _until_up(self, spot: Spot) -> None:
        assert spot.replica is not None
        try:
            await self.balancer.until(spot.place, "UP")
        except AssertionError as late:
            raise AssertionError(f"{late}:\n{spot.replica.log.read_text()[-4000:]}") from late

    def _end(self) -> None:
        for spot in self.serving:
            assert spot.replica is not None
            spot.replica.kill()
        for log in self.logs:
            log.unlink(missing_ok=True)


def _require_nobody_died(spot: Spot) -> None:
    """A server that ends by itself is a defect of it, and no fault that is mended in silence."""
    if spot.replica is not None and not spot.is_alive:
        code = spot.replica.process.poll()
        end = spot.replica.log.read_text()[-4000:]
        raise AssertionError(f"a server died by itself, with {code}:\n{end}")


async def wired(databases: Databases, stack: AsyncExitStack) -> dict[int, Proxy]:
    """Lay wires to both servers; by the port of the server that each leads to."""
    return {
        port: await stack.enter_async_context(Proxy.to(socket))
        for port, socket in databases.sockets().items()
    }


def past(wires: Mapping[int, Proxy]) -> str:
    """Return the URL of PostgreSQL at the ends of these wires."""
    hosts = ",".join(f"127.0.0.1:{wire.port}" for wire in wires.values())
    return f"postgresql://keyturn@{hosts}/keyturn"


async def _wired(place: Place, databases: Databases, redis: str, stack: AsyncExitStack) -> Spot:
    wires = await wired(databases, stack)
    return Spot(place, wires, await stack.enter_async_context(Proxy.to(redis)))
