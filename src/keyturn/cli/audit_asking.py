"""Which events a command is asked for, and the trail it reads them from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Annotated, Literal, get_args
from uuid import UUID

import typer

from keyturn.audit.cursors import Place
from keyturn.audit.trail import AuditFilter, Trail
from keyturn.cli.audit_events import Events, ServedTrail
from keyturn.cli.context import WRONG, fail, moment, open_database
from keyturn.cli.reach import remote
from keyturn.cli.where import Where
from keyturn.db.pool import Database
from keyturn.errors import InvalidRequest
from keyturn.jobs.write_audit import write_now
from keyturn.telemetry.audit import AuditEvent
from keyturn.telemetry.event_types import EventType

PATIENCE = 300.0
"""Seconds one statement may take: a rare event among many millions is looked for, at leisure."""

Since = Annotated[str | None, typer.Option(help="ISO 8601: happened then or later.")]
Until = Annotated[str | None, typer.Option(help="ISO 8601: happened before.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="An event's type; repeatable.")]
User = Annotated[UUID | None, typer.Option(help="Whom it was done to: a user's id.")]
Client = Annotated[str | None, typer.Option(help="A client's id.")]
Session = Annotated[UUID | None, typer.Option(help="A session's id.")]
Actor = Annotated[
    str | None, typer.Option(help="Who did it: user:ID, client:ID, anonymous, cli or server.")
]
Ip = Annotated[str | None, typer.Option(help="From where: an address, or a network.")]
Result = Annotated[Literal["ok", "failed"] | None, typer.Option(help="How it went.")]
After = Annotated[str | None, typer.Option(help="The cursor of the last event seen.")]


@dataclass(frozen=True, slots=True)
class Given:
    """The filters of a command, as they were typed."""

    since: str | None
    until: str | None
    types: list[str] | None
    user: UUID | None
    client: str | None
    session: UUID | None
    actor: str | None
    ip: str | None
    result: str | None

    def __str__(self) -> str:
        given = {name: value for name, value in asdict(self).items() if value}
        given |= {"types": "|".join(self.types)} if self.types else {}
        return " ".join(f"{name}={value}" for name, value in given.items())


def wanted(given: Given, after: str | None) -> AuditFilter:
    """Return the filter; what no event can have, and a cursor that is none, is wrong usage."""
    for one in given.types or ():
        _check_type(one)
    try:
        if after is not None:
            Place.parse(after)
        return AuditFilter(
            types=given.types or None,
            user_id=given.user,
            client_id=given.client,
            session_id=given.session,
            actor=given.actor,
            ip=given.ip,
            result=given.result,
            since=None if given.since is None else moment("--since", given.since),
            until=None if given.until is None else moment("--until", given.until),
        )
    except InvalidRequest as refusal:
        fail(refusal.detail, WRONG)


@asynccontextmanager
async def reading(where: Where, how: str, given: Given) -> AsyncIterator[Events]:
    """Hold the trail for the block; it says that somebody reads it, first or with the call."""
    if where.server:
        yield ServedTrail(remote(where))
        return
    async with open_database(where.config) as opened:
        detail = {"how": how, "filter": str(given)}
        opened.audit.record(AuditEvent("audit_read", detail=detail))
        await write_now(opened.database, opened.audit, opened.metrics, opened.clock)
        change = {"statement_timeout": PATIENCE, "pool_max": 1}
        patient = opened.settings.postgres.model_copy(update=change)
        database = Database(patient, opened.metrics)
        try:
            yield Trail(database)
        finally:
            await database.close()


def _check_type(name: str) -> None:
    known = get_args(EventType)
    if name not in known:
        near = get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        fail(f"--type {name}: there is no such event{hint}", WRONG)
