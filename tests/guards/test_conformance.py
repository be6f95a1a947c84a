"""The page about the OpenID conformance modules, the tests, and the plans' lists tell one story."""

import re

import pytest

from support.conformance_plans import PLANS
from support.tree import differences, spans, table, text

PAGE = "tests/conformance/README.md"
SHARED = "tests/support/conformance_modules.py"
TABLES = {
    # file of tests -> heading of its table, number of its column
    "test_config.py": ("## Config OP", 1),
    "test_basic.py": ("## Basic OP and Form Post OP", 1),
    "test_form_post.py": ("## Basic OP and Form Post OP", 2),
    "test_rp_initiated_logout.py": ("## RP-Initiated Logout OP", 1),
    "test_back_channel_logout.py": ("## Back-Channel Logout OP", 1),
    "test_fapi2_security_profile.py": ("## FAPI 2.0 Security Profile", 1),
}
WORDS = ("passes", "warns", "skipped there", "not applicable", "deviates")
NEEDS_A_NOTE = frozenset(WORDS) - {"passes"}


def modules_of(source, shared):
    """Return the modules a file has a test for, those of the class it takes over included."""
    whole = source + (shared if "(BasicModules)" in source else "")
    found = re.findall(r"\bdef test_((?:oidcc|fapi2)_\w+)\(", whole)
    return [as_in_a_name(name) for name in found]


def as_in_a_name(module):
    """Return a module's id as far as the name of a test can hold it."""
    return module.replace("_", "-")


def told(page, file):
    """Return what the page says of each module of a plan: a word, and a note."""
    heading, column = TABLES[file]
    rows = [row for row in table(page, heading) if spans(row[0])]
    return {spans(row[0])[0]: (row[column], row[-1]) for row in rows}


def untidy(story):
    """Return the modules whose word is none, or says too little without a note."""
    return [
        module
        for module, (word, note) in story.items()
        if word not in WORDS or (word in NEEDS_A_NOTE and not note)
    ]


def silent(page, file):
    """Return the modules that warn, and whose warning is told nowhere."""
    warned = {spans(row[0])[0] for row in table(page, "## Warnings") if spans(row[0])}
    return {name for name, (word, _) in told(page, file).items() if word == "warns"} - warned


@pytest.mark.parametrize("file", PLANS)
def test_every_module_of_a_plan_has_a_test_and_a_row(file):
    page, plan = text(PAGE), PLANS[file]
    names = modules_of(text(f"tests/conformance/{file}"), text(SHARED))
    assert differences(names, [as_in_a_name(module) for module in plan]) == []
    assert len(names) == len(plan)
    story = told(page, file)
    assert list(story) == list(plan)
    assert untidy(story) == []
    assert silent(page, file) == set()


def counted(page):
    """Return the numbers of the page by file: all modules, then those of each word."""
    rows = [row for row in table(page, "## In numbers") if spans(row[0])]
    return {spans(row[0])[0]: [int(cell) for cell in row[1:]] for row in rows}


def test_the_numbers_are_those_of_the_tables():
    page, real = text(PAGE), {}
    for file, plan in PLANS.items():
        words = [word for word, _ in told(page, file).values()]
        real[file] = [len(plan), *(words.count(word) for word in WORDS)]
    assert counted(page) == real


def test_the_plans_are_as_long_as_they_are():
    assert [len(plan) for plan in PLANS.values()] == [1, 38, 38, 11, 2, 56]


def test_a_module_without_a_test_is_found():
    source = "async def test_oidcc_server(run):\n    pass\n"
    assert modules_of(source, "def test_oidcc_other(): ...") == ["oidcc-server"]
    assert modules_of("class TestIt(BasicModules): ...", source) == ["oidcc-server"]
    assert modules_of("def test_fapi2_with_RS256(): ...", "") == ["fapi2-with-RS256"]
    assert differences(modules_of(source, ""), ("oidcc-server", "oidcc-ui-locales")) == [
        "oidcc-ui-locales: told nowhere"
    ]


def test_a_row_that_says_too_little_is_found():
    page = (
        "\n## Config OP\n\n| module | Config | note |\n| --- | --- | --- |\n"
        "| `a` | passes | |\n| `b` | warns | |\n| `c` | works | why |\n| `d` | warns | why |\n"
        "\n## Warnings\n\n| module | warning |\n| --- | --- |\n| `d` | beware |\n"
    )
    story = told(page, "test_config.py")
    assert list(story) == ["a", "b", "c", "d"]
    assert untidy(story) == ["b", "c"]
    assert silent(page, "test_config.py") == {"b"}
