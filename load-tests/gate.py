"""Has a refresh become dearer? The server's CPU for one, counted in RSA signatures.

    python load-tests/gate.py                     # this source, against the limit in gate.json
    python load-tests/gate.py --against FOLDER    # against another `keyturn`, in that folder
    python load-tests/gate.py --plant 300         # does it notice 300 µs more in the handler?

Exit code 1 when a limit is passed. Rounds of refreshes alternate with signatures of the same key
size on the same core, and the servers take turns; medians are compared, so the machine's speed
and its drift cancel out. What other programs do to the caches does not: only a comparison of two
sources in one run (`--against`) is fit for a busy machine.
"""

import argparse
import json
import shutil
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from cpu import Cores
from machine import machine_line
from plan import FOR_EVER
from report import Scene
from stage import Stage
from surroundings import surroundings
from traffic import Traffic

LIMITS = Path(__file__).with_name("gate.json")
SOURCE = Path(__file__).parents[1] / "src"
SESSIONS = 10_000
CONNECTIONS = 8
"""Fewer than the server has connections to its database: nobody waits for one."""
MOST_ERRORS = 0.01
"""Of all answers: a starved machine makes a 503 of some."""
SIGNING = 0.1
"""Seconds of signatures before and after each round."""

HANDLER = "keyturn/oauth/token.py"
FIRST_LINE = "            form = await self.forms.read(request)\n"
BUSY = """\
            import time
            until = time.thread_time_ns() + {nanoseconds}
            while time.thread_time_ns() < until:
                pass
"""


@dataclass(slots=True)
class Contender:
    """One server, and what its rounds gave."""

    title: str
    stage: Stage
    ratios: list[float] = field(default_factory=list)
    """CPU of the server for a refresh, in signatures measured right before and after."""
    answers: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def median(self) -> float:
        """The median round."""
        return statistics.median(self.ratios)

    async def play(self, traffic: Traffic, refreshes: int) -> None:
        """Add one round."""
        scene = Scene("refresh", CONNECTIONS)
        share = await self.stage.share(scene, traffic.refreshes(), [(refreshes, FOR_EVER)])
        self.answers += scene.requests
        self.errors.update(scene.errors)
        self.ratios.append(1 / share.median)

    def line(self) -> str:
        """Return the figures as one line."""
        return (
            f"{self.title:<16}{self.median:5.2f} signatures a refresh (median of"
            f" {len(self.ratios)} rounds, {min(self.ratios):.2f} to {max(self.ratios):.2f};"
            f" {self.errors.total()} of {self.answers:,} answers were errors)"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was measured, against the limits."""

    contender: Contender
    other: Contender | None
    limits: dict[str, dict[str, float]]

    @property
    def growth(self) -> float | None:
        """How many times the other's CPU: the median of what rounds side by side say."""
        if self.other is None:
            return None
        pairs = zip(self.contender.ratios, self.other.ratios, strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def failures(self) -> list[str]:
        """Return which limits were passed, and who answered too badly to be judged."""
        found = [
            f"{one.title}: {dict(one.errors)}"
            for one in self._all()
            if one.errors.total() > MOST_ERRORS * one.answers
        ]
        growth, most = self.growth, {name: one["limit"] for name, one in self.limits.items()}
        if growth is None and self.contender.median > most["signatures"]:
            median = f"{self.contender.median:.2f} signatures a refresh"
            found.append(f"{median}; at most {most['signatures']}")
        if growth is not None and growth > most["growth"]:
            times = f"{growth:.3f} times the CPU of {self.other_title}"
            found.append(f"{times}; at most {most['growth']}")
        return found

    @property
    def other_title(self) -> str:
        """The name of what it is compared with."""
        return "" if self.other is None else self.other.title

    def _all(self) -> list[Contender]:
        return [one for one in (self.other, self.contender) if one is not None]

    def text(self) -> str:
        """Return everything as lines."""
        lines = [one.line() for one in self._all()]
        if self.growth is not None:
            lines.append(f"round by round {self.growth:.3f} times the CPU of {self.other_title}")
        return "\n".join(lines)


async def judge(asked: argparse.Namespace) -> Verdict:
    """Start everything, play the rounds, stop everything."""
    async with surroundings(Cores.divide(pin=not asked.no_pin)) as around:
        traffic = Traffic(await around.seed(SESSIONS), CONNECTIONS)
        with ExitStack() as stack:
            contenders = []
            for title, source in _sources(asked, around.scratch).items():
                worker = stack.enter_context(around.serving(source=source))
                stage = Stage(worker, around.pair.pids, around.cores, SIGNING)
                contenders.append(Contender(title, stage))
            for one in contenders:
                await one.stage.play(Scene("warm-up", CONNECTIONS), traffic.refreshes(), 1000, 30)
            await _rounds(contenders, traffic, asked)
    contender, other = contenders[-1], contenders[0] if len(contenders) > 1 else None
    return Verdict(contender, other, json.loads(LIMITS.read_text()))


async def _rounds(
    contenders: Sequence[Contender], traffic: Traffic, asked: argparse.Namespace
) -> None:
    for number in range(asked.rounds):
        for one in contenders[:: 1 if number % 2 else -1]:
            await one.play(traffic, asked.refreshes)


def _sources(asked: argparse.Namespace, scratch: Path) -> dict[str, Path | None]:
    """Return the sources by name; what is judged comes last."""
    if asked.plant:
        return {"this source": None, "planted": plant(scratch / "planted", asked.plant)}
    if asked.against:
        return {"the other": asked.against.resolve(), "this source": None}
    return {"this source": None}


def plant(folder: Path, microseconds: int) -> Path:
    """Copy the source, with a busy loop in the handler of the token endpoint."""
    shutil.copytree(SOURCE, folder)
    handler = folder / HANDLER
    text = handler.read_text()
    if text.count(FIRST_LINE) != 1:
        raise RuntimeError(f"{HANDLER} does not begin as it did: plant elsewhere")
    busy = BUSY.format(nanoseconds=microseconds * 1000)
    handler.write_text(text.replace(FIRST_LINE, busy + FIRST_LINE))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description="Fail when a refresh has become dearer.")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="that holds a `keyturn`")
    parser.add_argument("--plant", type=int, metavar="µs", help="judge a slower copy instead")
    parser.add_argument("--rounds", type=int, default=60, help="of each server (60)")
    parser.add_argument("--refreshes", type=int, default=100, help="of each round (100)")
    parser.add_argument("--no-pin", action="store_true", help="let the scheduler place everybody")
    verdict = uvloop.run(judge(parser.parse_args()))
    print(f"{machine_line()}\n{verdict.text()}")
    failures = verdict.failures()
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
