"""What npm installs for the tests: exactly the packages of a folder's `package-lock.json`.

They go to `node_modules` beside the lock file, which git ignores, and stay there until the lock
file changes. Where they cannot be had, whoever needs them is skipped, and the reason is printed.
"""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

INTEROP = Path(__file__).parents[1] / "interop/npm"
OPERATIONS = Path(__file__).parents[1] / "operations/npm"
PATIENCE = 120
OLDEST_NODE = 20
DEFECTS = ("EUSAGE", "EINTEGRITY")


def packages(folder: Path = INTEROP) -> Path:
    """Return the folder of the installed packages; skips the caller without them."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no Node.js with npm is installed")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(told.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"Node.js {told.strip()} is older than {OLDEST_NODE}")
    with (folder / "package.json").open() as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        return _installed(npm, folder)


def built(package: Path) -> str:
    """Return the folder of a package's built files, made anew from its sources."""
    packages(package)
    npm = shutil.which("npm") or "npm"
    done = subprocess.run(
        [npm, "run", "build"],
        cwd=package, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return str(package / "dist")


def _installed(npm: str, folder: Path) -> Path:
    modules = folder / "node_modules"
    stamp = modules / ".installed"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return modules
    try:
        got = subprocess.run(
            [npm, "ci"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm ci: no answer in {PATIENCE} s")
    if got.returncode:
        said = f"npm ci: {' '.join(got.stderr.split())[:300]}"
        # A lock file that contradicts itself or what is published is a defect, not an absence.
        (pytest.fail if any(one in said for one in DEFECTS) else pytest.skip)(said)
    stamp.write_text(wanted)
    return modules
