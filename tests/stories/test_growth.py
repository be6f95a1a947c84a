"""What shows how cost grows does work, and finds what must not grow; figures no test asserts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOAD_TESTS = Path(__file__).parents[2] / "load-tests"
PARTS = {"sessions", "clients", "keys", "revocations", "day"}


@pytest.mark.long
def test_a_quick_run_measures_every_part_and_finds_nothing_that_leaks(tmp_path):
    figures, page = tmp_path / "growth.json", tmp_path / "plans.md"
    finished = subprocess.run(
        [
            *(sys.executable, LOAD_TESTS / "growth.py", "--quick", "--plans"),
            *("--plans-to", page, "--json", figures),
        ],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    rows = {row["part"]: row for row in json.loads(figures.read_text())["rows"]}
    assert set(rows) == PARTS
    assert rows["sessions"]["bytes_in_all"] < 700
    assert rows["sessions"]["updates"] == rows["sessions"]["hot_updates"] > 0
    assert rows["sessions"]["heap_grown"] == 0
    assert page.read_text().count("\n## ") > 100
