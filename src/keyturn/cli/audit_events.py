"""Where `keyturn audit` reads events: in the database (`audit.trail.Trail`), or from a server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from keyturn.admin.audit_messages import BEGINNING, AuditEventAnswer, AuditPageAnswer
from keyturn.admin.shapes import MOST_ITEMS
from keyturn.audit.cursors import Place
from keyturn.audit.trail import AuditFilter, AuditRecord, Page
from keyturn.cli.remote import Remote


class Events(Protocol):
    """The audit trail, for reading; `Trail` says what these promise."""

    async def page(self, wanted: AuditFilter, after: str | None, limit: int) -> Page:
        """Return up to `limit` events, the newest first, older than the cursor `after`."""

    async def since(self, wanted: AuditFilter, after: str | None, limit: int) -> Page:
        """Return up to `limit` events in the order they became visible, behind `after`."""

    async def newest(self) -> str | None:
        """Return the cursor behind everything there is now."""


@dataclass(frozen=True, slots=True)
class ServedTrail:
    """The audit trail of a server."""

    server: Remote

    async def page(self, wanted: AuditFilter, after: str | None, limit: int) -> Page:
        """Return a page, newest first. Raises `ServerAway`, `ServerRefused`."""
        return await self._read(_query(wanted), after, limit)

    async def since(self, wanted: AuditFilter, after: str | None, limit: int) -> Page:
        """Return what comes next. Raises `ServerAway`, `ServerRefused`."""
        return await self._read({**_query(wanted), "wait": 0}, after or BEGINNING, limit)

    async def newest(self) -> str | None:
        """Return the cursor behind everything there is now."""
        query = {"wait": 0, "limit": 1}
        return (await self.server.ask("listAuditEvents", AuditPageAnswer, query)).after

    async def _read(self, query: Mapping[str, Any], after: str | None, limit: int) -> Page:
        """Return up to `limit` events; a server gives fewer at a time."""
        events: list[AuditRecord] = []
        while True:
            wanted = min(MOST_ITEMS, limit - len(events))
            asked = {**query, "after": after, "limit": wanted}
            answer = await self.server.ask("listAuditEvents", AuditPageAnswer, asked)
            events += map(_record, answer.items)
            after = answer.after
            if after is None or len(answer.items) < wanted or len(events) == limit:
                return Page(events, after)


def _query(wanted: AuditFilter) -> dict[str, Any]:
    moments = {"since": wanted.since, "until": wanted.until}
    return {
        "type": ",".join(wanted.types) if wanted.types else None,
        "user_id": wanted.user_id,
        "client_id": wanted.client_id,
        "session_id": wanted.session_id,
        "actor": wanted.actor,
        "ip": wanted.ip,
        "result": wanted.result,
        **{name: None if at is None else at.isoformat() for name, at in moments.items()},
    }


def _record(answer: AuditEventAnswer) -> AuditRecord:
    members = {name: getattr(answer, name) for name in AuditRecord.__slots__ if name != "seq"}
    return AuditRecord(**members, seq=Place.parse(answer.cursor).seq)
