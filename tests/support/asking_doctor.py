"""The command `keyturn doctor`, run in this process, and what it said."""

import asyncio
import json
import os
from dataclasses import dataclass

import structlog
from typer.testing import CliRunner

from keyturn.cli.main import app
from keyturn.telemetry.logs import say_on_stderr


@dataclass
class Diagnosis:
    """Exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def findings(self) -> list[dict[str, str]]:
        return json.loads(self.out)["findings"]

    @property
    def trouble(self) -> dict[str, dict[str, str]]:
        """The errors and warnings, by id."""
        return {one["id"]: one for one in self.findings if one["severity"] in {"error", "warning"}}


async def ask(*words: str, environ: dict[str, str] | None = None) -> Diagnosis:
    """Run the command away from the loop that proxies live in, with these settings alone."""
    settings = {name: None for name in os.environ if name.startswith("KEYTURN_")} | (environ or {})
    # As the command's entry does; whoever runs after this in the process finds it as it was.
    say_on_stderr()
    try:
        ran = await asyncio.to_thread(CliRunner().invoke, app, ["doctor", *words], env=settings)
    finally:
        structlog.reset_defaults()
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return Diagnosis(ran.exit_code, ran.stdout, ran.stderr)
