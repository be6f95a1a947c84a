"""Real `keyturn serve` processes, as an operator starts them, for tests that only speak HTTP."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from support import pooled, quick_hashes, starts

ISSUER = "http://localhost:8080"
AUDIENCE = "https://api.example.com"
ORIGIN = "https://app.example.com"
MASTER = "1: Zt4q8vN2xK7mB1cR5wL9pD3fH6jS0aUe-YgTbQkVnXo"
START_DEADLINE = 180.0
GENEROUS = {
    "passwords__memory_kib": str(quick_hashes.MEMORY_KIB),
    "passwords__time_cost": str(quick_hashes.TIME_COST),
    "throttle__address_attempts": "1000000",
    "throttle__global_attempts": "1000000",
    "throttle__client_attempts": "1000000",
    "device__codes_per_address": "1000000",
    "device__wrong_codes": "1000000",
    "audit__flush_interval": "0.05",
}
"""Everybody calls from one address here, so its limits would be everybody's; hashes are quick."""


REGISTERING = {
    "registration__mode": "token",
    "registration__scopes": "openid,profile,email,offline_access,orders.read",
    "registration__audiences": AUDIENCE,
    "registration__grant_types": "authorization_code,refresh_token",
    "registration__most_clients": "100000",
    "registration__most_per_day": "100000",
}
"""Clients may register themselves, with a token, as many as there are tests."""


@dataclass
class Replica:
    """One server process and where it answers; its log is a file, as a collector would keep it."""

    process: subprocess.Popen[bytes] | starts.Launched
    log: Path
    url: str = ""
    management_url: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)

    def wait_until_ready(self, patience: float = START_DEADLINE) -> None:
        """Read the bound ports from the log, then poll readiness to a deadline."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if not self.url:
                self._read_ports()
            elif self.is_ready():
                return
            time.sleep(0.02)
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-4000:]}")

    def _read_ports(self) -> None:
        for line in self.log.read_text().splitlines():
            if '"serving"' in line:
                entry = json.loads(line)
                self.url = f"http://127.0.0.1:{entry['port']}"
                self.management_url = f"http://127.0.0.1:{entry['management_port']}"

    def is_ready(self) -> bool:
        """Whether the management port says ready."""
        return self._says("/health/ready")

    def is_live(self) -> bool:
        """Whether the management port answers."""
        return self._says("/health/live")

    def _says(self, path: str) -> bool:
        try:
            return httpx2.get(f"{self.management_url}{path}", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of one sample, 0.0 when there is none."""
        wanted = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        prefix = f"{name}{{{wanted}}} " if wanted else f"{name} "
        for line in httpx2.get(f"{self.management_url}/metrics", timeout=30).text.splitlines():
            if line.startswith(prefix):
                return float(line.removeprefix(prefix).split(" ")[0])
        return 0.0

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def terminate(self, patience: float = 60) -> int:
        """SIGTERM and wait; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)


def settings(database_url: str, redis_url: str | None, **changes: str) -> dict[str, str]:
    """Return the environment of a test server; `changes` by setting, `a__b="value"`."""
    values = {
        "issuer": ISSUER,
        "secrets": MASTER,
        "development": "true",
        **pooled.settings(database_url),
        "server__host": "127.0.0.1",
        "server__port": "0",
        "server__management_host": "127.0.0.1",
        "server__management_port": "0",
        "server__drain_seconds": "0",
    }
    if redis_url is not None:
        values["redis__url"] = redis_url
    values |= changes
    return {f"KEYTURN_{name.upper()}": value for name, value in values.items()}


SERVE = ("-m", "keyturn", "serve")
"""What an operator's supervisor runs, to the letter."""


def start(
    environ: Mapping[str, str], program: Sequence[str] | None = None, command: Sequence[str] = ()
) -> Replica:
    """Start one server process; it is not ready yet.

    Forked from the loaded program, which runs `command` (default: `serve`), unless `program` says
    what a new Python is to run.
    """
    log = Path(tempfile.mkstemp(prefix="keyturn-replica-", suffix=".log")[1])
    if program is None:
        return Replica(starts.shared().launch(environ, log, *command), log, environ=environ)
    inherited = {name: os.environ[name] for name in starts.NEEDED if name in os.environ}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *program],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=inherited | dict(environ),
        )
    return Replica(process, log, environ=environ)


@contextmanager
def replicas(
    environ: Mapping[str, str], count: int = 1, program: Sequence[str] | None = None
) -> Iterator[list[Replica]]:
    """Run `count` servers on the same settings and end them with the block."""
    started = [start(environ, program) for _ in range(count)]
    try:
        for one in started:
            one.wait_until_ready()
        yield started
    finally:
        for one in started:
            if one.process.poll() is None:
                one.kill()
            one.log.unlink(missing_ok=True)
