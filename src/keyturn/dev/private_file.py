"""Files of a data folder that only their owner may read, whole or not there at all."""

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write beside the final place and rename: a kill leaves all of it or nothing."""
    scratch = path.with_name(f"{path.name}.tmp")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    scratch.replace(path)
