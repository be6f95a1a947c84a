"""`docs/migrating.md`: the "before" fails as it says; the "after" does not, and fits the packages."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import npm
from support.stacks.node import PACKAGES
from support.stacks.page import Page
from support.tree import ROOT

pytestmark = pytest.mark.interop

CLIENT = ROOT / "packages/js"
STRICT = [
    *("--strict", "--target", "ES2022", "--module", "NodeNext", "--moduleResolution", "NodeNext"),
    *("--lib", "ES2022,DOM,DOM.Iterable", "--types", "", "--skipLibCheck"),
]
PATIENCE = 120


def ran(folder: Path, *command: str) -> str:
    environ = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    """A folder with the files of the page, and the client compiled from its source."""
    folder = tmp_path_factory.mktemp("migrating")
    modules = npm.packages(PACKAGES)
    Page.named("migrating", ROOT / "docs").write(folder, {})
    installed = folder / "node_modules/@keyturn/client"
    installed.mkdir(parents=True)
    compiler = str(modules / "typescript/bin/tsc")
    source = str(CLIENT / "src/index.ts")
    emitted = [
        "--declaration",
        "--rootDir",
        str(CLIENT / "src"),
        "--outDir",
        str(installed / "dist"),
    ]
    ran(folder, "node", compiler, *STRICT, *emitted, source)
    shutil.copy(CLIENT / "package.json", installed)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder, compiler


def test_the_typescript_fits_the_client(application):
    folder, compiler = application
    ran(folder, "node", compiler, *STRICT, "--noEmit", "after.ts")
    (folder / "wrong.ts").write_text(
        (folder / "after.ts").read_text().replace("'cookie'", "'biscuit'")
    )
    with pytest.raises(AssertionError, match="biscuit"):
        ran(folder, "node", compiler, *STRICT, "--noEmit", "wrong.ts")


def test_the_old_code_fails_as_it_says_and_the_new_does_not(application):
    folder, _ = application
    shutil.copy(PACKAGES / "migrating.mjs", folder)
    told = json.loads(ran(folder, "node", "migrating.mjs"))
    assert told["before"] == {
        "refreshes": 10,
        "consumed": "TypeError",
        "signedOut": 1,
        "misread": True,
    }
    assert told["after"] == {
        "refreshes": 1,
        "served": 10,
        "posted": 200,
        "signedOut": 0,
        "status": "signedIn",
        "retryable": True,
    }


def test_the_python_fits_the_verifier(application):
    folder, _ = application
    source = (folder / "after.py").read_text()
    pytest.importorskip("fastapi", reason="fastapi is not installed")
    namespace: dict[str, object] = {}
    exec(compile(ast.parse(source), "after.py", "exec"), namespace)
    assert "/orders" in namespace["app"].openapi()["paths"]
    assert sys.modules["keyturn_verifier"]
