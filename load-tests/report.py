"""What one benchmark measured, as lines for people and as one JSON document."""

import statistics
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import limits
from limits import PlainUpdates
from storage import Storage

MICRO = 1e6


@dataclass(slots=True)
class Scene:
    """One kind of request, driven until its number or its time was up; sums over its rounds."""

    name: str
    connections: int
    seconds: float = 0.0
    server_seconds: float = 0.0
    postgres_seconds: float = 0.0
    valkey_seconds: float = 0.0
    generator_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list, repr=False)
    errors: Counter[str] = field(default_factory=Counter)
    half: "Scene | None" = None
    """The same requests, arriving at half of the rate that this one reached."""

    @property
    def requests(self) -> int:
        """Answers that came back whole, good or not."""
        return len(self.latencies)

    @property
    def server_microseconds(self) -> float:
        """CPU of the server process, user and system, for each answer."""
        return self.server_seconds / self.requests * MICRO

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds

    @property
    def per_core(self) -> float:
        """Answers for each second of the server's CPU: what a core does that does nothing else."""
        return self.requests / self.server_seconds

    def quantile(self, share: float) -> float:
        """Return a quantile of the latencies, in ms."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

    def microseconds(self, seconds: float) -> float:
        """Return somebody's CPU for each answer, in µs."""
        return round(seconds / self.requests * MICRO, 1)

    def describe(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        return {
            "requests": self.requests,
            "connections": self.connections,
            "seconds": round(self.seconds, 3),
            "per_second": round(self.per_second, 1),
            "per_core": round(self.per_core, 1),
            "p50_ms": round(self.quantile(0.50), 2),
            "p99_ms": round(self.quantile(0.99), 2),
            "server_us": self.microseconds(self.server_seconds),
            "postgres_us": self.microseconds(self.postgres_seconds),
            "valkey_us": self.microseconds(self.valkey_seconds),
            "generator_us": self.microseconds(self.generator_seconds),
            "errors": dict(self.errors),
            "half": self.half.describe() if self.half else None,
        }

    def line(self) -> str:
        """Return the figures as one line."""
        shown = self.describe()
        calm = "" if self.half is None else f"  half p99 {self.half.quantile(0.99):6.2f} ms"
        return (
            f"{self.name:<19}{self.per_second:>8,.0f} req/s  {self.per_core:>7,.0f} a core"
            f"  p50 {shown['p50_ms']:6.2f} ms  p99 {shown['p99_ms']:6.2f} ms{calm}"
            f"  server {shown['server_us']:5.0f} µs  postgres {shown['postgres_us']:4.0f} µs"
            f"  valkey {shown['valkey_us']:3.0f} µs"
            f"  ({self.requests:,} over {self.connections} connections,"
            f" {self.errors.total()} errors)"
        )

    def failures(self) -> list[str]:
        """Return what went wrong, here and at half of the rate."""
        own = [f"{self.name}: {count} x {what}" for what, count in self.errors.items()]
        return own + (self.half.failures() if self.half else [])


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


@dataclass(slots=True)
class Report:
    """One server under load, with one worker or several; `storage` is of the first alone."""

    workers: int
    scenes: list[Scene] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    signing_microseconds: float = 0.0
    updates: PlainUpdates | None = None
    storage: Storage | None = None
    pinned: bool = False

    def scene(self, name: str) -> Scene:
        """Return one scene."""
        return next(scene for scene in self.scenes if scene.name == name)

    def text(self) -> str:
        """Return everything as lines."""
        places = "a core of its own" if self.pinned else "wherever the scheduler put it"
        lines = [f"{self.workers} worker{'s' * (self.workers > 1)}, on {places}"]
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
            "workers": self.workers,
            "pinned": self.pinned,
            "scenes": {scene.name: scene.describe() for scene in self.scenes},
            "signing_share": {share.of: share.describe() for share in self.shares},
            "storage": asdict(self.storage) if self.storage else None,
            "signing_us": round(self.signing_microseconds, 1),
            "plain_update": asdict(self.updates) if self.updates else None,
            "failures": self.failures(),
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each scene, beside the limits of the run, for the documents."""
        return [self._row(scene) for scene in self.scenes]

    def _row(self, scene: Scene) -> dict[str, Any]:
        told = scene.describe()
        half, update = told["half"], self.updates
        shares = {share.of: share.median for share in self.shares}
        return {
            "workers": self.workers,
            "scene": scene.name,
            **{name: told[name] for name in ("per_second", "per_core", "p50_ms", "p99_ms")},
            "half_per_second": half and half["per_second"],
            "half_p99_ms": half and half["p99_ms"],
            **{name: told[name] for name in ("server_us", "postgres_us", "valkey_us")},
            "signing_us": round(self.signing_microseconds, 1),
            "signing_share": round(shares[scene.name], 4) if scene.name in shares else None,
            "plain_update_us": update and round(update.postgres_microseconds, 1),
            "requests": told["requests"],
            "errors": scene.errors.total() + (scene.half.errors.total() if scene.half else 0),
            "postgres_of_plain_update": update
            and round(told["postgres_us"] / update.postgres_microseconds, 2),
        }

    def failures(self) -> list[str]:
        """Return what must not be: errors, an update that was not HOT, a table that grew."""
        found = [failure for scene in self.scenes for failure in scene.failures()]
        return found + (self.storage.failures() if self.storage else [])
