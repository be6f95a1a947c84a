"""Write README's figures from what the commands recorded in docs/figures, or compare them.

    python load-tests/figures.py [--write]

A command records its rows with `--record` or `--json`; nobody types a figure. What was not yet
recorded is said to be so. Between `<!-- figures:NAME -->` and `<!-- figures:end -->` nothing else
stands.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "figures"
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- figures:(\w+) -->\n).*?(<!-- figures:end -->)", re.DOTALL)
COMMANDS = {
    "benchmark": "load-tests/benchmark.py --record",
    "growth": "load-tests/growth.py",
    "chaos": "tests/chaos/run.py",
    "attacks": "tests/attacks",
}
"""What makes each, for as long as its file does not say so itself."""
TITLES = {"chaos": "Faults", "attacks": "Attacks"}

Row = Mapping[str, Any]
Document = Mapping[str, Any]


def recorded(folder: Path = FOLDER) -> dict[str, Document | None]:
    """Return what each command recorded, None where it has not yet."""
    files = {name: folder / f"{name}.json" for name in COMMANDS}
    return {
        name: json.loads(one.read_text()) if one.exists() else None for name, one in files.items()
    }


def written(page: str, figures: Mapping[str, Document | None]) -> str:
    """Return a page with every block as the figures have it."""
    return BLOCK.sub(
        lambda block: f"{block[1]}{told(block[2], figures[block[2]])}\n{block[3]}", page
    )


def told(name: str, document: Document | None) -> str:
    """Return one block."""
    if document is None:
        return f"{TITLES.get(name, name.capitalize())}: not recorded yet (`{COMMANDS[name]}`)."
    return TELL[name](document)


def made(document: Document) -> str:
    """Return where the figures come from: the machine, the day, the command."""
    return f"{document['machine']}; {document['date']}; `{document['command']}`"


# -- speed ----------------------------------------------------------------------------------------


def _speed(document: Document) -> str:
    rows = document["rows"]
    one = [row for row in rows if row["workers"] == 1]
    more = {row["scene"]: row for row in rows if row["workers"] > 1}
    lines = [_speed_of(row, more.get(row["scene"])) for row in one]
    most = max(row["workers"] for row in rows)
    head = [
        "request",
        "per core, second",
        f"{most} workers",
        "p99 at half",
        "server µs",
        "PostgreSQL µs",
        "of it signing",
    ]
    return "\n".join([*_table(head, lines), "", f"{made(document)}."])


def _speed_of(row: Row, several: Row | None) -> list[str]:
    return [
        row["scene"].replace("_", " "),
        f"{row['per_core']:,.0f}",
        f"{several['per_second']:,.0f}" if several else "",
        f"{row['half_p99_ms']:.1f} ms" if row["half_p99_ms"] is not None else "",
        f"{row['server_us']:,.0f}",
        f"{row['postgres_us']:,.0f}",
        f"{row['signing_share']:.0%}" if row["signing_share"] is not None else "",
    ]


# -- size, faults, attacks ------------------------------------------------------------------------


GROWTH = {
    "sessions": "sessions",
    "bytes_in_all": "bytes each",
    "p50_ms": "refresh p50 ms",
    "p99_ms": "p99 ms",
    "postgres_us": "PostgreSQL µs",
    "purged_alone_per_second": "purged a second",
}


def _sizes(document: Document) -> str:
    """Return what grows with the sessions, and what does not."""
    rows = [row for row in document["rows"] if row["part"] == "sessions"]
    lines = [[f"{row[name]:,}" for name in GROWTH] for row in rows]
    return "\n".join([*_table([*GROWTH.values()], lines), "", f"{made(document)}."])


def _faults(document: Document) -> str:
    """Return one line: the four counts over all runs, and how many planted bugs were found."""
    runs = [row for row in document["rows"] if row["planted"] is None]
    bugs = [row for row in document["rows"] if row["planted"] is not None]
    zeros = [f"{name} {sum(run['zeros'][name] for run in runs)}" for name in runs[0]["zeros"]]
    sizes = sorted({f"{run['seconds']:g} s with {run['apps']} apps" for run in runs})
    found = sum(any(bug["zeros"].values()) for bug in bugs)
    planted = f"; {found} of {len(bugs)} planted bugs found" if bugs else ""
    what = f"{len(runs)} runs of {' and '.join(sizes)}: {', '.join(zeros)}{planted}"
    return f"Faults: {what} ({made(document)})."


def _attacks(document: Document) -> str:
    """Return one line: every suite with its counts."""
    rows: Sequence[Row] = document["rows"]
    told = [f"{row['suite']} ({', '.join(_counts(row))})" for row in rows]
    return f"Attacks: {'; '.join(told)} ({made(document)})."


def _counts(row: Row) -> list[str]:
    return [f"{name} {value:,}" for name, value in row.items() if _counted(value)]


def _counted(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(one)} |" for one in (head, ["---"] * len(head), *lines)]


TELL: Mapping[str, Callable[[Document], str]] = {
    "benchmark": _speed,
    "growth": _sizes,
    "chaos": _faults,
    "attacks": _attacks,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare README's figures with docs/figures.")
    parser.add_argument("--write", action="store_true", help="write them")
    asked = parser.parse_args()
    page = README.read_text(encoding="utf-8")
    wanted = written(page, recorded())
    if asked.write:
        README.write_text(wanted, encoding="utf-8")
    elif wanted != page:
        print("README's figures are not those of docs/figures: --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
