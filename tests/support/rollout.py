"""Replicas behind a balancer, replaced one after the other: the new one first, as Kubernetes does."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support import replicas
from support.api import Api, api_of
from support.balancer import Balancer, Place, balanced
from support.replicas import Replica
from support.traffic import Traffic

DRAIN = {"KEYTURN_SERVER__DRAIN_SECONDS": "3"}
"""Twelve questions of the balancer, of which two must be answered."""
STOP_PATIENCE = 60.0


@dataclass(eq=False)
class Rollout:
    """Who runs where."""

    balancer: Balancer
    serving: dict[Place, Replica] = field(default_factory=dict)
    started: list[Replica] = field(default_factory=list)
    _free: deque[Place] = field(init=False)

    def __post_init__(self) -> None:
        """A place that was left is the last to be taken again."""
        self._free = deque(self.balancer.places)

    async def add(
        self, environ: Mapping[str, str], program: Sequence[str] | None = None
    ) -> Replica:
        """Start a replica in a free place and wait until the balancer finds it ready."""
        place = self._free.popleft()
        replica = replicas.start({**environ, **DRAIN, **place.settings}, program)
        replica.url = f"http://127.0.0.1:{place.port}"
        replica.management_url = f"http://127.0.0.1:{place.management_port}"
        self.serving[place] = replica
        self.started.append(replica)
        await self.balancer.until(place, "UP")
        return replica

    async def remove(self, place: Place) -> None:
        """SIGTERM a replica; it must end well, and the balancer must have seen it go."""
        replica = self.serving.pop(place)
        code = await asyncio.to_thread(replica.terminate, STOP_PATIENCE)
        assert code == 0, replica.log.read_text()[-4000:]
        await self.balancer.until(place, "DOWN")
        self._free.append(place)

    async def roll(self, environ: Mapping[str, str]) -> None:
        """Replace one replica after the other by a new one on these settings."""
        for place in list(self.serving):
            await self.add(environ)
            await self.remove(place)

    async def surge(self, environ: Mapping[str, str], requests: int, traffic: Traffic) -> None:
        """Start as many new ones; let old and new serve so many requests; stop the old ones."""
        old = list(self.serving)
        await asyncio.gather(*(self.add(environ) for _ in old))
        await traffic.go_on(requests)
        await asyncio.gather(*(self.remove(place) for place in old))


@asynccontextmanager
async def rollout(
    balancer: Balancer, environ: Mapping[str, str], program: Sequence[str] | None = None
) -> AsyncIterator[Rollout]:
    """Run two replicas behind the balancer; end whatever runs with the block."""
    running = Rollout(balancer)
    try:
        await asyncio.gather(*(running.add(environ, program) for _ in range(2)))
        yield running
    finally:
        for one in running.started:
            if one.process.poll() is None:
                one.kill()
            one.log.unlink(missing_ok=True)


@dataclass(frozen=True)
class Deployment:
    """Replicas of one issuer, which is the balancer's address, and their operator."""

    api: Api
    replicas: Rollout

    async def traffic(self) -> Traffic:
        """Return callers of the balancer, with accounts."""
        return await Traffic.of(self.api, self.replicas.balancer.url)


@asynccontextmanager
async def deployed(
    haproxy: Path, database_url: str, redis_url: str, **settings: str
) -> AsyncIterator[Deployment]:
    """Run two replicas on these, behind a balancer with room for the next two."""
    with balanced(haproxy, places=4) as balancer:
        common = {**replicas.GENEROUS, "issuer": balancer.url, **settings}
        environ = replicas.settings(database_url, redis_url, **common)
        async with (
            rollout(balancer, environ) as running,
            api_of(environ, list(running.serving.values())) as api,
        ):
            yield Deployment(api, running)
