"""Where the server's CPU goes: µs of each component for a refresh and for client credentials.

    python load-tests/cpu_profile.py [--seconds 20] [SCENE ...]

py-spy samples the saturated worker from outside, C frames included, and `attribution.py` says
what each stack belongs to. The shares come from the sampled round; the µs are those shares of
what the kernel accounted in the rounds before and after, when nobody sampled.
"""

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

import attribution
from cpu import Cores
from machine import machine_line, record
from report import Scene
from stage import Stage
from surroundings import surroundings
from traffic import Traffic

SESSIONS = 20_000
CONNECTIONS = 8
"""Fewer than the server has connections to its database: nobody waits for one."""
ENDLESS = 10**12
RATE = 100
ATTACHING = 3.0
"""Seconds py-spy takes to read the symbols before it samples."""
SOURCES = {
    "refresh": "refreshes",
    "client_credentials": "client_credentials",
    "introspection": "introspections",
    "jwks": "jwks",
}
BY_DEFAULT = ("refresh", "client_credentials")


@dataclass(frozen=True, slots=True)
class Profile:
    """One scene: the whole, as accounted, and the shares of its components."""

    scene: str
    server_microseconds: float
    signing_microseconds: float
    """Of the signature alone, measured beside the rounds: to hold the sampled share against."""
    shares: dict[str, float]

    def rows(self) -> list[dict[str, object]]:
        """Return a row for each component, for JSON."""
        return [
            {
                "scene": self.scene,
                "component": name,
                "share": round(share, 4),
                "us": round(share * self.server_microseconds, 1),
            }
            for name, share in self.shares.items()
        ]

    def text(self) -> str:
        """Return a table."""
        whole, signing = self.server_microseconds, self.signing_microseconds
        head = (
            f"{self.scene}: {whole:.0f} µs CPU of the server;"
            f" one signature measured alone {signing:.0f} µs ({signing / whole:.1%})"
        )
        lines = [
            f"  {name:<22}{share * whole:7.1f} µs {share:6.1%}"
            for name, share in self.shares.items()
        ]
        return "\n".join([head, *lines])


async def profile(scenes: Sequence[str], seconds: float, *, pin: bool) -> list[Profile]:
    """Start everything, sample each scene, stop everything."""
    async with surroundings(Cores.divide(pin=pin)) as around:
        traffic = Traffic(await around.seed(SESSIONS), CONNECTIONS)
        with around.serving() as worker:
            stage = Stage(worker, around.pair.pids, around.cores, 0.5)
            sampler = _Sampler(worker.pid, around.scratch / "stacks", seconds)
            await stage.play(Scene("warm-up", CONNECTIONS), traffic.refreshes(), 2000, 60)
            return [await _profile(stage, sampler, traffic, scene) for scene in scenes]


async def _profile(stage: Stage, sampler: "_Sampler", traffic: Traffic, name: str) -> Profile:
    sources = getattr(traffic, SOURCES[name])()
    alone, sampled = Scene(name, CONNECTIONS), Scene(name, CONNECTIONS)
    signing = [stage.sign()]
    await stage.play(alone, sources, ENDLESS, sampler.seconds / 2)
    sampling = asyncio.create_task(sampler.stacks())
    await stage.play(sampled, sources, ENDLESS, sampler.seconds + ATTACHING)
    stacks = await sampling
    await stage.play(alone, sources, ENDLESS, sampler.seconds / 2)
    signing.append(stage.sign())
    if alone.errors or sampled.errors:
        raise RuntimeError(f"{name}: {alone.errors + sampled.errors}")
    return Profile(
        name, alone.server_microseconds, sum(signing) / len(signing), attribution.shares(stacks)
    )


@dataclass(frozen=True, slots=True)
class _Sampler:
    """py-spy on one process."""

    pid: int
    file: Path
    seconds: float

    async def stacks(self) -> list[str]:
        """Sample for so many seconds; return collapsed stacks."""
        process = await asyncio.create_subprocess_exec(
            _py_spy(),
            *("record", "--native", "--full-filenames", "--format=raw", f"--output={self.file}"),
            *(f"--pid={self.pid}", f"--rate={RATE}", f"--duration={round(self.seconds)}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"py-spy could not sample: {said.decode(errors='replace')}")
        return self.file.read_text().splitlines()


def _py_spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.is_file() else shutil.which("py-spy")
    if found is None:
        sys.exit("cpu_profile.py needs py-spy: pip install -e '.[dev,operations]'")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the server's CPU by component.")
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=", ".join(SOURCES))
    parser.add_argument("--seconds", type=float, default=20, help="sampled, of each scene (20)")
    parser.add_argument("--no-pin", action="store_true", help="let the scheduler place everybody")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args()
    unknown = set(asked.scenes).difference(SOURCES)
    if unknown:
        parser.error(f"no such scene: {', '.join(sorted(unknown))}")
    profiles = uvloop.run(profile(asked.scenes or BY_DEFAULT, asked.seconds, pin=not asked.no_pin))
    rows = [row for one in profiles for row in one.rows()]
    if asked.record:
        record(asked.record, "load-tests/cpu_profile.py", rows)
    text = "\n".join([machine_line(), *(one.text() for one in profiles)])
    print(json.dumps(rows) if asked.json else text)


if __name__ == "__main__":
    main()
