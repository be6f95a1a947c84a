"""What a person sees of the demo when something breaks: one row for a case and a mode.

A test that is a `case` fills a row; the run prints all of them as one table.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

MODES = ("cookie", "body", "code")
PROPERTY = "demo row"
HEAD = (
    "| case | mode | what the person sees | refreshes sent | with new tokens | signed in after |\n"
    "| --- | --- | --- | --- | --- | --- |\n"
)
VARIABLE = "KEYTURN_TEST_SCREENSHOTS"


@dataclass
class Row:
    """What came of one case in one mode."""

    case: str
    mode: str
    sees: str = ""
    """What the page says, word by word."""
    refreshes: int = 0
    """That left the browser."""
    renewed: int = 0
    """Of these, the ones whose answer came back with new tokens."""
    signed_in: bool | None = None
    """Whether the API answered with the orders afterwards; None if the test broke before."""

    @property
    def name(self) -> str:
        """Of the picture."""
        return f"{'-'.join(re.findall('[a-z0-9]+', self.case.lower()))}-{self.mode}"

    def __str__(self) -> str:
        after = {True: "yes", False: "no", None: "FAILED"}[self.signed_in]
        sees = " ".join(self.sees.replace("|", "/").split())
        counts = f"{self.refreshes} | {self.renewed}"
        return f"| {self.case} | `{self.mode}` | {sees} | {counts} | {after} |\n"


def case(name: str, *modes: str) -> pytest.MarkDecorator:
    """Make a test one case, in these modes or in all."""
    rows = [pytest.param((name, mode), id=mode) for mode in modes or MODES]
    return pytest.mark.parametrize("row", rows, indirect=True)


def cases_of(module: Any) -> Iterator[tuple[str, str]]:
    """Yield each case and mode that the tests of a module are about."""
    for test in vars(module).values():
        for mark in getattr(test, "pytestmark", []):
            if mark.name == "parametrize" and mark.args[0] == "row":
                yield from (param.values[0] for param in mark.args[1])


def told(reports: Iterable[Any]) -> str:
    """Return the table of the rows that tests have handed in, in their order; "" for none."""
    ended = [one for one in reports if getattr(one, "when", "") == "teardown"]
    found = [dict(one.user_properties).get(PROPERTY) for one in ended]
    rows = [Row(**json.loads(one)) for one in found if one]
    order = list(dict.fromkeys(row.case for row in rows))  # several workers take turns
    rows.sort(key=lambda row: order.index(row.case))
    return HEAD + "".join(map(str, rows)) if rows else ""


def publish(table: str, write: Callable[[str], object]) -> None:
    """Print a table, if there is one, and keep it beside the pictures."""
    if not table:
        return
    write(f"\n{table}")
    if folder := os.environ.get(VARIABLE):
        Path(folder, "faults.md").write_text(table)


def handed_in(row: Row) -> tuple[str, str]:
    """Return a row as a property of its test's report, which finds its way out of any worker."""
    return PROPERTY, json.dumps(asdict(row))


def pictures(otherwise: Path) -> Path:
    """Return the folder that keeps the pictures and the table."""
    folder = Path(os.environ.get(VARIABLE, otherwise))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
