"""docs/claims.md says of every requirement and every cited clause which tests show it, and no more."""

import pytest

from claims import CLAIMS, PAGE, complaints
from support.claims import Evidence, page, read, unfounded
from support.named_tests import all_tests, named_in
from support.tree import text

FAMILIES = {
    "RU": 5, "AZ": 12, "AC": 6, "PK": 4, "TK": 8, "CA": 7, "RT": 12, "RV": 4, "IN": 4, "JW": 9,
    "KY": 7, "WB": 14, "CR": 8, "RL": 3, "DS": 7, "SS": 3, "DC": 2, "AD": 3, "OP": 8, "DP": 1,
    "REL": 6,
}  # fmt: skip
"""How many requirements there are of each family; none is dropped in silence."""
FAULTS = 30


def keys(groups, part):
    return [one.key for group in groups if group.part == part for one in group.claims]


def test_every_requirement_and_every_fault_has_one_row():
    groups = read(text(CLAIMS))
    required = [f"{family}-{n + 1}" for family, count in FAMILIES.items() for n in range(count)]
    assert sorted(keys(groups, "requirements")) == sorted(required)
    assert keys(groups, "faults") == [f"F{n + 1}" for n in range(FAULTS)]


def test_every_claim_is_shown_or_says_why_not_and_every_name_in_a_test_is_claimed():
    assert complaints(read(text(CLAIMS)), Evidence(all_tests())) == []


def test_the_page_is_what_claims_and_tests_say():
    written = page(read(text(CLAIMS)), Evidence(all_tests()))
    assert text(PAGE) == written, "write it anew: .venv/bin/python tests/claims.py --write"


def test_every_test_that_the_page_names_exists():
    assert unfounded(text(PAGE), all_tests()) == []


# -- what the guards find when it is planted ------------------------------------------------------

SAMPLE = """
requirements:
  Some:
    RT-1: One.
    RT-2: {says: Two., tests: ["tests/test_a.py::test_plain"]}
    RT-3: {says: Three., without: It cannot be.}
clauses:
  Some:
    RFC 6749 6: Four.
    RFC 7009: {says: Five., by: [RT-1]}
"""
SOURCE = '''
def test_RT_1_is_shown(): pass
def test_rt_1_in_small_letters(): pass
def test_plain(): """RFC 6749 section 6."""
def test_ends_in_2_seconds(): pass
'''
ROWS = (
    "| RT-1 | One. | `tests/test_a.py::test_RT_1_*`, `tests/test_a.py::test_rt_1_*` |",
    "| RT-3 | Three. | **none**: It cannot be. |",
    "| RFC 6749 6 | Four. | `tests/test_a.py::test_plain` |",
    "| RFC 7009 | Five. | RT-1 |",
)
DRIFTS = (
    ("RT-1: One.", "RT-4: {says: One., without: why}", "RT-1: a test names it"),
    ("RFC 6749 6: Four.", "RFC 6749 5: {says: Four., without: why}", "RFC 6749 6: a test names it"),
    (", without: It cannot be.", "", "RT-3: either a test or a reason"),
    ("tests: [", "without: why, tests: [", "RT-2: either a test or a reason"),
    ("by: [RT-1]", "by: [RT-1, RT-9]", "RFC 7009 by RT-9: there is no such claim"),
    ("by: [RT-1]", "by: [RT-9]", "RFC 7009: either a test or a reason"),
)


def planted(claims=SAMPLE, source=SOURCE):
    return read(claims), Evidence(list(named_in("tests/test_a.py", source)))


def test_what_names_carry_and_docstrings_cite_is_what_is_shown():
    groups, evidence = planted()
    told = page(groups, evidence)
    assert complaints(groups, evidence) == []
    assert [row for row in ROWS if row not in told.splitlines()] == []
    assert "5 claims, of which 1 are shown by no test" in told


@pytest.mark.parametrize(("good", "bad", "complaint"), DRIFTS)
def test_a_row_that_is_missing_or_mute_is_found(good, bad, complaint):
    assert good in SAMPLE
    found = complaints(*planted(claims=SAMPLE.replace(good, bad)))
    assert any(one.startswith(complaint) for one in found), found


@pytest.mark.parametrize(("good", "bad"), [("RT_1", "RT_7"), ("test_plain", "test_PK_3_plain")])
def test_a_test_that_is_renamed_is_found(good, bad):
    assert complaints(*planted(source=SOURCE.replace(good, bad).replace(good.lower(), "gone")))


def test_a_page_that_is_behind_is_found():
    before = page(*planted())
    assert page(*planted(source=SOURCE.replace("test_rt_1_in", "test_later_in"))) != before
    assert page(*planted(claims=SAMPLE.replace("One.", "Another."))) != before


def test_a_named_test_that_does_not_exist_is_found():
    groups, evidence = planted()
    told = page(groups, evidence)
    assert unfounded(told, evidence.tests) == []
    assert unfounded(told.replace("test_plain", "test_plai"), evidence.tests) == [
        "tests/test_a.py::test_plai"
    ]
    assert unfounded("`tests/test_b.py::test_RT_1_*`", evidence.tests)
