"""Apply a clients file: all of it or nothing, and nothing at all the second time."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from keyturn.clients import statements
from keyturn.clients.clients_file import DeclaredClient
from keyturn.clients.plan import ClientChange, Plan, plan
from keyturn.clients.statements import SQL
from keyturn.db.pool import Database, Statements
from keyturn.errors import Unavailable
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.event_types import EventType

LONGEST_WRITE = timedelta(seconds=30)
"""Registries look this far back (and as far again) for changes that committed late."""


async def apply(
    database: Database,
    declared: Sequence[DeclaredClient],
    audit: Audit,
    *,
    prune: bool = False,
    dry_run: bool = False,
) -> Plan:
    """Make the registered clients what a file says, and return what that changed.

    A client's kind never changes, a secret ended by an operator does not come back, and nobody
    is enabled whom the file does not say to enable. `prune` disables the clients that earlier
    files named and this one does not. Raises `InvalidClientMetadata` before anything is written.
    """
    try:
        async with asyncio.timeout(LONGEST_WRITE.total_seconds()):
            async with statements.writing(database) as tx:
                wanted = plan(declared, await statements.registrations(tx), prune=prune)
                if not dry_run:
                    await _write(tx, wanted)
    except TimeoutError:
        raise Unavailable("clients: the file took too long, nothing was written") from None
    for change in () if dry_run else wanted.writes:
        fields = " ".join(one.name for one in change.fields)
        detail = {"by": "clients file", **({"fields": fields} if fields else {})}
        for event in _events(change):
            audit.record(AuditEvent(event, client_id=change.client_id, detail=detail))
    return wanted


def _events(change: ClientChange) -> Sequence[EventType]:
    if change.is_new:
        return ["client_added"]
    happened: list[tuple[EventType, bool]] = [
        ("client_secret_rotated", change.secret == "set"),  # noqa: S105 - a step
        ("client_disabled", change.state == "disable"),
        ("client_enabled", change.state == "enable"),
    ]
    events = [event for event, happens in happened if happens]
    return ["client_changed", *events] if change.fields or not events else events


async def _write(tx: Statements, wanted: Plan) -> None:
    for change in wanted.writes:
        await _write_one(tx, change)
    if wanted.writes:
        await statements.announce(tx, [change.client_id for change in wanted.writes])


async def _write_one(tx: Statements, change: ClientChange) -> None:
    declared = change.declared
    if declared is not None:
        if change.is_new:
            await statements.insert(tx, declared.definition)
        elif change.fields:
            await statements.redefine(tx, declared.definition)
        if change.secret == "set" and declared.secret_hash is not None:  # noqa: S105 - a step
            await statements.set_secret(tx, change.client_id, declared.secret_hash, None)
        if change.is_new or change.adopted or change.secret != "unchanged":  # noqa: S105 - a step
            await tx.execute(SQL["declare"], change.client_id, declared.secret_hash)
    if change.state == "disable":
        await tx.execute(SQL["disable"], change.client_id)
    elif change.state == "enable":
        await tx.execute(SQL["enable"], change.client_id)
