"""HAProxy in front of replicas: it asks each whether it is ready, and tries nothing twice.

Servers are named beforehand with the ports they will have; whoever is not there is down. Without
`retries` and `redispatch` a request that a replica drops is a request that failed.
"""

import asyncio
import csv
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx2

LOOK = "250ms"
"""Between two questions for readiness, and the most that connecting for one may take: two of a row
have to fail, as on a busy machine one of them may. A replica that stops serves on meanwhile."""
PATIENCE = 90.0
CONFIGURATION = """\
global
  maxconn 2000
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout check 5s
  retries 0
frontend public
  bind 127.0.0.1:{port}
  default_backend replicas
frontend statistics
  bind 127.0.0.1:{statistics_port}
  stats enable
  stats uri /
backend replicas
  balance roundrobin
  option httpchk GET /health/ready
  http-check expect status 200
  default-server inter {look} fall 2 rise 1 pool-purge-delay 2s
{servers}
"""
"""Idle connections go within 4 s (twice the delay): before the server hangs up after 5."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a replica may be: its name to the balancer, and its ports."""

    name: str
    port: int
    management_port: int

    @property
    def settings(self) -> dict[str, str]:
        """The environment that puts a server here."""
        return {
            "KEYTURN_SERVER__PORT": str(self.port),
            "KEYTURN_SERVER__MANAGEMENT_PORT": str(self.management_port),
        }


@dataclass(frozen=True, slots=True)
class Balancer:
    """A running HAProxy."""

    url: str
    statistics: str
    places: Sequence[Place]

    def figures(self) -> dict[str, dict[str, str]]:
        """Return what it counts, by the name of the server."""
        said = httpx2.get(f"{self.statistics}/;csv", timeout=10).text.removeprefix("# ")
        rows = csv.DictReader(said.splitlines())
        return {row["svname"]: row for row in rows if row["pxname"] == "replicas"}

    async def until(self, place: Place, state: str) -> None:
        """Wait until it calls a server "UP" or "DOWN"."""
        deadline = time.monotonic() + PATIENCE
        while not (await asyncio.to_thread(self.figures))[place.name]["status"].startswith(state):
            assert time.monotonic() < deadline, f"{place.name} was never {state}"
            await asyncio.sleep(0.05)

    async def requests(self) -> dict[str, int]:
        """Return how many requests each server got."""
        figures = await asyncio.to_thread(self.figures)
        return {place.name: int(figures[place.name]["stot"]) for place in self.places}


@contextmanager
def balanced(program: Path, places: int) -> Iterator[Balancer]:
    """Run one for so many places; it ends with the block."""
    port, statistics_port, *rest = free_ports(2 + 2 * places)
    pairs = zip(rest[::2], rest[1::2], strict=True)
    spots = [Place(f"place{number}", *pair) for number, pair in enumerate(pairs, 1)]
    text = CONFIGURATION.format(
        port=port, statistics_port=statistics_port, look=LOOK,
        servers="\n".join(
            f"  server {one.name} 127.0.0.1:{one.port} check port {one.management_port}"
            for one in spots
        ),
    )  # fmt: skip
    # What it says goes to a file: a pipe that nobody reads is full one day, and it waits.
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file, tempfile.TemporaryFile() as said:
        file.write(text)
        file.flush()
        process = subprocess.Popen(
            [program, "-db", "-f", file.name],
            stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            balancer = Balancer(
                f"http://127.0.0.1:{port}", f"http://127.0.0.1:{statistics_port}", spots
            )
            _until_it_knows(process, balancer, said)
            yield balancer
        finally:
            process.kill()
            process.wait()


def _until_it_knows(
    process: "subprocess.Popen[bytes]", balancer: Balancer, said: IO[bytes]
) -> None:
    """Wait until it has found everybody down: without having looked it takes them to be up."""
    deadline = time.monotonic() + PATIENCE
    while not all(state == "DOWN" for state in _states(balancer)):
        assert process.poll() is None, _told(said)
        assert time.monotonic() < deadline, "the balancer does not answer"
        time.sleep(0.05)


def _told(said: IO[bytes]) -> str:
    said.seek(0)
    return said.read().decode()[-2000:]


def _states(balancer: Balancer) -> list[str]:
    try:
        figures = balancer.figures()
    except httpx2.TransportError:
        return ["not listening yet"]
    return [figures[place.name]["status"] for place in balancer.places]


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on now."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
