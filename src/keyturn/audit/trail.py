"""Reads the audit trail: newest first by page, or oldest first from a cursor on.

Listing follows the time events happened. Whoever follows the trail (tail, export) goes by the order
in which they became visible instead: an event that waited for the database is dated in the past,
and whoever went by dates would have passed it already.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from keyturn.audit.cursors import Place
from keyturn.db.pool import Database, Row
from keyturn.db.queries import Query, load_queries
from keyturn.errors import InvalidRequest

SHOWN = (
    "id",
    "at",
    "type",
    "result",
    "actor",
    "user_id",
    "client_id",
    "session_id",
    "ip",
    "request_id",
    "detail",
)
"""Members of an event as it is shown, in this order; the columns of the table."""

SQL = load_queries(__package__, "audit.sql")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events are wanted: those that have all that is given here.

    Raises `InvalidRequest` for what no event can have.
    """

    types: Sequence[str] | None = None
    """Any of these."""
    user_id: UUID | None = None
    client_id: str | None = None
    session_id: UUID | None = None
    actor: str | None = None
    """As it is written: `user:<id>`, `client:<id>`, `anonymous`, `cli`, `server`."""
    ip: str | None = None
    """An address, or a network (`192.0.2.0/24`)."""
    result: str | None = None
    since: datetime | None = None
    """Happened then or later; aware."""
    until: datetime | None = None
    """Happened before; aware."""

    def __post_init__(self) -> None:
        """Let nothing through that the database would choke on."""
        texts = (self.client_id, self.actor, self.result, *(self.types or ()))
        if not all(text is None or text.isprintable() for text in texts):
            raise InvalidRequest("audit: a filter that is not printable")
        if any(moment is not None and moment.tzinfo is None for moment in (self.since, self.until)):
            raise InvalidRequest("audit: a time without an offset")
        try:
            ipaddress.ip_network(self.ip or "::", strict=False)
        except ValueError:
            raise InvalidRequest("audit: neither an address nor a network") from None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One event as it was kept. Everything but the first four may be missing."""

    id: UUID
    at: datetime
    type: str
    result: str
    actor: str | None
    user_id: UUID | None
    client_id: str | None
    session_id: UUID | None
    ip: str | None
    request_id: str | None
    detail: Mapping[str, str | int | bool | None]
    seq: int
    """Its place in the order of becoming visible; 0 for those older than that order."""

    @property
    def cursor(self) -> str:
        """What reads on from behind this event."""
        return Place(self.seq, self.at, self.id).text()

    def members(self) -> dict[str, object]:
        """Return it as commands print it: as on stdout (`telemetry.audit`), and its cursor."""
        shown: dict[str, object] = {name: getattr(self, name) for name in SHOWN}
        return shown | {"cursor": self.cursor}


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, and the cursor to go on with.

    Of `Trail.page`, `next` is None after the oldest. Of `Trail.since` it is None only while the
    trail is empty and no cursor was given: there is always something to come.
    """

    events: Sequence[AuditRecord]
    next: str | None


@dataclass(frozen=True, slots=True)
class Trail:
    """The audit trail, for reading."""

    database: Database

    async def page(self, wanted: AuditFilter, after: str | None, limit: int) -> Page:
        """Return up to `limit` events, newest first, older than the cursor `after`.

        Raises `InvalidRequest` for a cursor that is none of ours, and `Unavailable`.
        """
        place = None if after is None else Place.parse(after)
        at, last = (None, None) if place is None else (place.at, place.id)
        found = await self._read(SQL["page"], wanted, (limit + 1, at, last))
        events = [_record(row) for row in found[:limit]]
        return Page(events, events[-1].cursor if len(found) > limit else None)

    async def since(self, wanted: AuditFilter, after: str | None, limit: int) -> Page:
        """Return up to `limit` events in the order they became visible, behind the cursor `after`.

        `next` is given also when nothing was found: everything up to it was looked at. No event
        is ever behind a cursor that was given before it could be seen. Fewer than `limit` events:
        that was all for now. Raises `InvalidRequest` and `Unavailable`.
        """
        start = None if after is None else Place.parse(after)
        end = await self._newest()
        if end is None or (start is not None and end <= start):
            return Page((), after)
        bounds = (None, None, None) if start is None else (start.seq, start.at, start.id)
        found = await self._read(SQL["since"], wanted, (limit, *bounds, end.seq, end.at, end.id))
        events = [_record(row) for row in found]
        return Page(events, events[-1].cursor if len(events) == limit else end.text())

    async def newest(self) -> str | None:
        """Return the cursor behind everything there is now; None: nothing yet."""
        place = await self._newest()
        return None if place is None else place.text()

    async def _newest(self) -> Place | None:
        row = await self.database.fetch_row(SQL["newest"])
        return None if row is None else Place(row["seq"], row["at"], row["id"])

    async def _read(self, query: Query, wanted: AuditFilter, bounds: Sequence[Any]) -> list[Row]:
        """Run a query with a plan of its own: which index is good depends on what is asked for."""
        values = [getattr(wanted, one.name) for one in fields(wanted)]
        async with self.database.transaction() as transaction:
            await transaction.fetch_row(SQL["plan_for_values"])
            return await transaction.fetch(query, *values, *bounds)


def _record(row: Row) -> AuditRecord:
    members = {name: row[name] for name in AuditRecord.__slots__}
    return AuditRecord(**members | {"ip": None if row["ip"] is None else str(row["ip"])})
