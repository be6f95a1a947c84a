"""Another release of this repository: its source in a folder, run with the packages of this one."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support import starts
from support.tree import ROOT

MIGRATIONS = Path("src", "keyturn", "db", "migrations")
PATIENCE = 120


class NoHistory(RuntimeError):
    """There is no earlier release to be had here; says why."""


@dataclass(frozen=True, slots=True)
class Release:
    """A source tree and the name it is known by."""

    name: str
    folder: Path

    @classmethod
    def before_the_newest_migration(cls, folder: Path) -> "Release":
        """Unpack release N-1 into `folder`: the last commit without this tree's newest migration.

        Raises `NoHistory`.
        """
        newest = max((ROOT / MIGRATIONS).glob("[0-9]*.sql")).relative_to(ROOT)
        added = _git("log", "--diff-filter=A", "--format=%H", "-n1", "--", str(newest)).strip()
        before = f"{added.decode()}^" if added else "HEAD"  # not committed yet
        with tarfile.open(fileobj=io.BytesIO(_git("archive", before, "src"))) as archive:
            archive.extractall(folder, filter="data")
        name = _git("describe", "--always", before).decode().strip()
        return cls(f"{name}, before {newest.name}", folder)

    def settings(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment with which `python -m keyturn` is this release."""
        return {**environ, "PYTHONPATH": str(self.folder / "src")}

    def run(self, environ: Mapping[str, str], *command: str, feed: str = "") -> str:
        """Run a command of this release and return what it printed; raises when it fails."""
        inherited = {name: os.environ[name] for name in starts.NEEDED if name in os.environ}
        done = subprocess.run(
            [sys.executable, "-m", "keyturn", *command],
            env=inherited | self.settings(environ),
            input=feed, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{self.name}, {command}: {done.stdout}{done.stderr}")
        return done.stdout


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments],
            capture_output=True, timeout=PATIENCE, check=True,
        )  # fmt: skip
    except FileNotFoundError:
        raise NoHistory("there is no git to get release N-1 with") from None
    except subprocess.CalledProcessError as failed:
        raise NoHistory(f"git {arguments[0]}: {failed.stderr.decode().strip()}") from failed
    return done.stdout
