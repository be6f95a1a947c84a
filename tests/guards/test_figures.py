"""README's figures are what commands recorded in docs/figures, and nothing else."""

import json

import pytest

from support.load_programs import load_program
from support.tree import ROOT, text

figures = load_program("figures")
MOST_LINES = 15
"""Lines of tables: README stays short."""


def section(page):
    return page.partition("\n## Figures\n")[2].partition("\n## ")[0]


def test_the_readme_says_what_was_recorded():
    page = text("README.md")
    assert page == figures.written(page, figures.recorded()), (
        "write it anew: .venv/bin/python load-tests/figures.py --write"
    )


def test_every_record_has_a_block_in_the_readme():
    assert [name for _, name, _ in figures.BLOCK.findall(text("README.md"))] == [*figures.COMMANDS]


def test_the_tables_are_short_and_the_rest_is_a_line_each():
    assert section(text("README.md")).count("\n|") <= MOST_LINES
    for block in figures.BLOCK.finditer(text("README.md")):
        if block[2] in figures.TITLES:
            assert block[0].count("\n") == 2, block[0]


@pytest.mark.parametrize(
    "file", sorted((ROOT / "docs/figures").glob("*.json")), ids=lambda p: p.stem
)
def test_every_record_says_machine_day_and_command(file):
    assert set(json.loads(file.read_text())) == {"machine", "date", "command", "rows"}


# -- what the guards find when it is planted ------------------------------------------------------

PAGE = """
<!-- figures:benchmark -->
<!-- figures:end -->
<!-- figures:growth -->
<!-- figures:end -->
<!-- figures:chaos -->
<!-- figures:end -->
<!-- figures:attacks -->
<!-- figures:end -->
"""
MADE = {"machine": "A machine", "date": "2026-01-31", "command": "do.py"}
SPEED = {
    "scene": "client_credentials", "per_second": 1234.5, "per_core": 1500.4, "half_p99_ms": 3.21,
    "server_us": 612.3, "postgres_us": 0.4, "signing_share": 0.612,
}  # fmt: skip
GROWN = {
    "part": "sessions", "sessions": 10_000, "bytes_in_all": 600, "p50_ms": 1.23, "p99_ms": 4.5,
    "postgres_us": 150, "purged_alone_per_second": 9000, "bytes": {},
}  # fmt: skip
RUN = {"planted": None, "seconds": 300.0, "apps": 50, "zeros": {"sign-ins lost": 0, "forks": 0}}
BUG = {"seed": 1, "planted": "fork", "zeros": {"sign-ins lost": 0, "forks": 9}}
SUITE = {"suite": "mutated", "requests": 100_000, "failed": 0}
RECORDED = {
    "benchmark": MADE | {"rows": [SPEED | {"workers": 1}, SPEED | {"workers": 2}]},
    "growth": MADE | {"rows": [GROWN, {"part": "clients", "clients": 1}]},
    "chaos": MADE | {"rows": [RUN | {"seed": 1}, RUN | {"seed": 2}, RUN | BUG]},
    "attacks": MADE | {"rows": [SUITE, SUITE]},
}


def test_a_page_says_what_is_recorded():
    page = figures.written(PAGE, RECORDED)
    assert "| client credentials | 1,500 | 1,234 | 3.2 ms | 612 | 0 | 61% |" in page
    assert "A machine; 2026-01-31; `do.py`." in page
    assert "| 10,000 | 600 | 1.23 | 4.5 | 150 | 9,000 |" in page
    assert "Faults: 2 runs of 300 s with 50 apps: sign-ins lost 0, " in page
    assert "; 1 of 1 planted bugs found (A machine; 2026-01-31; `do.py`)." in page
    assert (
        "Attacks: mutated (requests 100,000, failed 0); mutated (requests 100,000, failed 0) (A"
        in page
    )
    assert figures.written(page, RECORDED) == page


def test_what_was_not_recorded_is_said_to_be_missing():
    page = figures.written(figures.written(PAGE, RECORDED), dict.fromkeys(figures.COMMANDS))
    assert page.count("not recorded yet") == 4
    assert "1,500" not in page


@pytest.mark.parametrize(
    ("good", "bad"), [("1,500", "1,900"), ("lost 0", "lost 1"), ("61%", "71%")]
)
def test_a_figure_that_nobody_recorded_is_found(good, bad):
    page = figures.written(PAGE, RECORDED)
    assert figures.written(page.replace(good, bad), RECORDED) != page.replace(good, bad)
