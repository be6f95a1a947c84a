"""Once an hour: the leader drops the months of audit events that need not be kept any longer."""

from dataclasses import dataclass

import structlog

from keyturn.audit.retention import Retention
from keyturn.jobs.leader import Leadership
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.metrics import Metrics

POST = "audit_retention"
INTERVAL = 3600.0

log = structlog.get_logger("keyturn.jobs")


@dataclass(frozen=True, slots=True)
class ForgetAudit:
    """One look at what is older than it has to be, in the process that leads."""

    retention: Retention
    leadership: Leadership
    audit: Audit
    metrics: Metrics

    async def run_once(self) -> None:
        """Drop it, and have the trail say so. Raises `Unavailable`; the next hour tries again."""
        if not await self.leadership.leads(POST):
            return
        forgotten = await self.retention.run()
        if not forgotten.anything:
            return
        months = " ".join(one.removeprefix("audit_events_") for one in forgotten.months)
        self.metrics.audit_months_dropped.inc(len(forgotten.months))
        self.audit.record(
            AuditEvent(
                "audit_months_dropped",
                detail={"months": months, "unsorted_events": forgotten.unsorted},
            )
        )
        log.info("audit_months_dropped", months=months, unsorted_events=forgotten.unsorted)
