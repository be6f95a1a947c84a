"""How cost grows with what is stored: sessions, clients, keys, revocations; and a whole day.

    python load-tests/growth.py [--quick] [--only sessions] [--sizes 10000,1000000] [--record]

One command: for each part it starts a durable PostgreSQL and a Valkey of its own, fills them,
measures through a real `keyturn serve`, and stops everything. Ten million sessions need 20 GB
of disk and half an hour; `--data DIR` keeps what was made, for another run. `--plans` also writes
docs/query-plans.md from the largest size. README.md says what the figures mean.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import uvloop

from growing import day, others, plans, rows, sessions
from growing.ground import Ground, ground
from machine import machine_line, record

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures" / "growth.json"
COMMAND = "python load-tests/growth.py --plans --record"
SIZES = "10000,1000000,10000000"
QUICK = "5000"
Row = dict[str, Any]


async def of_sessions(asked: argparse.Namespace) -> AsyncIterator[Row]:
    """Measure every size; of the largest, write the plans if asked."""
    sizes = [int(one) for one in asked.sizes.split(",")]
    for size in sizes:
        async with ground(asked.data / str(size) if asked.data else None) as here:
            await rows.fill(here, size)
            if asked.plans and size == max(sizes):
                await _write_plans(here, size, asked)
            yield await sessions.measure(here, size, quick=asked.quick)


async def _write_plans(here: Ground, size: int, asked: argparse.Namespace) -> None:
    await plans.surround(here.sql, size)
    found = await plans.explain(here.pair.postgres_url)
    page = plans.page(found, await plans.counts(here.sql), COMMAND)
    await asyncio.to_thread(asked.plans_to.write_text, page)


async def of_clients(asked: argparse.Namespace) -> AsyncIterator[Row]:
    """Measure a server that knows many clients."""
    async with ground() as here:
        for count in (10, 100) if asked.quick else (10, 10_000, 100_000):
            yield await others.of_clients(here, count)


async def of_keys(asked: argparse.Namespace) -> AsyncIterator[Row]:
    """Measure a server that publishes many keys."""
    async with ground() as here:
        for count in (0, 2) if asked.quick else (0, 10, 100):
            yield await others.of_keys(here, count)


async def of_revocations(asked: argparse.Namespace) -> AsyncIterator[Row]:
    """Measure a server that starts with many revocations in force."""
    async with ground() as here:
        for count in (1000,) if asked.quick else (1000, 100_000, 1_000_000):
            yield await others.of_revocations(here, count)


async def of_a_day(asked: argparse.Namespace) -> AsyncIterator[Row]:
    """Let two days pass."""
    async with ground() as here:
        yield await day.pass_days(here, day.Plan.quick() if asked.quick else day.Plan())


PARTS: dict[str, Callable[[argparse.Namespace], AsyncIterator[Row]]] = {
    "clients": of_clients,
    "keys": of_keys,
    "revocations": of_revocations,
    "day": of_a_day,
    "sessions": of_sessions,
}
FAILURES = {"sessions": sessions.failures, "day": day.failures}


async def measure(asked: argparse.Namespace) -> list[Row]:
    """Measure the parts that were asked for, and print each figure as it comes."""
    found = []
    for name in asked.only.split(",") if asked.only else PARTS:
        async for row in PARTS[name](asked):
            print(json.dumps(row), flush=True)
            found.append(row)
    return found


def kept(file: Path, measured: list[Row]) -> list[Row]:
    """Return the rows with those of an earlier record that were not measured now."""
    before = json.loads(file.read_text())["rows"] if file.exists() else []
    again = {_place(row) for row in measured}
    return sorted([row for row in before if _place(row) not in again] + measured, key=_place)


def _place(row: Row) -> tuple[str, int]:
    """Return which part a row is of, and its size (of sessions: its order of magnitude)."""
    part = row["part"]
    size = row.get(part, row.get("retired_keys", 0))
    return part, len(str(round(size * 1.1))) if part == "sessions" else size


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how cost grows with what is stored.")
    parser.add_argument("--only", help=f"some of {', '.join(PARTS)}, by comma")
    parser.add_argument("--sizes", help=f"numbers of sessions, by comma ({SIZES})")
    parser.add_argument(
        "--data", type=Path, help="keep the databases of sessions below this folder"
    )
    parser.add_argument("--plans", action="store_true", help="write docs/query-plans.md, too")
    parser.add_argument("--plans-to", type=Path, default=plans.PAGE, help="or another file")
    parser.add_argument(
        "--quick", action="store_true", help="does it all work? figures mean nothing"
    )
    parser.add_argument("--record", action="store_true", help="write docs/figures/growth.json")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    asked = parser.parse_args()
    asked.sizes = asked.sizes or (QUICK if asked.quick else SIZES)
    print(machine_line())
    found = uvloop.run(measure(asked))
    for file in [FIGURES] * asked.record + [asked.json] * bool(asked.json):
        record(file, COMMAND, kept(file, found))
    failures = [one for row in found for one in FAILURES.get(row["part"], lambda _: ())(row)]
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
