"""The metrics of the parent and all its workers; no counter ever goes back.

What a worker had counted when it was last asked stays counted when it is gone. What it counted
after that, if it was killed, nobody knows: it is asked often (`crew.PULSE`) so that this is little.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from keyturn.workers.merging import add_up, merge
from keyturn.workers.snapshot import Snapshot, taken


@dataclass(slots=True, eq=False)
class Totals(Collector):
    """What `/metrics` shows."""

    parent: Collector
    _latest: dict[int, Snapshot] = field(default_factory=dict)
    _past: Snapshot = ()

    def note(self, worker: int, snapshot: Snapshot) -> None:
        """Keep what the worker of that number counts now; a process has a number of its own."""
        self._latest[worker] = snapshot

    def close(self, worker: int) -> None:
        """Keep what a worker that has ended had counted; forget how it stood."""
        self._past = add_up(self._past, self._latest.pop(worker, ()))

    def collect(self) -> Iterable[Metric]:
        """Return everything, merged."""
        return merge(taken(self.parent), [*self._latest.values(), self._past])
