"""What is running: which release, built from which commit, on which interpreter."""

from collections.abc import Mapping
from importlib import resources
from platform import python_version

from keyturn import __version__

COMMIT_FILE = resources.files("keyturn").joinpath("COMMIT")
"""Written where an image is built; a checkout has none, and may have changed since its commit."""


def facts() -> Mapping[str, str]:
    """Return `version`, `commit` (`unknown` outside of an image) and `python`."""
    commit = COMMIT_FILE.read_text("ascii").strip() if COMMIT_FILE.is_file() else ""
    return {"version": __version__, "commit": commit or "unknown", "python": python_version()}
