"""`keyturn purge`: delete what has expired, now."""

from dataclasses import asdict

from keyturn.cli.context import ConfigOption, JsonOption, open_database, print_json, run
from keyturn.clock import SystemClock
from keyturn.jobs.purge import Purge
from keyturn.telemetry.audit import AuditEvent


def purge(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Delete what has expired; the server does it by itself every few minutes."""

    async def work() -> None:
        async with open_database(config) as opened:
            batch = opened.settings.jobs.purge_batch
            job = Purge(opened.database, opened.metrics, SystemClock(), batch)
            purged = asdict(await job.run())
            opened.audit.record(AuditEvent("expired_purged", detail=purged))
        if json:
            print_json(purged)
        else:
            print("deleted", ", ".join(f"{count} {name}" for name, count in purged.items()))

    run(work())
