"""`keyturn dev` as a developer starts it, on free ports, with its one JSON line."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.servers import roomy_memory

START_DEADLINE = 60.0


@contextmanager
def dev_server(*options: str) -> Iterator[dict[str, Any]]:
    """Run `keyturn dev` with `options` and yield what it said when it was ready."""
    log = Path(tempfile.mkstemp(prefix="keyturn-dev-", suffix=".log")[1])
    command = [sys.executable, "-m", "keyturn", "dev", "--json", *options]
    for option in ("--port", "--management-port", "--example-port"):
        if option not in options:
            command += [option, "0"]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(roomy_memory() or tempfile.gettempdir())},
        )
    try:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        yield json.loads(_first_line(process, log))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        process.stdout.close()
        log.unlink(missing_ok=True)


def _first_line(process: "subprocess.Popen[bytes]", log: Path) -> bytes:
    assert process.stdout is not None
    collected, deadline = b"", time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        collected += process.stdout.read() or b""
        if b"\n" in collected:
            return collected.split(b"\n")[0]
        time.sleep(0.02)
    raise RuntimeError(f"keyturn dev did not start:\n{log.read_text()[-4000:]}")
