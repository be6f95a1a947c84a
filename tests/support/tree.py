"""The repository as files: what the guards read."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "keyturn"


def modules() -> list[Path]:
    """Return every Python module of the product."""
    return sorted(SOURCE.rglob("*.py"))


def functions(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a module, methods and inner ones included."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def text(relative: str) -> str:
    """Return the text of a file, named from the root of the repository."""
    return (ROOT / relative).read_text(encoding="utf-8")
