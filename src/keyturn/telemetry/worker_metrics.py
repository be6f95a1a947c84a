"""What a server of several processes tells of them; the parent counts, in the others it is 0."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

ENDS: Final = ("ended", "failed", "killed", "silent")
"""Why a worker was replaced: it ended, gave up, got a signal, or hung."""


class WorkerMetrics:
    """Part of the catalogue (`telemetry.metrics`)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.processes = Gauge(
            "keyturn_workers", "Workers by state.", ("state",), registry=registry
        )
        restarts = Counter(
            "keyturn_worker_restarts", "Workers that were replaced.", ("reason",), registry=registry
        )
        self.restarts = {one: restarts.labels(one) for one in ENDS}
        self.snapshots_late = Counter(
            "keyturn_worker_snapshots_late",
            "Times a worker did not tell what it counts, and its last word was used.",
            registry=registry,
        )
