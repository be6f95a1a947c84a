"""Programs of operators: taken from PATH, or fetched with apt and not installed; else skipped."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support import debian, extras

collect_ignore_glob = [
    "test_*.py"
    for needed in ("helm_python", "kubernetes_validate", "promql_parser", "opentelemetry.sdk")
    if not extras.has(needed)
]
"""Everything, where the extras `operations` and `otel` are not installed: asked for them alone, pytest
then finds no test, and fails."""

Program = Callable[..., Path]
"""Takes a program's name and the Debian packages it comes in; returns where it is."""


@pytest.fixture(scope="session")
def program() -> Program:
    """Where a program is; skips whoever needs one that is neither installed nor to be had."""

    def find(name: str, *packages: str) -> Path:
        try:
            return debian.program(name, *packages)
        except debian.NotObtainable as reason:
            pytest.skip(str(reason))

    return find
