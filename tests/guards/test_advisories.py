"""Every advisory line has its row in `spec/ADVISORIES.md`, and every test it names exists."""

import re
from collections import Counter
from functools import cache

import pytest

from support.tree import ROOT, differences, functions, spans, table, text

PAGE = "tests/spec/ADVISORIES.md"
HEADING = "# Advisories of other servers, and what would have found them here"
NAMED = re.compile(r"[\w/]+\.py::test_\w+\*?")

LINES = (
    "Keycloak CVE-2026-1035",
    "Keycloak CVE-2026-9802",
    "Keycloak pull request 51885",
    "Keycloak issue 52666",
    "Keycloak CVE-2026-4282",
    "Keycloak CVE-2026-96446",
    "Keycloak CVE-2023-6291, CVE-2024-1132, CVE-2022-3782, CVE-2026-3872, CVE-2026-7504, CVE-2024-8883",
    "Keycloak CVE-2020-10770",
    "Keycloak CVE-2026-4874",
    "Keycloak GHSA-7fpj-9hr8-28vh",
    "Keycloak CVE-2025-12390",
    "Keycloak GHSA-c9h6-v78w-52wj, CVE-2023-6787",
    "Keycloak CVE-2026-7507, CVE-2024-7341",
    "Keycloak CVE-2026-9798",
    "Keycloak GHSA-85v8-vx4w-q684, GHSA-cq42-vhv7-xr7p",
    "Keycloak CVE-2026-18963",
    "Keycloak CVE-2026-8922",
    "Keycloak issue 35486",
    "Keycloak CVE-2024-1249",
    "fosite CVE-2020-15222",
    "fosite CVE-2020-15223",
    "fosite CVE-2020-15234, GHSA-grfp-q2mm-hfp6",
    "fosite CVE-2020-15233, GHSA-rfq3-w54c-f9q5",
    "Hydra GHSA-r9w3-57w2-gch2, Keto CVE-2026-33505",
    "Hydra GO-2026-4861",
    "Zitadel CVE-2026-55672",
    "Zitadel CVE-2023-22492",
    "Zitadel CVE-2026-27840",
    "Zitadel GHSA-2wmj-46rj-qm2w",
    "Zitadel CVE-2026-109373, CVE-2026-119128",
    "Zitadel CVE-2025-64102",
    "Zitadel CVE-2026-56668, Dex GHSA-7qjx-gp9h-65qj",
    "Zitadel CVE-2026-27946",
    "Zitadel GHSA-mq4x-r2w3-j7mr",
    "authentik CVE-2024-23647, CVE-2023-48228",
    "authentik CVE-2024-52289",
    "authentik CVE-2024-47070, CVE-2023-36456",
    "authentik CVE-2026-49448",
    "authentik CVE-2024-42490",
    "authentik CVE-2024-52287, CVE-2025-64521, CVE-2026-42849",
    "Dex CVE-2022-39222",
    "Dex GHSA-gr79-9v6v-gc9r",
    "Logto CVE-2026-56739, CVE-2026-63203, CVE-2026-15611, CVE-2026-15612",
    "better-auth CVE-2026-53512, CVE-2026-53517",
    "better-auth CVE-2026-67332, CVE-2026-67333, CVE-2026-67336",
    "better-auth CVE-2025-27143, CVE-2025-71403, oauth2-proxy GHSA-qqxw-m5fj-f7gv, CVE-2020-4037, oauth-proxy CVE-2026-83589",
    "oauth2-proxy CVE-2026-40575, CVE-2026-76835",
    "oauth2-proxy CVE-2025-54576, CVE-2026-34457, CVE-2026-40574",
    "Authlib CVE-2026-41479, CVE-2026-44681",
    "Authlib CVE-2026-27962, CVE-2026-28802, CVE-2024-37568, CVE-2026-114616, CVE-2025-59420, CVE-2025-61920",
    "Authlib CVE-2026-114618, CVE-2025-68158, PYSEC-2026-25, CVE-2026-104056",
    "django-oauth-toolkit issue 1715, AWX issues 6630 and 6631",
    "workers-oauth-provider CVE-2025-4144, Spring Authorization Server CVE-2024-22258",
    "Supabase auth-js CVE-2025-48370, Supabase Auth issue 1901",
    "Starlette CVE-2026-48710, PYSEC-2026-248, CVE-2024-47874, CVE-2023-30798, CVE-2025-54121, GHSA-82w8-qh3p-5jfq",
    "h11 CVE-2025-43859, uvicorn CVE-2020-7695",
)


def rows(page):
    return table(page, HEADING)


def miscounted(page, lines):
    """Return the lines that stand there not once."""
    told = Counter(row[0] for row in rows(page))
    twice = [f"{line}: told {times} times" for line, times in told.items() if times > 1]
    return differences(told, lines) + twice


def mute(page):
    """Return the lines that say neither what failed nor, without a test, why it cannot here."""
    return [
        line for line, failed, tests, note in rows(page) if not failed or not (spans(tests) or note)
    ]


def unfounded(page, tests_of):
    """Return what is named as a test and is none; `tests_of` knows a file's tests by its path."""
    found = []
    for row in rows(page):
        for named in spans(row[2]):
            path, _, name = named.partition("::")
            tests = tests_of(path) if NAMED.fullmatch(named) else ()
            start = name.removesuffix("*")
            if not any(one == name or (start != name and one.startswith(start)) for one in tests):
                found.append(named)
    return found


@cache
def names_in(path):
    """Return the names of the tests in a file below `tests`, none where there is no such file."""
    file = ROOT / "tests" / path
    if not file.is_file():
        return []
    source = file.read_text(encoding="utf-8")
    return [one.name for one in functions(source) if one.name.startswith("test_")]


def test_every_advisory_has_one_row_and_every_row_is_an_advisory():
    assert len(LINES) == len(set(LINES)) == 56
    assert miscounted(text(PAGE), LINES) == []


def test_every_row_says_something():
    assert mute(text(PAGE)) == []


def test_every_test_that_is_named_exists():
    assert unfounded(text(PAGE), names_in) == []


# -- what the guards find when it is planted ------------------------------------------------------

SAMPLE = f"""
{HEADING}

| advisory | what failed | tests | note |
| --- | --- | --- | --- |
| A CVE-1 | x | `spec/test_a.py::test_one`, `spec/test_a.py::test_RT_1_*` | |
| B CVE-2 | y | | there is none |
"""


def sample_tests(path):
    return ["test_one", "test_RT_1_a"] if path == "spec/test_a.py" else []


@pytest.mark.parametrize(
    ("good", "bad", "complaints"),
    [
        ("", "", []),
        ("A CVE-1", "A CVE-9", ["A CVE-1: told nowhere", "A CVE-9: there is no such thing"]),
        ("B CVE-2", "A CVE-1", ["B CVE-2: told nowhere", "A CVE-1: told 2 times"]),
    ],
)
def test_a_line_that_is_left_out_invented_or_told_twice_is_found(good, bad, complaints):
    assert miscounted(SAMPLE.replace(good, bad, 1), ["A CVE-1", "B CVE-2"]) == complaints


@pytest.mark.parametrize(
    ("good", "bad", "lines"),
    [("", "", []), ("there is none", "", ["B CVE-2"]), ("| x |", "| |", ["A CVE-1"])],
)
def test_a_row_that_says_nothing_is_found(good, bad, lines):
    assert mute(SAMPLE.replace(good, bad, 1)) == lines


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("test_one", "test_on"),
        ("test_one", "test_one_more"),
        ("RT_1_*", "RT_2_*"),
        ("test_a.py::test_one", "test_b.py::test_one"),
        ("spec/test_a.py::test_one", "test_one"),
        ("test_RT_1_*", "*"),
    ],
)
def test_a_test_that_does_not_exist_is_found(good, bad):
    assert unfounded(SAMPLE, sample_tests) == []
    (named,) = unfounded(SAMPLE.replace(good, bad, 1), sample_tests)
    assert bad in named
