"""The metrics of the status lists: a part of the catalogue in `metrics`."""

from collections.abc import Sequence

from keyturn.telemetry.instruments import Declare


class StatusListMetrics:
    """How long it takes to know what has ended, and how much that is."""

    def __init__(self, declare: Declare, buckets: Sequence[float]) -> None:
        self.reads = declare.times_by(
            {"what": ("news", "everything")},
            "keyturn_status_list_read_seconds",
            "Time to read what has ended for the status lists.",
            buckets,
        )
        self.revoked = declare.gauge(
            "keyturn_status_list_revoked", "Sessions that the status lists show as revoked."
        )
