"""Imports point down, and a machine says so."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from support.tree import ROOT, SOURCE, VERIFIER, text

PYPROJECT = ROOT / "pyproject.toml"
CONTRACTS = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]

PLANTED = {
    "keyturn/sessions": "import keyturn.oauth",  # up
    "keyturn/ops": "import keyturn.db",
    "keyturn/users": "import starlette",
    "keyturn/cli/serve": "import keyturn.cli.other",
    "keyturn/cli/other": "import keyturn.dev",
    "keyturn/keys": "import asyncpg",
    "keyturn/clock": "import keyturn_verifier",
    "keyturn_verifier/jwks": "import keyturn_verifier.asgi",  # up
}
"""What breaks the contracts of pyproject.toml, each in one way."""


def lint(*sources: Path) -> str:
    """Lint the packages in these folders by our contracts, and return what is said.

    In a process of its own: the linter configures logging for its own purposes.
    """
    call = f"from importlinter.cli import *; lint_imports({str(PYPROJECT)!r}, no_cache=True)"
    ended = subprocess.run(
        [sys.executable, "-c", call],
        cwd=sources[0], env={"PYTHONPATH": os.pathsep.join(map(str, sources))}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ended.stdout + ended.stderr


def all_kept(said: str) -> bool:
    return f"Contracts: {len(CONTRACTS)} kept, 0 broken" in said


def test_imports_only_point_down():
    said = lint(SOURCE.parent, VERIFIER.parent)
    assert all_kept(said), said


def house(folder: Path, imports: dict[str, str]) -> str:
    """Build an empty house of each package, with every floor and room, lint it, and return what is said."""
    for layers in (one for one in CONTRACTS if one["type"] == "layers"):
        (package,) = layers["containers"]
        rooms = [room.strip() for floor in layers["layers"] for room in floor.split("|")]
        for room in [".", *rooms]:
            (folder / package / room).mkdir(parents=True)
            (folder / package / room / "__init__.py").touch()
    allowed = {"keyturn/cli/serve": "", "keyturn/oauth/metadata": "import authlib"}
    for module, line in (allowed | imports).items():
        place = folder / module
        (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).write_text(line)
    return lint(folder)


def test_an_empty_house_keeps_every_contract(tmp_path):
    said = house(tmp_path, {})
    assert all_kept(said), said


def test_every_contract_is_broken_by_what_it_forbids(tmp_path):
    said = house(tmp_path, PLANTED)
    kept = [one["name"] for one in CONTRACTS if f"{one['name']} BROKEN" not in said]
    assert kept == [], said
