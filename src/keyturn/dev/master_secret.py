"""The master secret of a data folder: made once, kept with mode 0600, so that sessions survive."""

from pathlib import Path

from keyturn.crypto.opaque import token_urlsafe
from keyturn.dev import private_file

FILE = "secrets"


def read_or_make(folder: Path) -> str:
    """Return the secrets of this data folder, which the caller holds, as the setting `secrets`."""
    path = folder / FILE
    # An empty file is what a kill in the middle of writing once left: nothing was ever made of it.
    if not path.exists() or not path.stat().st_size:
        private_file.write(path, f"1: {token_urlsafe(32)}\n")
    return path.read_text(encoding="utf-8")
