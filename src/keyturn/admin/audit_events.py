"""`/admin/v1/audit-events`: what happened; by page, or followed as it happens.

With `wait` the call follows the trail (a long poll): the oldest first, and it is answered as soon
as there is something, or when the time is over. The cursor of each answer leads on, whether
anything was found or not; no event is ever behind it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from keyturn import paths
from keyturn.admin.audit_messages import (
    BEGINNING,
    AuditEventAnswer,
    AuditPageAnswer,
    AuditQuery,
)
from keyturn.admin.cursors import Cursors
from keyturn.admin.operation import AnyOperation, Call, Done, Operation
from keyturn.audit.trail import AuditFilter, Page, Trail
from keyturn.clock import Clock
from keyturn.telemetry.vitals import Vitals

POLL: Final = 0.5
"""Seconds between two looks while somebody waits."""

MOST_WAITING: Final = 32
"""Callers of one process that may wait at once; one more is answered without."""


@dataclass(frozen=True, slots=True, eq=False)
class AuditEvents:
    """Reads the trail."""

    trail: Trail
    cursors: Cursors
    clock: Clock
    vitals: Vitals
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_WAITING))

    def operations(self) -> Sequence[AnyOperation]:
        """Return the row."""
        return (
            Operation("listAuditEvents", "GET", paths.ADMIN_AUDIT_EVENTS,
                      "List what happened, the newest first, or follow it",
                      AuditQuery, self.list, AuditPageAnswer, goes_on=_goes_on),
        )  # fmt: skip

    async def list(self, _: Call, query: AuditQuery) -> Done:
        """Return a page of events, or what comes next."""
        follows = query.wait is not None
        of = f"audit-events {'follow' if follows else 'page'} {query.filters()}"
        after = self.cursors.read(of, query.cursor) or query.after
        if follows:
            page = await self._follow(query, after)
        else:
            page = await self.trail.page(_filter(query), after, query.limit)
        return Done(
            AuditPageAnswer(
                items=[AuditEventAnswer.model_validate(one) for one in page.events],
                next_cursor=None if page.next is None else self.cursors.make(of, page.next),
                after=page.next,
            )
        )

    async def _follow(self, query: AuditQuery, after: str | None) -> Page:
        start = await self.trail.newest() if after is None else after
        start = None if start == BEGINNING else start
        if self.places.locked():
            return await self._next(query, start)
        async with self.places:
            return await self._wait(query, start)

    async def _wait(self, query: AuditQuery, after: str | None) -> Page:
        until = self.clock.monotonic() + (query.wait or 0)
        while True:
            page = await self._next(query, after)
            over = self.clock.monotonic() + POLL > until or self.vitals.draining
            if page.events or over:
                return page
            after = page.next
            await asyncio.sleep(POLL)

    async def _next(self, query: AuditQuery, after: str | None) -> Page:
        return await self.trail.since(_filter(query), after, query.limit)


def _goes_on(query: AuditQuery) -> bool:
    return query.goes_on


def _filter(query: AuditQuery) -> AuditFilter:
    return AuditFilter(
        types=query.type,
        user_id=query.user_id,
        client_id=query.client_id,
        session_id=query.session_id,
        actor=query.actor,
        ip=query.ip,
        result=query.result,
        since=query.since,
        until=query.until,
    )
