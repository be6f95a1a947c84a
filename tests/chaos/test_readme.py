"""The page of the chaos run names what there is."""

from pathlib import Path

from chaos.planted import BUGS

PAGE = Path(__file__).with_name("README.md").read_text(encoding="utf-8")


def test_every_bug_that_can_be_planted_is_on_the_page():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    for name, bug in BUGS.items():
        row = next(line for line in rows if line.startswith(f"| `{name}`"))
        assert bug.shows.removesuffix(" after their bound") in row


def test_every_option_is_on_the_page():
    usage = Path(__file__).with_name("run.py").read_text(encoding="utf-8")
    options = {line.split('"')[1] for line in usage.splitlines() if "add_argument(" in line}
    assert options
    assert {one for one in options if f"`{one}" not in PAGE} == set()
