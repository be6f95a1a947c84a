"""`keyturn dev` as a developer starts it, on free ports, with its one JSON line."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import starts
from support.servers import roomy_memory

START_DEADLINE = 180.0


@contextmanager
def dev_server(*options: str) -> Iterator[dict[str, Any]]:
    """Run `keyturn dev` with `options` and yield what it said when it was ready."""
    log = Path(tempfile.mkstemp(prefix="keyturn-dev-", suffix=".log")[1])
    command = ["dev", "--json", *options]
    for option in ("--port", "--management-port", "--example-port", "--demo-port"):
        if option not in options:
            command += [option, "0"]
    # Those of the tests are no settings, and unknown ones are refused.
    ours = {one: told for one, told in os.environ.items() if not one.startswith("KEYTURN_TEST_")}
    environ = {**ours, "TMPDIR": str(roomy_memory() or tempfile.gettempdir())}
    process = starts.shared().launch(environ, log, *command)
    try:
        yield _facts(process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        log.unlink(missing_ok=True)


def _facts(process: starts.Launched, log: Path) -> dict[str, Any]:
    """Return the line that is written to the output; those of the log have an event."""
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines(keepends=True):
            if line.startswith('{"issuer"') and line.endswith("\n"):
                facts: dict[str, Any] = json.loads(line)
                return facts
        time.sleep(0.02)
    raise RuntimeError(f"keyturn dev did not start:\n{log.read_text()[-4000:]}")
