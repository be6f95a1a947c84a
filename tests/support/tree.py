"""The repository as text: what the guards read, and how they say that two stories differ.

A guard is a function over text, so that a test can hand it a bad sample beside the real thing:
a guard that finds nothing must be known to find something.
"""

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "keyturn"
VERIFIER = ROOT / "packages" / "verifier" / "src" / "keyturn_verifier"


def modules(package: Path = SOURCE) -> list[Path]:
    """Return every Python module of the server, or of another package."""
    return sorted(package.rglob("*.py"))


@cache
def sources(package: Path = SOURCE) -> dict[str, str]:
    """Return the text of every module by its path below the package."""
    return {
        str(one.relative_to(package)): one.read_text(encoding="utf-8") for one in modules(package)
    }


@cache
def parsed(source: str) -> ast.Module:
    """Return the tree of a module's text; nobody changes it."""
    return ast.parse(source)


@cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """Return all nodes of a module's text; going through a tree takes longer than making it."""
    return tuple(ast.walk(parsed(source)))


def functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a module's text, methods and inner ones included."""
    for node in nodes(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def text(relative: str) -> str:
    """Return the text of a file, named from the root of the repository."""
    return (ROOT / relative).read_text(encoding="utf-8")


def table(page: str, heading: str) -> list[list[str]]:
    """Return the rows under one heading of a Markdown page, cell by cell, without headers."""
    section = f"\n{page}".partition(f"\n{heading}\n")[2]
    lines = re.split(r"^#", section, flags=re.MULTILINE)[0].splitlines()
    bodies = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not line.startswith("| ---")
        if not following.startswith("| ---")
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in bodies]


def spans(cell: str) -> list[str]:
    """Return what a piece of Markdown sets in code."""
    return re.findall(r"`([^`]+)`", cell)


def differences(told: Collection[str], real: Collection[str]) -> list[str]:
    """Return what is real and not told, and what is told and not real: the guards' complaints."""
    untold = [f"{one}: told nowhere" for one in sorted(set(real) - set(told))]
    return untold + [f"{one}: there is no such thing" for one in sorted(set(told) - set(real))]


def prose(page: str) -> str:
    """Return a Markdown page without its blocks of code, whose marks would be taken for spans'."""
    return re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
