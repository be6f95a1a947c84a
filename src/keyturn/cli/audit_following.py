"""Follows the audit trail at a terminal or into a pipe, until somebody has had enough."""

import asyncio
import select
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from keyturn.audit.cursors import Place
from keyturn.audit.trail import AuditFilter, AuditRecord
from keyturn.cli.audit_events import Events
from keyturn.cli.audit_printing import silence_stdout
from keyturn.errors import Unavailable

PAUSE = 0.5
"""Seconds between two looks."""

AT_ONCE = 500


@dataclass(slots=True, eq=False)
class Following:
    """One follower; `show` makes a line of an event."""

    trail: Events
    wanted: AuditFilter
    show: Callable[[AuditRecord], str]
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _away: bool = False

    async def run(self, after: str | None, lines: int) -> None:
        """Show events until SIGINT, SIGTERM or a closed pipe. Raises `Unavailable` at first only.

        While the database is away it waits: everything is there to be read afterwards.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        try:
            cursor = after if after is not None else await self._latest(lines)
            while not self._stop.is_set() and not _nobody_reads():
                cursor = await self._look(cursor)
        except BrokenPipeError:
            silence_stdout()

    async def _latest(self, lines: int) -> str | None:
        """Show the latest events, and return the cursor behind them."""
        start = await self.trail.newest()
        if start is None:
            return None
        end = Place.parse(start)
        if lines:
            page = await self.trail.page(self.wanted, None, lines)
            # What became visible meanwhile comes again, in its turn.
            seen = [one for one in page.events if Place(one.seq, one.at, one.id) <= end]
            self._print(seen[::-1])
        return start

    async def _look(self, cursor: str | None) -> str | None:
        """Show what is new; return the cursor behind it."""
        try:
            page = await self.trail.since(self.wanted, cursor, AT_ONCE)
        except Unavailable as trouble:
            if not self._away:
                print(f"keyturn: waiting for the trail ({trouble.detail})", file=sys.stderr)
            self._away = True
            await self._pause()
            return cursor
        self._away = False
        self._print(page.events)
        if len(page.events) < AT_ONCE:
            await self._pause()
        return page.next

    def _print(self, events: Sequence[AuditRecord]) -> None:
        for event in events:
            print(self.show(event))
        sys.stdout.flush()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), PAUSE)


def _nobody_reads() -> bool:
    """Whether stdout is a pipe that was closed at its other end; a write would tell only then."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return False  # not a file of the system: a test has put something in its place
    return any(event & select.POLLERR for _, event in poll.poll(0))
