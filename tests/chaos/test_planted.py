"""A judge that no bug can fail judges nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.planted import BUGS, SOURCE, planted

RUN = Path(__file__).with_name("run.py")
SECONDS, APPS, PATIENCE = 60, 30, 900
BROKEN = 3

each_bug = pytest.mark.parametrize("name", BUGS)


@each_bug
def test_a_bug_is_planted_in_a_copy_that_python_can_read(name):
    bug = BUGS[name]
    with planted(bug) as copy:
        changed = (copy / "keyturn" / bug.module).read_text()
        assert changed != (SOURCE / "keyturn" / bug.module).read_text()
        ast.parse(changed)
        assert (copy / "keyturn" / "sessions" / "sessions.sql").exists()


def test_a_bug_whose_place_is_gone_does_not_apply():
    bug = type(next(iter(BUGS.values())))("gone", "clock.py", (("no such text", ""),), shows="")
    with pytest.raises(LookupError, match="stands 0 times"), planted(bug):
        pass


@pytest.mark.long
@each_bug
def test_a_run_with_a_planted_bug_fails(name):
    bug = BUGS[name]
    said = subprocess.run(
        [sys.executable, RUN, "--seconds", str(SECONDS), "--apps", str(APPS), "--plant", name],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    print(said.stdout)
    assert said.returncode == BROKEN, said.stderr[-4000:]
    counted = [line for line in said.stdout.splitlines() if line.startswith(f"{bug.shows}: ")]
    assert counted, said.stdout + said.stderr[-4000:]
    assert counted != [f"{bug.shows}: 0"], said.stdout
