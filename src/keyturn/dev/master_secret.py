"""The master secret of a data folder: made once, kept with mode 0600, so that sessions survive."""

from pathlib import Path

from keyturn.crypto.opaque import token_urlsafe

FILE = "secrets"


def read_or_make(folder: Path) -> str:
    """Return the secrets of this data folder in the form of the setting `secrets`."""
    path = folder / FILE
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(f"1: {token_urlsafe(32)}\n", encoding="utf-8")
    return path.read_text(encoding="utf-8")
