"""What the command prints and records says what was not done, too."""

import json

from chaos import run
from chaos.report import report

TITLES = {"F1": "Power lost", "F2": "Light lost"}


def test_faults_that_were_not_reached_are_named(past):
    said = report("A run", past.fault(3, 4).verdict, TITLES).splitlines()
    assert "not reached: F2" in said
    assert "never tried: replay" in said
    assert not [
        one for one in report("A run", past.fault(5, 6, "F2").verdict, TITLES).splitlines()
        if one.startswith("not reached")
    ]  # fmt: skip


def test_a_record_says_whether_the_run_holds_and_what_it_never_did(past, tmp_path):
    file = tmp_path / "chaos.json"
    run._record(run.Wanted(60, 1, 2, json=file), past.fault(3, 4).verdict)
    (row,) = json.loads(file.read_text())["rows"]
    assert row["holds"] is False
    assert "replay" in row["untried"]
    assert "F2" in row["not_reached"]
    assert "F1" not in row["not_reached"]
