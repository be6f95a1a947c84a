"""What a change of the server costs or saves: two source trees under the same load, in turns.

    python load-tests/paired.py BEFORE [AFTER] [--rounds 30] [--requests 200] [--scenes jwks]

BEFORE and AFTER are directories that hold `keyturn` (`src` of a checkout; AFTER is this one's
unless it is given). Both servers run at once, on one core, on one database; a round drives first
the one, then the other. Printed is CPU time: medians, and the median of each round's ratio, which
a machine that does other things as well changes least; and the least of each, which is what a quiet
moment showed.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

import seed
import wire
from benchmark import environ_of
from cpu import Cores
from keyturn.configuration import load_settings
from keyturn.db.migrate import migrate
from keyturn.dev.data_dir import DataDir
from keyturn.dev.supervisor import EmbeddedPair, PairOptions, embedded_pair
from limits import Signer
from traffic import Traffic
from worker import Worker, serving

HERE = Path(__file__).resolve().parents[1] / "src"
SESSIONS = 2000
CONNECTIONS = 16
PATIENCE = 60.0
SIGNING = 0.1
SCENES = ("refresh", "client_credentials", "introspection", "jwks")


@dataclass
class Tree:
    """A server of one source tree, and the CPU µs of an answer in each round of a scene."""

    source: Path
    worker: Worker
    costs: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)

    async def play(self, scene: str, sources: Sequence[wire.Source], requests: int) -> None:
        """Drive one round."""
        run, before = wire.Run(requests), _nanoseconds(self.worker.pid)
        async with asyncio.timeout(PATIENCE):
            await wire.drive(self.worker.port, run, sources)
        used = _nanoseconds(self.worker.pid) - before
        self.costs.setdefault(scene, []).append(used / requests / 1000)
        self.errors.update(run.errors)


def _nanoseconds(pid: int) -> int:
    """Return the CPU time of a process, finer than `/proc/PID/stat` has it."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)


async def compare(asked: argparse.Namespace) -> bool:
    """Start everything, load both trees in turns, print; return whether all was answered."""
    options = PairOptions(durable=True, search_path=os.environ.get("PATH", os.defpath))
    cores = Cores.divide(pin=True)
    async with embedded_pair(DataDir.temporary(os.environ), options) as pair:
        cores.keep_off(os.getpid(), *pair.pids.values())
        with tempfile.TemporaryDirectory(prefix="keyturn-paired-") as scratch:
            return await _compare(asked, pair, cores, Path(scratch))


async def _compare(
    asked: argparse.Namespace, pair: EmbeddedPair, cores: Cores, scratch: Path
) -> bool:
    environ = environ_of(pair)
    await migrate(pair.postgres_url)
    traffic = Traffic(await seed.seed(load_settings(environ), SESSIONS), CONNECTIONS)
    signer, signed = Signer(), []
    with ExitStack() as stack:
        trees = []
        for name, source in (("before", asked.before), ("after", asked.after)):
            told = {**environ, "PYTHONPATH": str(source)}
            log = scratch / f"{name}.log"
            trees.append(Tree(source, stack.enter_context(serving(told, log, cores))))
        for one in trees:
            await one.play("warm-up", traffic.refreshes(), asked.requests)
        for number in range(asked.rounds):
            with cores.on_server_core():
                signed.append(signer.microseconds(SIGNING))
            for scene in asked.scenes:
                for one in trees if number % 2 else trees[::-1]:
                    await one.play(scene, _sources(traffic, scene), asked.requests)
    _tell(trees, asked.scenes, statistics.median(signed))
    return not any(one.errors for one in trees)


def _sources(traffic: Traffic, scene: str) -> Sequence[wire.Source]:
    return {
        "refresh": traffic.refreshes,
        "client_credentials": traffic.client_credentials,
        "introspection": traffic.introspections,
        "jwks": traffic.jwks,
    }[scene]()


def _tell(trees: Sequence[Tree], scenes: Sequence[str], signing: float) -> None:
    before, after = trees
    print(f"one signature {signing:.0f} µs")
    for scene in scenes:
        pairs = list(zip(before.costs[scene], after.costs[scene], strict=True))
        ratios = [new / old for old, new in pairs]
        saved = statistics.median(old - new for old, new in pairs)
        old, new = (statistics.median(costs) for costs in zip(*pairs, strict=True))
        least, lesser = (min(costs) for costs in zip(*pairs, strict=True))
        print(
            f"{scene:19} before {old:6.1f} µs (least {least:6.1f})"
            f"  after {new:6.1f} µs (least {lesser:6.1f})  saved {saved:5.1f} µs"
            f"  ratio {statistics.median(ratios):.3f}"
            f" ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds)"
        )
    for one in trees:
        print(f"{one.source}: failed {dict(one.errors)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the CPU cost of two source trees.")
    parser.add_argument("before", type=Path, help="a directory that holds `keyturn`")
    parser.add_argument("after", type=Path, nargs="?", default=HERE)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--requests", type=int, default=200, help="of each round (200)")
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=SCENES)
    sys.exit(not uvloop.run(compare(parser.parse_args())))


if __name__ == "__main__":
    main()
