"""What 10^8 sessions and 10^5 refreshes a second would take: the tables of docs/scaling.md.

    python load-tests/scaling.py [--write]

The arithmetic is in capacity.py, over figures that commands recorded; queueing.py simulates what no
machine here can show. Nobody types a figure of the page.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from capacity import DAY, FREEZE_AGE, SESSIONS_OF_LIST, Plan, list_bytes, measured
from queueing import Cell, Simulation, quantile

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
BLOCK = re.compile(r"(<!-- scaling:(\w+) -->\n).*?(<!-- scaling:end -->)", re.DOTALL)
MIB, GIB = 2**20, 2**30
CELLS = (1, 4, 16, 64)
SEED = 7
SIMULATED = 8_000
"""Requests of each simulation: more than a second of one cell of 16."""
LATE = 100
"""Milliseconds: `token_latency` of the objectives."""
DEFAULT_LINES = 10
"""`postgres.pool_max` that nobody has set."""
REVOKED_SECONDS = 65 * 60
"""How long a revocation is kept, in Redis and in a status list."""
FETCHING = 5.0
"""Seconds between two readings of a status list: half of its default `ttl`."""

Row = Sequence[str]


def table(head: Row, rows: Iterator[Row]) -> str:
    """Return a table of Markdown."""
    return "\n".join(f"| {' | '.join(one)} |" for one in (head, ["---"] * len(head), *rows))


# -- what goes in ---------------------------------------------------------------------------------


def inputs(plan: Plan) -> str:
    """Return what was measured, where, and what is assumed."""
    rows = [*_measured(plan), *_assumed(plan)]
    made = [f"- {source}" for source in plan.inputs.sources]
    return "\n".join([table(("input", "value"), iter(rows)), "", "Measured on:", "", *made])


def _measured(plan: Plan) -> Iterator[Row]:
    one = plan.inputs
    parts = ", ".join(f"`{part}` {size:.0f}" for part, size in one.parts.items())
    log, page = one.rotate["wal_bytes"], one.image_bytes
    yield "CPU of the server for a refresh", f"{one.server_us:,.0f} µs"
    yield "of it the signature", f"{one.signing_us:,.0f} µs"
    yield "CPU of PostgreSQL for a refresh", f"{one.postgres_us:,.0f} µs"
    yield "write-ahead log of a refresh", f"{log:,} bytes"
    yield "and of the first change of a page after a checkpoint", f"{page:,.0f} bytes more"
    yield "syncs of the log for each of 40 commits at once", f"{one.rotate['syncs']:.2f}"
    yield "a session in PostgreSQL", f"{one.session_bytes:,.0f} bytes: {parts}"
    yield "a connection in PostgreSQL", f"{one.backend_bytes / MIB:.1f} MiB of its own"
    yield "a revocation in Redis", f"{one.revocation_bytes:,.0f} bytes"


def _assumed(plan: Plan) -> Iterator[Row]:
    asked, hard = plan.target, plan.hardware
    yield "assumed: sessions", f"{asked.sessions:,.0f}"
    yield "assumed: refreshes a second", f"{asked.refreshes:,.0f}"
    yield "assumed: a session lasts", f"{asked.lifetime_days:.0f} days"
    yield "assumed: most use of a core, in the mean", f"{hard.busy:.0%}"
    yield "assumed: a sync of the log", f"{hard.sync_ms} ms"
    yield "assumed: between two checkpoints", f"{hard.checkpoint_minutes:.0f} minutes"
    yield "assumed: `postgres.pool_max`", f"{hard.lines}"


# -- what comes out -------------------------------------------------------------------------------


def whole(plan: Plan) -> str:
    """Return what the target takes as one piece."""
    return table(("what", "how much"), _whole(plan))


def _whole(plan: Plan) -> Iterator[Row]:
    one, default = plan.inputs, plan.processes * (2 * DEFAULT_LINES + 2)
    memory = plan.connections * one.backend_bytes / GIB
    yield "processes of keyturn, a core each", f"{plan.processes:,}"
    yield f"their connections, with `pool_max` {DEFAULT_LINES}", f"{default:,}"
    yield f"and with {plan.hardware.lines}", f"{plan.connections:,}, which take {memory:.1f} GiB"
    yield "cores of PostgreSQL", f"{plan.postgres_cores:,}"
    yield "write-ahead log", f"{plan.wal_rate / 1e6:,.0f} MB/s"
    yield "of it whole pages", f"{plan.image_rate * one.image_bytes / 1e6:,.0f} MB/s"
    yield "the log to each standby", f"{plan.wal_rate * 8 / 1e9:.1f} Gbit/s"
    yield "the log of a day, archived", f"{plan.wal_rate * DAY / 1e12:.1f} TB"
    yield "commits that share a sync", f"{plan.rate * plan.hardware.sync_ms / 1000:,.0f}"
    yield "sessions with their indexes", f"{plan.sessions * one.session_bytes / GIB:,.0f} GiB"
    yield "the indexes alone", f"{plan.sessions * one.index_bytes / GIB:,.1f} GiB"
    yield "sign-ins a second, over the day", f"{plan.sign_ins:,.0f}, and as many rows to purge"
    yield "200 million transactions are through in", f"{plan.hours_to_freeze * 60:,.0f} minutes"
    yield "a vacuum that keeps up with that reads", f"{plan.freezing_rate / 1e6:,.0f} MB/s"
    yield "their ids run out, if nothing is frozen, in", f"{2**31 / plan.rate / 3600:,.1f} hours"


LIMIT_HEAD = ("refreshes/s", "limit of one primary", "what is done about it")


def limits(plan: Plan) -> str:
    """Return at which rate each limit is met, lowest first."""
    found = sorted(_limits(plan))
    return table(LIMIT_HEAD, ((f"{rate:,.0f}", what, done) for rate, what, done in found))


def _limits(plan: Plan) -> Iterator[tuple[float, str, str]]:
    one, hard = plan.inputs, plan.hardware
    process, core = hard.busy * 1e6 / one.server_us, hard.busy * 1e6 / one.postgres_us
    few = 100 // (2 * DEFAULT_LINES + 2) * process
    yield process, "one process", "more workers and replicas: they share PostgreSQL alone"
    yield few, "`max_connections` 100 with `pool_max` 10", "both settings; then PgBouncer"
    yield FREEZE_AGE / DAY, "all rows frozen daily, each 200 million", "`autovacuum_freeze_max_age`"
    yield 1e9 / DAY, "all rows frozen daily, each 10^9", "a quicker autovacuum; cells"
    yield 16 * core, "16 cores of PostgreSQL", "more cores, `postgres.async_rotation`"
    yield 64 * core, "64 cores of PostgreSQL", "cells"
    network = 125e6 / one.rotate["wal_bytes"]
    yield network, "1 Gbit/s to a standby, whole pages aside", "a faster network, `wal_compression`"


CELL_HEAD = (
    *("cells", "refreshes/s", "processes", "connections", "PostgreSQL cores", "log MB/s"),
    *("sessions GiB", "hours to 200 million"),
)


def cells(plan: Plan) -> str:
    """Return the target divided; the figures are of one cell."""
    return table(CELL_HEAD, (_cell(replace(plan, cells=count)) for count in CELLS))


def _cell(plan: Plan) -> Row:
    return (
        f"{plan.cells}",
        f"{plan.rate:,.0f}",
        f"{plan.processes:,}",
        f"{plan.connections:,}",
        f"{plan.postgres_cores:,}",
        f"{plan.wal_rate / 1e6:,.1f}",
        f"{plan.sessions * plan.inputs.session_bytes / GIB:,.1f}",
        f"{plan.hours_to_freeze:,.1f}",
    )


LIST_HEAD = (
    *("sessions ended early, a day", "a second", "bytes of a list", "Gbit/s without a cache"),
    *("Mbit/s behind one", "MiB in Redis"),
)


def lists(plan: Plan) -> str:
    """Return what the status lists cost, by how many sessions end before their time."""
    count = math.ceil(plan.target.sessions / SESSIONS_OF_LIST)
    behind, without = count / FETCHING, count * plan.target.apis / FETCHING
    told = (
        f"{count} lists, read by {plan.target.apis:,} processes of APIs every {FETCHING:.0f} s:"
        f" {without:,.0f} requests a second, {behind:,.0f} behind a shared cache."
    )
    rows = (_list(plan, daily, without, behind) for daily in (0.01, 0.1, 1.0))
    return f"{told}\n\n{table(LIST_HEAD, rows)}"


def _list(plan: Plan, daily: float, without: float, behind: float) -> Row:
    ended = plan.target.sessions * daily / DAY
    size = list_bytes(daily * REVOKED_SECONDS / DAY)
    return (
        f"{daily:.0%}",
        f"{ended:,.0f}",
        f"{size:,}",
        f"{without * size * 8 / 1e9:,.2f}",
        f"{behind * size * 8 / 1e6:,.1f}",
        f"{ended * REVOKED_SECONDS * plan.inputs.revocation_bytes / MIB:,.0f}",
    )


# -- what no machine here can show ----------------------------------------------------------------


SCENE_HEAD = ("one cell of 16", "p50 ms", "p99 ms", "longest ms", f"over {LATE} ms")


def simulation(plan: Plan) -> str:
    """Return how long refreshes take in one cell of 16, well and in trouble."""
    return table(SCENE_HEAD, (_simulated(*scene) for scene in _scenes(replace(plan, cells=16))))


def _scenes(plan: Plan) -> Iterator[tuple[str, Cell]]:
    few = math.ceil(plan.processes * 5 / 6)
    yield f"{plan.processes} processes, {plan.postgres_cores} cores", plan.cell()
    yield f"{few} processes: a sixth is gone", plan.cell(processes=few)
    yield "one connection a process", plan.cell(lines=1)
    yield "a sync takes 5 ms", plan.cell(sync_ms=5.0)
    yield f"the same, {DEFAULT_LINES} connections a process", plan.cell(sync_ms=5.0, lines=10)
    yield "no commit for half a second", plan.cell(stall=(500.0, 1000.0))


def _simulated(what: str, cell: Cell) -> Row:
    took = Simulation(cell, SEED).run(SIMULATED)
    late = sum(time > LATE for time in took) / len(took)
    middle, most = quantile(took, 0.5), quantile(took, 0.99)
    return what, f"{middle:.1f}", f"{most:.1f}", f"{max(took):.0f}", f"{late:.1%}"


TABLES: Mapping[str, Callable[[Plan], str]] = {
    one.__name__: one for one in (inputs, whole, limits, cells, lists, simulation)
}


def written(page: str, plan: Plan) -> str:
    """Return a page with every table as the figures have it."""
    return BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]](plan)}\n{block[3]}", page)


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the tables of docs/scaling.md.")
    parser.add_argument("--write", action="store_true", help="write them into the page")
    asked = parser.parse_args()
    plan = Plan(measured())
    if asked.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), plan), encoding="utf-8")
    else:
        print("\n\n".join(f"{name}\n{tell(plan)}" for name, tell in TABLES.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
