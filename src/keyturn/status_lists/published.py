"""A list, as of less than a second before it was asked for, or the answer that nobody knows.

Read and signed for who asks, and for all who ask meanwhile at once. Without PostgreSQL there is no
list: an old one, shown as if it were new, would let in whom everybody believes to be signed out.
APIs hold the last one they fetched, know how old it is, and decide.
"""

import asyncio
import math
from dataclasses import dataclass, field
from typing import Final, Self

from keyturn.clock import Clock
from keyturn.db.pool import Database
from keyturn.errors import NotFound, Unavailable
from keyturn.keys.keyring import Keyring
from keyturn.settings import Settings
from keyturn.status_lists import document, index
from keyturn.status_lists.bits import Bits
from keyturn.status_lists.document import Document
from keyturn.status_lists.known import Known
from keyturn.status_lists.reading import Reading
from keyturn.telemetry.metrics import Metrics

MAX_AGE: Final = 1.0
"""Seconds what was read may be old when somebody asks."""

LONGEST: Final = 60.0
"""Seconds after the end of a reading in which the next one goes on with it: of what happens to the
database in a longer pause, too little would be noticed."""

RETRY: Final = 1.0
"""Seconds in which nobody tries again after PostgreSQL did not answer."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A list that was signed, and what it rests on: these bits, after so many changes."""

    document: Document
    bits: Bits
    changes: int

    def says(self, bits: Bits, expires_at: int) -> bool:
        """Whether it still says all there is to say."""
        same = self.bits is bits and self.changes == bits.changes
        return same and self.document.expires_at == expires_at


@dataclass(slots=True, eq=False)
class StatusLists:
    """The lists of one process; `ttl` is in seconds."""

    database: Database
    keyring: Keyring
    metrics: Metrics
    clock: Clock
    issuer: str
    ttl: int
    _known: Known | None = None
    _read_at: float = -math.inf
    _ended_at: float = -math.inf
    _retry_at: float = -math.inf
    _reading: asyncio.Task[None] | None = None
    _signing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _held: dict[int, _Held] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        settings: Settings,
        database: Database,
        keyring: Keyring,
        metrics: Metrics,
        clock: Clock,
    ) -> Self:
        """Build, with nothing read yet."""
        return cls(database, keyring, metrics, clock, settings.issuer, settings.status_list.ttl)

    async def get(self, number: int) -> Document:
        """Return a list.

        Raises `NotFound` for one no token names yet, `Unavailable` when nobody knows.
        """
        known = await self._fresh()
        if not known.has_begun(number):
            raise NotFound("status list: has not begun")
        async with self._signing:
            bits, expires_at = known.bits(number), document.expiry(known.horizon.now)
            held = self._held.get(number)
            if held is None or not held.says(bits, expires_at):
                held = self._held[number] = await self._sign(number, bits, known.horizon.now)
            return held.document

    async def _fresh(self) -> Known:
        asked_at = self.clock.monotonic()
        # A reading that is under way may have begun long ago: then one more.
        while self._known is None or self._read_at < asked_at - MAX_AGE:
            if self._reading is None:
                self._wait_for_postgres()
                self._reading = asyncio.create_task(self._read(), name="status lists: read")
            # Shielded: one caller who hangs up must not end the reading for all the others.
            await asyncio.shield(self._reading)
        return self._known

    def _wait_for_postgres(self) -> None:
        if self.clock.monotonic() < self._retry_at:
            raise Unavailable("status list: PostgreSQL did not answer just now")

    async def _read(self) -> None:
        began = self.clock.monotonic()
        known = self._known if began <= self._ended_at + LONGEST else None
        self._known = None  # what was read in part is good for nothing
        try:
            fresh = await Reading(self.database).after(known)
        except Unavailable:
            self._retry_at = self.clock.monotonic() + RETRY
            raise
        finally:
            self._reading = None
        self._known, self._read_at, self._ended_at = fresh, began, self.clock.monotonic()
        what = "news" if fresh is known else "everything"
        self.metrics.status_lists.reads[what].observe(self._ended_at - began)
        self.metrics.status_lists.revoked.set(len(fresh))

    async def _sign(self, number: int, bits: Bits, now: int) -> _Held:
        key = self.keyring.signing
        if key is None:
            raise Unavailable("keys: none may sign yet")
        uri = index.uri(self.issuer, number)
        claims = document.claims_of(self.issuer, uri, self.ttl, document.expiry(now))
        changes, writer = bits.changes, bits.writer()
        made = await asyncio.to_thread(document.make, key, claims, now, writer)
        return _Held(made, bits, changes)
