"""What tests say of themselves: the requirements their names carry, the clauses they cite.

Files are read as text: parsing all of them takes ten times as long.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from support.tree import ROOT

FOLDERS = ("tests", "packages/verifier/tests")
FAMILIES = "AC|AD|AZ|CA|CR|DC|DP|DS|IN|JW|KY|OP|PK|REL|RL|RT|RU|RV|SS|TK|WB|F"
ID = re.compile(rf"_({FAMILIES})_?(\d+)(?=_)")
SMALL = re.compile(rf"test((?:_(?:{FAMILIES.lower()})_?\d+)+_)")
QUOTED = re.compile(r'("""|\'\'\').*?\1', re.DOTALL)
TEST = re.compile(
    r"^((?: {4})?)(?:async )?def (test_\w+)\((.*?)(?=^\1[^\s)]|\Z)", re.MULTILINE | re.DOTALL
)
CLAUSE = re.compile(r"RFC (\d{4})(?: (?:sections? )?(\d+(?:\.\d+)*))?(?!\d)")


@dataclass(frozen=True, slots=True)
class NamedTest:
    """A test: where it is, which requirements its name carries, which clauses it cites."""

    path: str
    name: str
    ids: frozenset[str]
    clauses: frozenset[str]

    @property
    def address(self) -> str:
        """Return path and name, as documents write them."""
        return f"{self.path}::{self.name}"


def ids_of(name: str) -> frozenset[str]:
    """Return the ids in a test's name, `RT-6` of `test_RT_6_...`; small ones at its start only."""
    small = SMALL.match(name)
    found = ID.findall(name) + (ID.findall(small[1].upper()) if small else [])
    return frozenset(f"{family}{'' if family == 'F' else '-'}{number}" for family, number in found)


def clauses_of(words: str) -> frozenset[str]:
    """Return the clauses that are cited: `RFC 6749 2.3.1`, or `RFC 8707` where no section is."""
    return frozenset(" ".join(("RFC", *filter(None, cited))) for cited in CLAUSE.findall(words))


def named_in(path: str, source: str) -> Iterator[NamedTest]:
    """Yield the tests of one file; what its first docstring cites, all of them show."""
    opening = QUOTED.match(source)
    everywhere = clauses_of(opening[0]) if opening else frozenset()
    for one in TEST.finditer(QUOTED.sub(_planted, source)):
        yield NamedTest(path, one[2], ids_of(one[2]), everywhere | clauses_of(one[3]))


def _planted(quoted: re.Match[str]) -> str:
    """Return a long string with nothing in it that looks like a test: guards plant some."""
    return quoted[0].replace("def test_", "def ")


@cache
def all_tests() -> tuple[NamedTest, ...]:
    """Return every test of the repository, file by file; some are kept for several files."""
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(one for file in files for one in named_in(_below_root(file), file.read_text()))


def _below_root(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()
