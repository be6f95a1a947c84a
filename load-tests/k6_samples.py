"""What k6 wrote down of each request, as series over time: for a picture and for figures.

k6's CSV has a line for every sample of every metric; the lines of `http_req_duration` are the
answers, with the moment each had arrived (Unix ms) and how long it took (ms).
"""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

MOST_POINTS = 40
SHORTEST = 0.25
OUTSIDE = "setup"
"""Requests that prepare a scenario and are no part of its load."""
NO_ANSWER, SERVER_ERROR = 0, 500


@dataclass(frozen=True, slots=True)
class Answer:
    """One request that was answered, or was given up (status 0)."""

    at: float
    """Seconds since the first one."""
    milliseconds: float
    status: int


@dataclass(frozen=True, slots=True)
class Point:
    """One stretch of time: its middle (seconds), and what was answered in it."""

    at: float
    per_second: float
    failed_per_second: float
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Samples:
    """All answers by the kind of request (k6's tag `name`)."""

    kinds: dict[str, list[Answer]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> "Samples":
        """Read k6's CSV. Raises ValueError when it holds no request."""
        with file.open(newline="", encoding="utf-8") as lines:
            rows = [
                (row["name"], int(row["timestamp"]), float(row["metric_value"]), int(row["status"]))
                for row in csv.DictReader(lines)
                if row["metric_name"] == "http_req_duration" and row["name"] != OUTSIDE
            ]
        if not rows:
            raise ValueError("k6 sent no request")
        first = min(at for _, at, _, _ in rows)
        kinds = defaultdict(list)
        for name, at, milliseconds, status in sorted(rows, key=lambda row: row[1]):
            kinds[name].append(Answer((at - first) / 1000, milliseconds, status))
        return cls(dict(kinds))

    @property
    def seconds(self) -> float:
        """From the first answer to the last."""
        return max(answers[-1].at for answers in self.kinds.values())

    def series(self) -> dict[str, list[Point]]:
        """Return each kind over time, in stretches of equal length."""
        count = max(1, min(MOST_POINTS, int(self.seconds / SHORTEST)))
        step = max(self.seconds, SHORTEST) / count
        edges = [step * one for one in range(count)] + [math.inf]  # the last answer is in the last
        return {
            kind: [
                _point([one for one in answers if start <= one.at < end], start, step)
                for start, end in pairwise(edges)
            ]
            for kind, answers in self.kinds.items()
        }

    def figures(self) -> dict[str, dict[str, float]]:
        """Return the figures of each kind: number, failures, requests a second, latencies (ms)."""
        return {kind: _figures(answers, self.seconds) for kind, answers in self.kinds.items()}


def _point(answers: Sequence[Answer], start: float, step: float) -> Point:
    taken = sorted(one.milliseconds for one in answers)
    return Point(
        at=start + step / 2,
        per_second=len(answers) / step,
        failed_per_second=_failures(answers) / step,
        p50=quantile(taken, 0.5) if taken else None,
        p99=quantile(taken, 0.99) if taken else None,
    )


def _figures(answers: Sequence[Answer], seconds: float) -> dict[str, float]:
    taken = sorted(one.milliseconds for one in answers)
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
    return {
        "requests": len(answers),
        "failed": _failures(answers),
        "per_second": round(len(answers) / max(seconds, SHORTEST), 1),
        **{name: round(quantile(taken, share), 2) for name, share in shares.items()},
    }


def _failures(answers: Iterable[Answer]) -> int:
    return sum(one.status == NO_ANSWER or one.status >= SERVER_ERROR for one in answers)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below or at which this share of them lies; `ordered` rises."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
