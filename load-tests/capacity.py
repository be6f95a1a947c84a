"""What a target takes of machines, reckoned from what one refresh was measured to cost.

docs/figures/footprint.json has PostgreSQL's side, docs/figures/benchmark.json the server's; until
that is recorded, docs/figures/scaling.json: a short run of the benchmark. What is assumed stands in
`Target` and `Hardware`. scaling.py prints it.
"""

import json
import math
import random
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from queueing import Cell

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
BYTES_OF_PAGE = 8192
SESSIONS_OF_LIST = 2**20
FREEZE_AGE = 2e8
"""PostgreSQL's default of `autovacuum_freeze_max_age`, in transactions."""
DRAW = 7
DAY = 86400


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for."""

    sessions: float = 1e8
    refreshes: float = 1e5
    """A second."""
    lifetime_days: float = 30.0
    """How long a session lasts: one in so many begins, and ends, each day."""
    apis: int = 1000
    """Processes of APIs that read the status lists, each every 5 s."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What is assumed of machines that are not here."""

    busy: float = 0.6
    """The most that a core or a process is used, in the mean."""
    sync_ms: float = 0.5
    """One sync of the log: an NVMe disk, or one across a zone with a synchronous standby."""
    checkpoint_minutes: float = 15.0
    lines: int = 4
    """`postgres.pool_max` of a process."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The inputs, each from a file that a command wrote."""

    server_us: float
    postgres_us: float
    signing_us: float
    rotate: dict[str, Any]
    after_checkpoint: dict[str, Any]
    parts: dict[str, float]
    backend_bytes: float
    revocation_bytes: float
    sources: tuple[str, ...]

    @property
    def session_bytes(self) -> float:
        """One session with its indexes."""
        return sum(self.parts.values())

    @property
    def index_bytes(self) -> float:
        """Of it the indexes."""
        return sum(size for part, size in self.parts.items() if part != "sessions")

    @property
    def image_bytes(self) -> float:
        """One page written whole, as the first change after a checkpoint does."""
        more = self.after_checkpoint["wal_bytes"] - self.rotate["wal_bytes"]
        return more / self.after_checkpoint["page_images"]


def measured(folder: Path = FIGURES) -> Measured:
    """Read the inputs."""
    files = [folder / name for name in ("benchmark.json", "scaling.json")]
    speed = next(json.loads(file.read_text()) for file in files if file.exists())
    footprint = json.loads((folder / "footprint.json").read_text())
    refresh = next(
        row for row in speed["rows"] if row["scene"] == "refresh" and row["workers"] == 1
    )
    rows = {(row["what"], row.get("connections")): row for row in footprint["rows"]}
    parts = {
        what.removeprefix("size of "): row["bytes"]
        for (what, _), row in rows.items()
        if what.startswith("size of ")
    }
    return Measured(
        server_us=refresh["server_us"],
        postgres_us=rows["rotation", 40]["postgres_us"],
        signing_us=refresh["signing_us"],
        rotate=rows["rotation", 40],
        after_checkpoint=rows["rotation, after a checkpoint", 10],
        parts=parts,
        backend_bytes=rows["backend, private memory", None]["bytes"],
        revocation_bytes=rows["revocation in Redis", None]["bytes"],
        sources=tuple(
            f"{one['machine']}; {one['date']}; `{one['command']}`" for one in (speed, footprint)
        ),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """The target on so many cells, each a primary with its processes; figures are of one cell."""

    inputs: Measured
    cells: int = 1
    target: Target = Target()
    hardware: Hardware = Hardware()

    @property
    def rate(self) -> float:
        """Refreshes a second."""
        return self.target.refreshes / self.cells

    @property
    def sessions(self) -> float:
        """Rows."""
        return self.target.sessions / self.cells

    @property
    def sign_ins(self) -> float:
        """Sessions that begin in a second, over a day; as many end."""
        return self.sessions / (self.target.lifetime_days * DAY)

    @property
    def processes(self) -> int:
        """Workers, one a core."""
        return math.ceil(self.rate * self.inputs.server_us / 1e6 / self.hardware.busy)

    @property
    def connections(self) -> int:
        """What they may open: rotations, everything else, the leader's lock, one that listens."""
        return self.processes * (2 * self.hardware.lines + 2)

    @property
    def postgres_cores(self) -> int:
        """Cores of the primary."""
        return math.ceil(self.rate * self.inputs.postgres_us / 1e6 / self.hardware.busy)

    @property
    def heap_pages(self) -> float:
        """Pages of the table."""
        return self.sessions * self.inputs.parts["sessions"] / BYTES_OF_PAGE

    @property
    def image_rate(self) -> float:
        """Pages written whole in a second, each once a checkpoint, if sessions come at random."""
        seconds = self.hardware.checkpoint_minutes * 60
        touched = self.heap_pages * -math.expm1(-self.rate * seconds / self.heap_pages)
        return touched / seconds

    @property
    def wal_rate(self) -> float:
        """Bytes of the write-ahead log in a second."""
        plain = self.rate * self.inputs.rotate["wal_bytes"]
        return plain + self.image_rate * self.inputs.image_bytes

    @property
    def hours_to_freeze(self) -> float:
        """Hours in which 200 million transactions have gone by (`autovacuum_freeze_max_age`)."""
        return FREEZE_AGE / self.rate / 3600

    @property
    def freezing_rate(self) -> float:
        """Bytes a second that a vacuum reads which is through with the table in that time."""
        return self.heap_pages * BYTES_OF_PAGE / (self.hours_to_freeze * 3600)

    def cell(self, **changed: Any) -> Cell:
        """Return the cell for the simulation."""
        made = Cell(
            rate=self.rate,
            processes=self.processes,
            server_ms=self.inputs.server_us / 1000,
            lines=self.hardware.lines,
            cores=self.postgres_cores,
            postgres_ms=self.inputs.postgres_us / 1000,
            sync_ms=self.hardware.sync_ms,
        )
        return replace(made, **changed)


def list_bytes(revoked: float, seed: int = DRAW) -> int:
    """Return the compressed bytes of a status list, with such a share of it at random places."""
    bits, draw = bytearray(SESSIONS_OF_LIST // 8), random.Random(seed)
    for place in draw.sample(range(SESSIONS_OF_LIST), round(revoked * SESSIONS_OF_LIST)):
        bits[place >> 3] |= 1 << (place & 7)
    return len(zlib.compress(bytes(bits)))
