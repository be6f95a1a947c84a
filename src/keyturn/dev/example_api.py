"""Runs `examples/api` beside the server: the service that verifies tokens offline."""

import signal
import sys
from dataclasses import dataclass, field, replace

from keyturn.dev import example_files
from keyturn.dev.data_dir import DataDir
from keyturn.dev.demo import EXAMPLE_AUDIENCE
from keyturn.dev.process import ChildProcess


@dataclass(slots=True)
class ExampleApi:
    """The example API as a child process; it ends with us."""

    port: int
    data: DataDir
    process: ChildProcess = field(init=False)

    def __post_init__(self) -> None:
        """Nothing runs before `start`."""
        # As ourselves: `nobody` may be unable to reach the interpreter.
        account = replace(self.data.account, dropped=False)
        log = self.data.path / "example-api.log"
        self.process = ChildProcess("The example API", log, account, signal.SIGTERM)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://localhost:{self.port}"

    def start(self, issuer: str, demo_url: str) -> None:
        """Start it; it fetches the keys by itself, and asks again until they are there.

        Pages of `demo_url` may call it.
        """
        self.process.spawn(
            [
                "/usr/bin/env",
                f"ISSUER={issuer}",
                f"AUDIENCE={EXAMPLE_AUDIENCE}",
                f"ORIGIN={demo_url}",
                f"PYTHONPATH={example_files.verifier()}",
                sys.executable,
                *("-m", "uvicorn", "main:app", "--app-dir", example_files.api()),
                *("--host", "localhost", "--port", str(self.port), "--no-access-log"),
            ]
        )
