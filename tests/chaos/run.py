"""Break a whole deployment for some minutes while people use it, and judge what they saw.

    python tests/chaos/run.py [--seconds 300] [--seed N] [--apps 50] [--plant NAME]
                              [--picture FILE.svg] [--json FILE] [--history FILE]

Exit code 0: four zeros. 3: one is none, or the run tried too little to say so. 2: wrong usage. 1: the
run itself failed (with a traceback), as when the machine is too slow to mend what was broken.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.extend(
    str(Path(__file__).parents[2] / one) for one in ("tests", "packages/verifier/src", "load-tests")
)

from chaos.crowd import LIST_AGE, SETTINGS, Crowd
from chaos.faults import FAULTS
from chaos.history import Event, History
from chaos.judge import Verdict, judge
from chaos.planted import BUGS, Bug, planted
from chaos.promises import Promises
from chaos.report import report, unreached
from chaos.schedule import Planned, plan, play
from chaos.timeline import draw
from chaos.world import World
from support import quick_hashes

HOUSEHOLD = 2
"""Apps of one person."""
HELD, BROKEN = 0, 3
TITLES = {one.id: one.title for one in FAULTS.values()}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for on the command line."""

    seconds: float
    seed: int
    apps: int
    plant: str | None = None
    picture: Path | None = None
    json: Path | None = None
    history: Path | None = None

    @property
    def title(self) -> str:
        """What stands above the picture, and over the report."""
        bug = f", planted: {self.plant}" if self.plant else ""
        return f"keyturn chaos run: {self.apps} apps, {self.seconds:g} s, seed {self.seed}{bug}"


async def chaos(wanted: Wanted) -> tuple[tuple[Event, ...], Verdict]:
    """Run it, and return what happened and what to say to that."""
    quick_hashes.allow()
    rng = random.Random(wanted.seed)
    bug = BUGS.get(wanted.plant or "")
    with planted(bug) if bug else nullcontext() as source:
        people = -(-wanted.apps // HOUSEHOLD)
        settings = SETTINGS | dict(bug.settings if bug else ())
        async with World.of(source=source, people=people, **settings) as world:
            history = History(time.monotonic, rng.randbytes(16))
            world.listeners.append(lambda note: history.note(note.fault, note.phase, note.count))
            async with Crowd.around(world, history, wanted.apps, rng) as crowd:
                await _live(crowd, wanted, _planned(wanted, bug))
    events = tuple(history.events)
    return events, judge(events, Promises.of(world.grace, LIST_AGE, frozenset()))


def _planned(wanted: Wanted, bug: Bug | None) -> list[Planned]:
    """Return the schedule; of a bug's faults only, and as long as it needs them, if it has any."""
    if bug is None or not bug.faults:
        return plan(wanted.seed, wanted.seconds)
    planned = plan(wanted.seed, wanted.seconds * len(FAULTS))
    return [
        replace(one, seconds=bug.lasting or one.seconds)
        for one in planned
        if one.fault in bug.faults
    ]


async def _live(crowd: Crowd, wanted: Wanted, planned: list[Planned]) -> None:
    """Let faults come, and people live with them."""
    async with crowd.living():
        await play(crowd.world, planned, wanted.seconds)
    await crowd.settle()
    await crowd.look_into_rows()


def main(arguments: list[str] | None = None) -> int:
    """Run, print, draw, and return the exit code."""
    wanted = _parse(arguments)
    events, verdict = asyncio.run(chaos(wanted))
    print(report(wanted.title, verdict, TITLES))
    if wanted.picture:
        picture = draw(wanted.title, events, verdict, TITLES)
        wanted.picture.write_text(picture, encoding="utf-8")
        print(f"picture: {wanted.picture}")
    if wanted.history:
        lines = (json.dumps(asdict(one)) + "\n" for one in events)
        wanted.history.write_text("".join(lines), encoding="utf-8")
    if wanted.json:
        _record(wanted, verdict)
    return HELD if verdict.holds else BROKEN


def _parse(arguments: list[str] | None) -> Wanted:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=300, help="how long faults come")
    parser.add_argument("--seed", type=int, default=1, help="of faults and of what people do")
    parser.add_argument("--apps", type=int, default=50)
    parser.add_argument("--plant", choices=sorted(BUGS), help="run a server with this bug")
    parser.add_argument("--picture", type=Path, help="draw the timeline there (SVG)")
    parser.add_argument("--json", type=Path, help="add the figures to this file")
    parser.add_argument("--history", type=Path, help="write everything that happened there (JSONL)")
    asked = parser.parse_args(arguments)
    if asked.seconds <= 0 or asked.apps <= 0:
        parser.error("--seconds and --apps are more than 0")
    return Wanted(**vars(asked))


def _record(wanted: Wanted, verdict: Verdict) -> None:
    """Add a row for this run; an earlier one of the same seed and bug is replaced."""
    from machine import record

    assert wanted.json is not None
    kept = json.loads(wanted.json.read_text(encoding="utf-8")) if wanted.json.exists() else {}
    key = {"seed": wanted.seed, "planted": wanted.plant}
    rows = [one for one in kept.get("rows", []) if {name: one.get(name) for name in key} != key]
    row = key | {"seconds": wanted.seconds, "apps": wanted.apps, "zeros": dict(verdict.zeros)}
    row |= {"counts": dict(verdict.counts), "excused": dict(verdict.excused)}
    row |= {"holds": verdict.holds, "untried": list(verdict.untried)}
    row |= {"not_reached": list(unreached(verdict, TITLES))}
    row |= {"undone": dict(verdict.undone)}
    row |= {"p99_outside": verdict.p99_outside, "windows": [asdict(one) for one in verdict.windows]}
    command = f"python tests/chaos/run.py --seconds {wanted.seconds:g} --seed N"
    record(wanted.json, command, [*rows, row])


if __name__ == "__main__":
    sys.exit(main())
