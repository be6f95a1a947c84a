"""One `keyturn dev` for all stories that only use it."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.dev_server import dev_server


@pytest.fixture(scope="session")
def dev() -> Iterator[dict[str, Any]]:
    """What a `keyturn dev` on throwaway data says it is."""
    with dev_server("--ephemeral") as facts:
        yield facts
