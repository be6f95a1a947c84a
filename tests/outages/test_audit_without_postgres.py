"""PostgreSQL away from the audit trail: events wait, stdout goes on, and a loss is counted."""

import json
from datetime import UTC, datetime
from io import BytesIO

import asyncpg
import pytest

from keyturn.clock import FixedClock
from keyturn.db.pool import Database
from keyturn.errors import Unavailable
from keyturn.jobs.write_audit import WriteAudit, write_now
from keyturn.settings_postgres import PostgresSettings
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.logs import LineWriter
from keyturn.telemetry.metrics import Metrics
from support.log_lines import caught_logs

NOWHERE = "postgresql://nobody@127.0.0.1:9/none"


class Process:
    """One process's audit trail, whose database is away at first."""

    def __init__(self, limit=100):
        self.clock, self.metrics = FixedClock(datetime(2026, 9, 1, tzinfo=UTC)), Metrics()
        self.stdout = BytesIO()
        self.audit = Audit(self.clock, self.metrics, limit, stream=LineWriter(self.stdout))

    def on(self, url):
        database = Database(PostgresSettings(url=url), self.metrics)
        return WriteAudit(database, self.audit, self.metrics, self.clock, 0.01)

    def lost(self, reason):
        name = "keyturn_audit_write_failures_total"
        return self.metrics.registry.get_sample_value(name, {"reason": reason})

    def lines(self):
        return [json.loads(line) for line in self.stdout.getvalue().splitlines()]


async def test_events_wait_and_are_on_stdout_meanwhile_under_the_same_ids(database_url):
    with caught_logs():
        process = Process()
        away = process.on(NOWHERE)
        for number in range(3):
            process.audit.record(AuditEvent("sign_in", detail={"number": number}))
            with pytest.raises(Unavailable):
                await away.flush()
        assert [one["detail"]["number"] for one in process.lines()] == [0, 1, 2]
        writer = process.on(database_url)
        await writer.flush()
        await writer.database.close()
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("select id from audit_events")
    await connection.close()
    assert {str(row["id"]) for row in rows} == {one["id"] for one in process.lines()}
    assert len(rows) == 3
    assert process.lost("queue_full") == process.lost("shutdown") == 0.0


async def test_beyond_the_queue_events_are_lost_counted_told_once_and_on_stdout():
    with caught_logs() as caught:
        process = Process(limit=100)
        for _ in range(130):
            process.audit.record(AuditEvent("sign_in"))
        assert process.lost("queue_full") == 30.0
        assert len(process.lines()) == 130
        await process.on(NOWHERE).close(1)
    told = [one for one in caught.all() if one["event"] == "audit_events_lost"]
    assert [(one["reason"], one["events"]) for one in told] == [
        ("queue_full", 1),
        ("shutdown", 100),
    ]
    assert process.lost("shutdown") == 100.0


async def test_a_command_says_how_many_events_it_could_not_write():
    process = Process()
    process.audit.record(AuditEvent("user_added"))
    database = Database(PostgresSettings(url=NOWHERE), process.metrics)
    with pytest.raises(Unavailable) as trouble:
        await write_now(database, process.audit, process.metrics, process.clock)
    assert trouble.value.detail.endswith("; 1 audit events not written")
