"""Runs `examples/api` beside the server: the service that verifies tokens offline."""

import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from keyturn.dev.data_dir import DataDir
from keyturn.dev.demo import EXAMPLE_AUDIENCE
from keyturn.dev.process import ChildProcess

HERE = Path(__file__).parent
FOLDERS = (HERE / "examples" / "api", HERE.parents[2] / "examples" / "api")
"""Where the example is: inside the wheel, else in the checkout."""


@dataclass(slots=True)
class ExampleApi:
    """The example API as a child process; it ends with us."""

    port: int
    data: DataDir
    _process: ChildProcess | None = field(default=None)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://localhost:{self.port}"

    def start(self, issuer: str) -> None:
        """Start it; it fetches the keys by itself, and asks again until they are there."""
        folder = next(folder for folder in FOLDERS if (folder / "main.py").exists())
        # As ourselves: `nobody` may be unable to reach the interpreter.
        account = replace(self.data.account, dropped=False)
        log = self.data.path / "example-api.log"
        self._process = ChildProcess("the example API", log, account, signal.SIGTERM)
        self._process.spawn(
            [
                "/usr/bin/env",
                f"ISSUER={issuer}",
                f"AUDIENCE={EXAMPLE_AUDIENCE}",
                sys.executable,
                *("-m", "uvicorn", "main:app", "--app-dir", folder),
                *("--host", "localhost", "--port", str(self.port), "--no-access-log"),
            ]
        )

    async def stop(self) -> None:
        """Stop it, if it was started."""
        if self._process is not None:
            await self._process.stop()
