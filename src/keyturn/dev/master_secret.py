"""The master secret of a data folder: made once, kept with mode 0600, so that sessions survive."""

import os
from pathlib import Path

from keyturn.crypto.opaque import token_urlsafe

FILE = "secrets"


def read_or_make(folder: Path) -> str:
    """Return the secrets of this data folder, which the caller holds, as the setting `secrets`."""
    path = folder / FILE
    # An empty file is what a kill in the middle of writing once left: nothing was ever made of it.
    if not path.exists() or not path.stat().st_size:
        _write(path, f"1: {token_urlsafe(32)}\n")
    return path.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    """Write beside the final place and rename: a kill leaves all of it or nothing."""
    scratch = path.with_name(f"{path.name}.tmp")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    scratch.replace(path)
