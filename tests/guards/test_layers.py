"""Imports point down, and a machine says so."""

import subprocess
import sys
import tomllib
from pathlib import Path

from support.tree import ROOT, SOURCE, text

PYPROJECT = ROOT / "pyproject.toml"
CONTRACTS = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]

PLANTED = {
    "sessions": "import keyturn.oauth",  # up
    "ops": "import keyturn.db",
    "users": "import starlette",
    "cli/serve": "import keyturn.cli.other",
    "cli/other": "import keyturn.dev",
    "keys": "import asyncpg",
}
"""What breaks the contracts of pyproject.toml, each in one way."""


def lint(source: Path) -> str:
    """Lint the package `keyturn` in `source` by our contracts, and return what is said.

    In a process of its own: the linter configures logging for its own purposes.
    """
    call = f"from importlinter.cli import *; lint_imports({str(PYPROJECT)!r}, no_cache=True)"
    ended = subprocess.run(
        [sys.executable, "-c", call],
        cwd=source, env={"PYTHONPATH": str(source)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ended.stdout + ended.stderr


def all_kept(said: str) -> bool:
    return f"Contracts: {len(CONTRACTS)} kept, 0 broken" in said


def test_imports_only_point_down():
    said = lint(SOURCE.parent)
    assert all_kept(said), said


def house(folder: Path, imports: dict[str, str]) -> str:
    """Build an empty house with every floor and room, lint it, and return what is said."""
    (floors,) = (one["layers"] for one in CONTRACTS if one["type"] == "layers")
    rooms = [room.strip() for floor in floors for room in floor.split("|")]
    allowed = {"oauth/metadata": "import authlib"}
    for room in rooms:
        (folder / "keyturn" / room).mkdir(parents=True)
        (folder / "keyturn" / room / "__init__.py").touch()
    (folder / "keyturn" / "__init__.py").touch()
    for module, line in ({"cli/serve": ""} | allowed | imports).items():
        place = folder / "keyturn" / module
        (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).write_text(line)
    return lint(folder)


def test_an_empty_house_keeps_every_contract(tmp_path):
    said = house(tmp_path, {})
    assert all_kept(said), said


def test_every_contract_is_broken_by_what_it_forbids(tmp_path):
    said = house(tmp_path, PLANTED)
    kept = [one["name"] for one in CONTRACTS if f"{one['name']} BROKEN" not in said]
    assert kept == [], said
