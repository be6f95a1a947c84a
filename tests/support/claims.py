"""What is claimed, the tests that show it, and the page that says both.

`tests/claims.yaml` has the claims in our words; tests say of themselves what they show
(`named_tests.py`). Nothing else decides what stands on the page.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import yaml

from support.named_tests import NamedTest
from support.tree import spans

HEAD = """# Claims, and the tests that show them

Written by `.venv/bin/python tests/claims.py --write` from [the claims](../tests/claims.yaml) and from what the tests say of
themselves: an id in a test's name, a clause in its docstring. A `*` stands for every test of that file whose name starts so.
What failed at other servers, and the tests that would have found it here, stands in
[ADVISORIES.md](../tests/spec/ADVISORIES.md); the modules of the OpenID Foundation's suite in
[its own page](../tests/conformance/README.md). Tests below `tests/operations`, `tests/interop` and those marked `long` do
not run by default: [development.md](development.md) says how.
"""
TITLES = {
    "requirements": "Security and reliability",
    "faults": "Faults",
    "clauses": "Standards",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """One row: what is claimed, and what is known of how it is shown."""

    key: str
    says: str
    tests: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    without: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Claims under one heading, in one of the three parts."""

    part: str
    title: str
    claims: tuple[Claim, ...]


def read(written: str) -> list[Group]:
    """Return the claims of the data file's text."""
    return [
        Group(part, title, tuple(_claim(key, said) for key, said in claims.items()))
        for part, groups in yaml.safe_load(written).items()
        for title, claims in groups.items()
    ]


def _claim(key: str, said: str | dict[str, Any]) -> Claim:
    if isinstance(said, str):
        return Claim(key, said)
    lists = {name: tuple(said.get(name, ())) for name in ("tests", "by")}
    return Claim(
        key, said["says"], **lists, **{k: said[k] for k in ("without", "note") if k in said}
    )


class Evidence:
    """Which tests show a claim."""

    def __init__(self, tests: Sequence[NamedTest]) -> None:
        self.tests = tests
        self.known = frozenset(key for one in tests for key in one.ids | one.clauses)

    def of(self, claim: Claim) -> list[str]:
        """Return the tests that show it by themselves, shortened, and those it lists."""
        mine = [one for one in self.tests if claim.key in one.ids | one.clauses]
        found = [
            short for _, file in groupby(mine, _path) for short in _shortened(claim, list(file))
        ]
        return [*found, *(one for one in claim.tests if one not in found)]

    def shows(self, claim: Claim) -> bool:
        """Return whether a test shows it, its own or one of a requirement that makes it true."""
        return bool(self.of(claim)) or bool(self.known.intersection(claim.by))


def _path(test: NamedTest) -> str:
    return test.path


def _shortened(claim: Claim, tests: list[NamedTest]) -> Iterator[str]:
    """Yield `path::test_RT_6_*` for the tests that begin with the id, and the others by name."""
    starts = {f"test_{written}_" for written in _spellings(claim.key)}
    for start in sorted(starts):
        if any(one.name.startswith(start) for one in tests):
            yield f"{tests[0].path}::{start}*"
    named = [one for one in tests if not one.name.startswith(tuple(starts))]
    if len(named) > SHOWN_BY_NAME:
        yield f"{tests[0].path}::test_*"
    else:
        yield from (one.address for one in named)


SHOWN_BY_NAME = 4
"""Of a file that cites a clause as a whole, more tests than this are shown as all of it."""


def _spellings(key: str) -> tuple[str, str]:
    written = key.replace("-", "_")
    return written, written.lower()


def page(groups: Sequence[Group], evidence: Evidence) -> str:
    """Return the whole page."""
    claims = [one for group in groups for one in group.claims]
    lines = [HEAD, *_summary(claims, evidence)]
    for part, title in TITLES.items():
        lines += ["", f"## {title}"]
        for group in groups:
            if group.part == part:
                lines += ["", f"### {group.title}", "", *_table(group.claims, evidence)]
    return "\n".join([*lines, ""])


def _summary(claims: list[Claim], evidence: Evidence) -> Iterator[str]:
    bare = [one for one in claims if not evidence.shows(one)]
    yield f"{len(claims)} claims, of which {len(bare)} are shown by no test:"
    yield from ("", "| claim | says | why no test shows it |", "| --- | --- | --- |")
    yield from (f"| {one.key} | {one.says} | {one.without} |" for one in bare)


def _table(claims: Iterable[Claim], evidence: Evidence) -> Iterator[str]:
    yield from ("| claim | says | tests |", "| --- | --- | --- |")
    for one in claims:
        shown = [*one.by, *(f"`{test}`" for test in evidence.of(one))]
        told = ", ".join(shown) or f"**none**: {one.without}"
        yield f"| {one.key} | {one.says} | {told}{f' ({one.note})' if one.note else ''} |"


# -- what may be wrong --------------------------------------------------------------------------


def unclaimed(groups: Sequence[Group], evidence: Evidence) -> list[str]:
    """Return the ids and clauses that tests name and no row tells."""
    told = {one.key for group in groups for one in group.claims}
    return sorted(evidence.known - told)


def astray(groups: Sequence[Group]) -> list[str]:
    """Return what a claim leans on and is no claim."""
    claims = [one for group in groups for one in group.claims]
    known = {one.key for one in claims}
    return [f"{one.key} by {key}" for one in claims for key in one.by if key not in known]


def silent(groups: Sequence[Group], evidence: Evidence) -> list[str]:
    """Return the claims that neither a test shows nor a reason excuses, and the needless excuses."""
    claims = [one for group in groups for one in group.claims]
    return [one.key for one in claims if bool(one.without) is evidence.shows(one)]


def unfounded(told: str, tests: Sequence[NamedTest]) -> list[str]:
    """Return what a page names as a test and is none."""
    addresses = [one.address for one in tests]
    named = {one for one in spans(told) if ".py::" in one}
    return sorted(one for one in named if not any(_meant(one, real) for real in addresses))


def _meant(named: str, real: str) -> bool:
    return real.startswith(named[:-1]) if named.endswith("*") else real == named
