"""How much more several workers do than one: the same load on both, in turns, in one run.

    python load-tests/workers.py [--workers 2] [--seconds 4] [--rounds 4]

The database, this load generator and the workers share the machine's cores, so on two cores two
workers cannot do twice as much: README.md says how to read the ratios.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

import seed
import wire
from cpu import Cores, children, process_seconds
from keyturn.configuration import load_settings
from keyturn.db.migrate import migrate
from keyturn.dev.data_dir import DataDir
from keyturn.dev.supervisor import EmbeddedPair, PairOptions, embedded_pair
from surroundings import environ_of
from traffic import Traffic
from worker import Worker, serving

SESSIONS = 4000
ENDLESS = 10**12
PATIENCE = 60.0
SCENES = ("client_credentials", "refresh", "jwks")


@dataclass
class Server:
    """A server under load, and what its rounds gave."""

    workers: int
    process: Worker
    rates: dict[str, list[float]] = field(default_factory=dict)
    shares: list[str] = field(default_factory=list)
    errors: int = 0

    def pids(self) -> list[int]:
        """Return the processes that answer."""
        return children(self.process.pid) if self.workers > 1 else [self.process.pid]

    async def play(self, scene: str, sources: Sequence[wire.Source], seconds: float) -> None:
        """Drive one round."""
        run = wire.Run(ENDLESS, time.perf_counter() + seconds)
        before = [process_seconds(pid) for pid in self.pids()]
        async with asyncio.timeout(PATIENCE + seconds):
            took = await wire.drive(self.process.port, run, sources)
        used = [process_seconds(pid) for pid in self.pids()]
        self.rates.setdefault(scene, []).append(len(run.latencies) / took)
        self.shares.append("/".join(f"{b - a:.1f}" for a, b in zip(before, used, strict=True)))
        self.errors += run.errors.total()


async def compare(asked: argparse.Namespace) -> bool:
    """Start everything, load both servers in turns, print; return whether all was answered."""
    options = PairOptions(durable=True, search_path=os.environ.get("PATH", os.defpath))
    async with embedded_pair(DataDir.temporary(os.environ), options) as pair:
        with tempfile.TemporaryDirectory(prefix="keyturn-workers-") as scratch:
            return await _compare(asked, pair, Path(scratch))


async def _compare(asked: argparse.Namespace, pair: EmbeddedPair, scratch: Path) -> bool:
    environ, cores = environ_of(pair), Cores.divide(pin=False)
    await migrate(pair.postgres_url)
    traffic = Traffic(await seed.seed(load_settings(environ), SESSIONS), asked.connections)
    with ExitStack() as stack:
        servers = [
            Server(count, stack.enter_context(serving(environ, log, cores, workers=count)))
            for count in (1, asked.workers)
            for log in [scratch / f"{count}.log"]
        ]
        for number in range(asked.rounds):
            for scene in SCENES:
                sources = _sources(traffic, scene)
                for one in servers if number % 2 else servers[::-1]:
                    await one.play(scene, sources, asked.seconds)
    return _told(servers)


def _sources(traffic: Traffic, scene: str) -> Sequence[wire.Source]:
    return {
        "client_credentials": traffic.client_credentials,
        "refresh": traffic.refreshes,
        "jwks": traffic.jwks,
    }[scene]()


def _told(servers: Sequence[Server]) -> bool:
    one, several = servers
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average at the end {load}")
    for scene in SCENES:
        ratios = [b / a for a, b in zip(one.rates[scene], several.rates[scene], strict=True)]
        print(
            f"{scene:20} 1 worker {statistics.median(one.rates[scene]):7.0f}/s"
            f"   {several.workers} workers {statistics.median(several.rates[scene]):7.0f}/s"
            f"   ratio {statistics.median(ratios):.2f}"
            f" ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds)"
        )
    print(f"CPU seconds of each worker by round: {' '.join(several.shares)}")
    errors = one.errors + several.errors
    print(f"failed: {errors}")
    return not errors


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare one worker with several.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round (4)")
    parser.add_argument("--rounds", type=int, default=4, help="of each scene and server (4)")
    parser.add_argument("--connections", type=int, default=16)
    sys.exit(not uvloop.run(compare(parser.parse_args())))


if __name__ == "__main__":
    main()
