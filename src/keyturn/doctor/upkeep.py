"""What time should have done: purges, months of the audit trail, logouts told."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from keyturn.doctor.finding import Check, Finding, warning

SERVERS = warning("upkeep.servers")
PURGE = warning("upkeep.purge")
AUDIT = warning("upkeep.audit")
RETENTION = warning("upkeep.retention")
LOGOUTS = warning("upkeep.logouts")

CHECKS: tuple[Check, ...] = (SERVERS, PURGE, AUDIT, RETENTION, LOGOUTS)

SLACK = timedelta(days=2)
"""What expired this long ago should be gone: nothing is kept for longer than its reasons ask."""
LONGEST_WAIT = 3600
"""Seconds a logout may wait: attempts are an hour apart then, so the client is long down."""

Row = Mapping[str, Any]


def servers(processes: int) -> Finding:
    """Say whether any server process is connected."""
    if processes:
        return SERVERS.ok(f"server processes that listen to this database: {processes}")
    sentence = "no server process listens to this database: nothing rotates, purges or copies"
    return SERVERS.wrong(sentence, "start one: `keyturn serve`")


def purge(tables: Sequence[str]) -> Finding:
    """Judge what expired and is still there."""
    if not tables:
        return PURGE.ok("what expired two days ago is gone")
    sentence = f"rows that expired two days ago are still in {', '.join(tables)}"
    return PURGE.wrong(sentence, "`keyturn purge`; then see why the server's purge does not")


def audit(row: Row) -> list[Finding]:
    """Judge the months of the audit trail."""
    if not row["prepared"]:
        months = AUDIT.wrong(
            "the audit trail has no table for the next month", "restart a server: it makes them"
        )
    elif row["unsorted"]:
        months = AUDIT.wrong(
            "some audit events lie outside of every month's table; they are kept and found",
            "see the clock of the servers that wrote them: their dates are far off",
        )
    else:
        months = AUDIT.ok("the audit trail has its months")
    if row["forgotten"] is None:
        return [months, RETENTION.ok("the audit trail goes back as far as audit.retention_days")]
    sentence = f"{row['forgotten']} is older than audit.retention_days and still there"
    mend = "see the log for `audit_retention`: the server's role must own the table to drop it"
    return [months, RETENTION.wrong(sentence, mend)]


def logouts(oldest: float) -> Finding:
    """Judge how long clients have not been told of a logout; `oldest` is in seconds."""
    if oldest <= LONGEST_WAIT:
        return LOGOUTS.ok("clients are told of logouts")
    sentence = f"a client has not been told of a logout for {oldest / 3600:.1f} hours"
    mend = "see the log for `logout_receiver_failing`: it names the client that does not answer"
    return LOGOUTS.wrong(sentence, mend)
