"""How much a benchmark does."""

import argparse
import os
from dataclasses import dataclass

ENDLESS = 10**12
FOR_EVER = float("inf")

FASTEST = 500
"""More codes a second than this nobody redeems at half of the rate."""

Rounds = list[tuple[int, float]]
"""How many requests, or for how many seconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to do."""

    workers: tuple[int, ...]
    """How many workers the servers have, one server after the other."""
    sessions: int
    rotations: int
    others: int
    """Requests of each other kind, at most."""
    rounds: int
    connections: int
    duration: float | None
    """Seconds of refreshing, instead of a number of rotations."""
    seconds: float
    """Of each other scene, at most."""
    calm: float
    """Seconds of arrivals at half of the measured rate."""
    measuring: float
    """Seconds each limit is measured for, each time."""
    people: int
    """Who sign in with a password."""
    pin: bool

    @classmethod
    def of(cls, asked: argparse.Namespace) -> "Plan":
        """Read the command line; `--quick` shows that everything works, not how fast."""
        workers, pin = tuple(asked.workers or (1, os.cpu_count() or 1)), not asked.no_pin
        if asked.quick:
            return cls(workers, 3000, 300, 50, 2, 8, None, 5, 0.5, 0.05, 8, pin)
        return cls(
            workers=workers,
            sessions=asked.sessions,
            rotations=asked.rotations,
            others=asked.requests,
            rounds=asked.rounds,
            connections=asked.connections,
            duration=asked.duration,
            seconds=asked.seconds,
            calm=asked.calm,
            measuring=0.3,
            people=64,
            pin=pin,
        )

    def refresh_rounds(self) -> Rounds:
        """Return the rounds of refreshing."""
        if self.duration is not None:
            return [(ENDLESS, self.duration / self.rounds)] * self.rounds
        return [(count, FOR_EVER) for count in _parts(self.rotations, self.rounds)]

    def other_rounds(self) -> Rounds:
        """Return the rounds of the other scenes that sign."""
        each = self.seconds / self.rounds
        return [(count, each) for count in _parts(self.others, self.rounds)]

    @property
    def spendable(self) -> int:
        """Codes, and sessions to be ended, of one server: what no scene can use up."""
        return self.others + round(FASTEST * self.calm)


def _parts(whole: int, parts: int) -> list[int]:
    """Divide a number into nearly equal ones."""
    return [whole * (one + 1) // parts - whole * one // parts for one in range(parts)]


def parser() -> argparse.ArgumentParser:
    """Return the command line of the benchmark."""
    asked = argparse.ArgumentParser(description="Measure `keyturn serve`: every hot endpoint.")
    asked.add_argument("--workers", type=int, nargs="+", help="of each server (1, and the cores)")
    asked.add_argument("--rotations", type=int, default=100_000, help="refreshes (100,000)")
    asked.add_argument("--duration", type=float, help="refresh for so many seconds instead")
    asked.add_argument("--sessions", type=int, default=10_000, help="sessions seeded (10,000)")
    asked.add_argument("--requests", type=int, default=10_000, help="of each other kind (10,000)")
    asked.add_argument("--seconds", type=float, default=20, help="of each other kind, at most (20)")
    asked.add_argument("--calm", type=float, default=10, help="seconds at half of the rate (10)")
    asked.add_argument("--rounds", type=int, default=10, help="rounds of each signing scene (10)")
    asked.add_argument("--connections", type=int, default=16, help="kept alive (16)")
    asked.add_argument("--no-pin", action="store_true", help="let the scheduler place everybody")
    asked.add_argument("--quick", action="store_true", help="300 rotations: does it all work?")
    asked.add_argument("--json", action="store_true", help="print one JSON document")
    asked.add_argument("--record", nargs="?", const=RECORD, help=f"write the rows ({RECORD})")
    return asked


RECORD = "docs/figures/benchmark.json"
