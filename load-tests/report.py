"""What one benchmark measured, as lines for people and as one JSON document."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import limits
from limits import PlainUpdates

MICRO = 1e6


@dataclass(slots=True)
class Scene:
    """One kind of request, driven until its number or its time was up; sums over its rounds."""

    name: str
    connections: int
    seconds: float = 0.0
    server_seconds: float = 0.0
    postgres_seconds: float = 0.0
    generator_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list, repr=False)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """Answers that came back whole, good or not."""
        return len(self.latencies)

    @property
    def server_microseconds(self) -> float:
        """CPU of the server process, user and system, for each answer."""
        return self.server_seconds / self.requests * MICRO

    def describe(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        ordered = sorted(self.latencies)
        return {
            "requests": self.requests,
            "connections": self.connections,
            "seconds": round(self.seconds, 3),
            "per_second": round(self.requests / self.seconds, 1),
            "p50_ms": round(_quantile(ordered, 0.50) * 1000, 2),
            "p99_ms": round(_quantile(ordered, 0.99) * 1000, 2),
            "server_us": round(self.server_microseconds, 1),
            "postgres_us": round(self.postgres_seconds / self.requests * MICRO, 1),
            "generator_us": round(self.generator_seconds / self.requests * MICRO, 1),
            "errors": dict(self.errors),
        }

    def line(self) -> str:
        """Return the figures as one line."""
        shown = self.describe()
        return (
            f"{self.name:<19}{shown['per_second']:>9,.0f} req/s"
            f"  p50 {shown['p50_ms']:6.2f} ms  p99 {shown['p99_ms']:6.2f} ms"
            f"  server {shown['server_us']:5.0f} µs  postgres {shown['postgres_us']:4.0f} µs"
            f"  ({self.requests:,} over {self.connections} connections,"
            f" {self.errors.total()} errors)"
        )


@dataclass(frozen=True, slots=True)
class Share:
    """Signing CPU over server CPU: of each round, from the signatures measured around it."""

    of: str
    rounds: tuple[float, ...]
    signing_microseconds: float
    wall_microseconds: float
    """The server's own signing histogram over the same requests: wall clock, under load."""

    @property
    def median(self) -> float:
        """The median round's share; the machine's drift within a round is in the others."""
        return statistics.median(self.rounds)

    def line(self) -> str:
        """Return the share as one line."""
        return (
            f"signing CPU / server CPU per {self.of}: {self.median:.1%}"
            f" (median of {len(self.rounds)} rounds,"
            f" {min(self.rounds):.1%} to {max(self.rounds):.1%};"
            f" one signature {self.signing_microseconds:.0f} µs,"
            f" in the server under load {self.wall_microseconds:.0f} µs wall clock)"
        )

    def describe(self) -> dict[str, Any]:
        """Return the share for JSON."""
        return {
            "median": round(self.median, 4),
            "rounds": [round(share, 4) for share in self.rounds],
            "signing_us": round(self.signing_microseconds, 1),
            "signing_wall_us": round(self.wall_microseconds, 1),
        }


@dataclass(frozen=True, slots=True)
class Storage:
    """What PostgreSQL's statistics say of the sessions table once everybody has left."""

    sessions: int
    rotations: int
    updates: int
    hot_updates: int
    heap_before: int
    heap_after: int
    vacuums: int

    @property
    def hot_ratio(self) -> float:
        """Updates that touched no index and left nothing that only VACUUM can clear."""
        return self.hot_updates / self.updates if self.updates else 0.0

    def failures(self) -> list[str]:
        """Return which of the promises about storage did not hold."""
        found = []
        if self.updates != self.rotations:
            found.append(f"{self.updates} updates for {self.rotations} rotations")
        if self.hot_updates != self.updates:
            found.append(f"{self.updates - self.hot_updates} updates were not HOT")
        if self.heap_after != self.heap_before:
            found.append(f"the heap went from {self.heap_before} to {self.heap_after} bytes")
        if self.vacuums:
            found.append("the sessions were vacuumed during the run")
        return found

    def line(self) -> str:
        """Return the figures as one line."""
        return (
            f"n_tup_hot_upd / n_tup_upd = {self.hot_updates:,} / {self.updates:,}"
            f" = {self.hot_ratio:.4f}; {self.rotations:,} rotations of {self.sessions:,} sessions,"
            f" {self.vacuums} vacuums; pg_relation_size {self.heap_before:,} before,"
            f" {self.heap_after:,} after"
        )


@dataclass(slots=True)
class Report:
    """A whole run; `storage` and `updates` are filled in once the worker has stopped."""

    scenes: Sequence[Scene]
    shares: Sequence[Share]
    signing_microseconds: float
    storage: Storage | None = None
    updates: PlainUpdates | None = None
    pinned: bool = False

    def scene(self, name: str) -> Scene:
        """Return one scene."""
        return next(scene for scene in self.scenes if scene.name == name)

    def text(self) -> str:
        """Return everything as lines."""
        places = "a core of its own" if self.pinned else "wherever the scheduler put it"
        lines = [f"one worker, on {places}"]
        lines += [scene.line() for scene in self.scenes]
        lines += [share.line() for share in self.shares]
        if self.storage is not None:
            lines.append(self.storage.line())
        if self.updates is not None:
            lines.append(limits.describe(self.signing_microseconds, self.updates))
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            "pinned": self.pinned,
            "scenes": {scene.name: scene.describe() for scene in self.scenes},
            "signing_share": {share.of: share.describe() for share in self.shares},
            "storage": asdict(self.storage) if self.storage else None,
            "signing_us": round(self.signing_microseconds, 1),
            "plain_update": asdict(self.updates) if self.updates else None,
            "failures": self.failures(),
        }

    def failures(self) -> list[str]:
        """Return what must not be: errors, an update that was not HOT, a table that grew."""
        found = [
            f"{scene.name}: {count} x {what}"
            for scene in self.scenes
            for what, count in scene.errors.items()
        ]
        return found + (self.storage.failures() if self.storage else ["nothing was stored"])


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
