"""One server under load: rounds of requests, and the accounts that are read around each."""

import asyncio
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import limits
import open_loop
import wire
from cpu import Cores, family_seconds, process_seconds
from report import MICRO, Scene, Share
from worker import Worker

PATIENCE = 60.0
SLOWEST = 50.0
"""A round is given up after `PATIENCE` seconds and what it takes at `SLOWEST` answers a second."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A server, the databases behind it, and the core on which signatures are measured."""

    worker: Worker
    pids: Mapping[str, int]
    """Of `postgres` and `valkey`."""
    cores: Cores
    measuring: float
    """Seconds of signing, each time."""
    signer: limits.Signer = field(default_factory=limits.Signer)
    signatures: list[float] = field(default_factory=list)
    """CPU µs of one signature, each time it was measured."""

    async def play(
        self, scene: Scene, sources: Sequence[wire.Source], requests: int, seconds: float
    ) -> None:
        """Drive one round of a scene until a number or a time is up; add it to the scene's sums."""
        run = wire.Run(requests, time.perf_counter() + seconds)
        patience = PATIENCE + min(seconds, requests / SLOWEST)
        await self._account(scene, run, wire.drive(self.worker.port, run, sources), patience)

    async def halve(self, scene: Scene, sources: Sequence[wire.Source], seconds: float) -> None:
        """Let the same requests arrive at half of the rate that the scene has reached."""
        scene.half = half = Scene(f"{scene.name} at half", scene.connections)
        run, arrivals = wire.Run(0), open_loop.Arrivals(scene.per_second / 2, seconds)
        driving = open_loop.drive(self.worker.port, run, sources, arrivals)
        await self._account(half, run, driving, PATIENCE + seconds)

    async def _account(
        self, scene: Scene, run: wire.Run, driving: Awaitable[float], patience: float
    ) -> None:
        with self._accounting(scene):
            async with asyncio.timeout(patience):
                scene.seconds += await driving
        if not run.latencies:
            raise RuntimeError(f"{scene.name}: nothing was answered: {dict(run.errors)}")
        scene.latencies.extend(run.latencies)
        scene.errors.update(run.errors)

    async def share(
        self, scene: Scene, sources: Sequence[wire.Source], rounds: Sequence[tuple[int, float]]
    ) -> Share:
        """Drive a scene that signs; signatures are measured right before and after each round."""
        signed, shares = [self.sign()], []
        seconds_before, count_before = await self._signed_by_worker()
        for requests, seconds in rounds:
            server, answers = scene.server_seconds, scene.requests
            await self.play(scene, sources, requests, seconds)
            signed.append(self.sign())
            each = (scene.server_seconds - server) / (scene.requests - answers) * MICRO
            shares.append((signed[-2] + signed[-1]) / 2 / each)
        seconds_after, count_after = await self._signed_by_worker()
        self.signatures.extend(signed)
        return Share(
            of=scene.name,
            rounds=tuple(shares),
            signing_microseconds=sum(signed) / len(signed),
            wall_microseconds=(seconds_after - seconds_before)
            / (count_after - count_before)
            * MICRO,
        )

    def sign(self) -> float:
        """Return the CPU µs of one signature on the server's core, as of now."""
        with self.cores.on_server_core():
            return self.signer.microseconds(self.measuring)

    async def _signed_by_worker(self) -> tuple[float, float]:
        return await asyncio.to_thread(self.worker.signatures)

    @contextmanager
    def _accounting(self, scene: Scene) -> Iterator[None]:
        before = self._accounts()
        yield
        server, postgres, valkey, generator = (
            now - then for now, then in zip(self._accounts(), before, strict=True)
        )
        scene.server_seconds += server
        scene.postgres_seconds += postgres
        scene.valkey_seconds += valkey
        scene.generator_seconds += generator

    def _accounts(self) -> tuple[float, float, float, float]:
        return (
            family_seconds(self.worker.pid),
            family_seconds(self.pids["postgres"]),
            process_seconds(self.pids["valkey"]),
            time.process_time(),
        )
