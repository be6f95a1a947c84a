"""The package `keyturn-verifier` as a stranger installs it: the wheel, alone, with what it needs."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from support.tree import ROOT, VERIFIER

pytestmark = pytest.mark.interop

PATIENCE = 300
EXTRAS = {"fastapi": "keyturn-verifier[fastapi]", "metrics": "keyturn-verifier[metrics]"}
"""Modules that need one, and what they say without it."""
MODULES = sorted({one.stem for one in VERIFIER.glob("*.py")} - {"__init__"})
PROGRAM = """
from keyturn_verifier import AccessToken, Verifier

async def subject(verifier: Verifier, raw: str) -> str:
    token: AccessToken = await verifier.verify(raw)
    return token.subject
"""
MISTAKEN = PROGRAM.replace("token.subject", "token.expires_at")


def ran(*command, expected=0):
    """Run a program outside the repository, and return what it said."""
    done = subprocess.run(
        [*map(str, command)], cwd="/", env={"PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


def found(minor):
    """Return that Python; skips the caller without one."""
    name = f"python3.{minor}"
    places = [Path(shutil.which(name) or name)]
    places += Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")
    python = next(filter(is_program, places), None)
    return python or pytest.skip(f"no {name} is here")


def is_program(python: Path) -> bool:
    """Whether it runs: a version manager may offer what it does not have."""
    try:
        ended = subprocess.run([python, "-c", ""], capture_output=True, check=False, timeout=60)
    except OSError:
        return False
    return ended.returncode == 0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build it, as a publisher does."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", folder, ROOT / "packages/verifier")
    (built,) = folder.glob("*.whl")
    return built


def pip(*command):
    options = ("--quiet", "--disable-pip-version-check")
    done = subprocess.run(
        [sys.executable, "-m", "pip", *options, *map(str, command)],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def installed(python, wheel, folder):
    """Install the wheel into an empty environment of this Python, and return its Python."""
    ran(python, "-m", "venv", "--without-pip", folder)
    own = folder / "bin" / "python"
    pip("--python", own, "install", wheel)
    return own


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    return installed(sys.executable, wheel, tmp_path_factory.mktemp("user") / "venv")


def test_it_holds_the_package_its_types_and_no_tests(wheel):
    names = ZipFile(wheel).namelist()
    package = {name for name in names if ".dist-info/" not in name}
    real = {f"keyturn_verifier/{module}.py" for module in [*MODULES, "__init__"]}
    assert package == real | {"keyturn_verifier/py.typed"}


def test_it_needs_one_package(wheel):
    (place,) = (name for name in ZipFile(wheel).namelist() if name.endswith("/METADATA"))
    lines = ZipFile(wheel).read(place).decode().splitlines()
    needs = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert [line.split()[1].partition("<")[0].partition(">")[0] for line in needs] == ["joserfc"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_there_or_says_what_it_needs(python, module):
    code = f"import keyturn_verifier.{module}"
    said = ran(python, "-c", code, expected=int(module in EXTRAS))
    assert EXTRAS.get(module, "") in said


def test_the_command_for_proxies_says_what_it_needs(python):
    command = ("-m", "keyturn_verifier.forward_auth", "--issuer", "https://id.example.com")
    said = ran(python, *command, "--audience", "https://api.example.com", expected=2)
    assert "pip install uvicorn" in said


@pytest.mark.parametrize(("program", "status"), [(PROGRAM, 0), (MISTAKEN, 1)])
def test_its_types_reach_a_users_program(python, tmp_path, program, status):
    (tmp_path / "program.py").write_text(program)
    mypy = (sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir")
    at = ("--python-executable", python, tmp_path / "program.py")
    said = ran(*mypy, tmp_path / "cache", *at, expected=status)
    assert ("incompatible type" in said or "Incompatible return value" in said) == bool(status)


VERIFIES = """
import asyncio
from keyturn_verifier import InvalidToken
from keyturn_verifier.testing import FakeIssuer

async def main():
    issuer = FakeIssuer(algorithm="RS256")
    async with issuer.verifier() as verifier:
        raw = issuer.token("orders.read")
        print((await verifier.verify(raw)).subject)
        issuer.revoke("session-1")
        await issuer.pass_time(10)
        try:
            await verifier.verify(raw)
        except InvalidToken as refusal:
            print(refusal.reason.value)

asyncio.run(main())
"""


@pytest.mark.parametrize("minor", [10, 11, 12, 13, 14])
def test_it_verifies_and_refuses_on_every_python_it_promises(minor, wheel, tmp_path):
    own = installed(found(minor), wheel, tmp_path / "venv")
    assert ran(own, "-W", "error", "-c", VERIFIES).split() == ["user-1", "revoked"]
