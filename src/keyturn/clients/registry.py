"""Every client, held in memory: what a request asks costs a dictionary look-up and no SQL.

The copy is whole, so that an unknown id costs nothing either, neither memory nor a query. A
read fetches only what changed since the last one. It happens when PostgreSQL says so (NOTIFY),
every `POLL` seconds without being told, and at the latest when a request finds the copy older
than `MAX_AGE`. All who wait share one read. The whole table is read at start and after an
outage, in pages between which requests go on: 100,000 clients take a few seconds and 170 MB, after
that a poll takes a millisecond and a change 50.

While PostgreSQL is away the last copy is good for `MOST_STALE`: as long as a token that was
signed for a client the moment before would have lived. Then nobody is let in (503). Only
which pages may read an answer is asked of the last copy however old it is (`last_...`).
"""

import asyncio
import math
from dataclasses import dataclass, field
from datetime import datetime

from keyturn.clients.declarative import LONGEST_WRITE
from keyturn.clients.model import Client
from keyturn.clients.statements import EVER, SQL, changed_since
from keyturn.clock import Clock
from keyturn.db.pool import Database
from keyturn.errors import Unavailable

CHANNEL = "keyturn_clients"
MAX_AGE = 5.0
POLL = 2.5
RETRY = 1.0
"""Seconds between attempts while PostgreSQL is away; nobody waits for them."""

MOST_STALE = 300.0
"""Seconds a copy is served that could not be renewed."""

OVERLAP = 2 * LONGEST_WRITE
"""A read looks so far before the last one: a change is dated when its transaction begins."""


@dataclass(slots=True, eq=False)
class Registry:
    """The clients of one process; start `run` once, and call `invalidate` on `CHANNEL`."""

    database: Database
    clock: Clock
    _clients: dict[str, Client] = field(default_factory=dict)
    _first_party: tuple[Client, ...] = ()
    _origins: frozenset[str] = frozenset()
    _read_at: datetime | None = None
    _renewed: float = -math.inf
    _fresh_until: float = -math.inf
    _away: bool = False
    _retry_at: float = -math.inf
    _invalidations: int = 0
    _reading: asyncio.Task[None] | None = None
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)

    async def get(self, client_id: str) -> Client | None:
        """Return an active client, or None. Raises `Unavailable` without a usable copy."""
        await self._renew()
        return self.last_active(client_id)

    async def find(self, client_id: str) -> Client | None:
        """Return a client that may be disabled, or None. Raises `Unavailable`."""
        await self._renew()
        return self._clients.get(client_id)

    async def first_party(self) -> tuple[Client, ...]:
        """Return the active clients of the session API, by id. Raises `Unavailable`."""
        await self._renew()
        return self._first_party

    def last_active(self, client_id: str) -> Client | None:
        """Return a client that was active when the copy was last read, however long ago."""
        client = self._clients.get(client_id)
        return client if client is not None and client.is_active else None

    @property
    def last_first_party(self) -> tuple[Client, ...]:
        """The clients of the session API, by id, when the copy was last read."""
        return self._first_party

    @property
    def last_origins(self) -> frozenset[str] | None:
        """The web origins of all active clients when the copy was last read; None: it never was."""
        return None if self._renewed == -math.inf else self._origins

    def invalidate(self, _client_id: str = "") -> None:
        """Note that a client has changed: whoever asks from now on waits for a new read."""
        self._invalidations += 1
        self._fresh_until = -math.inf
        self._away = False
        self._wanted.set()

    async def run(self) -> None:
        """Renew the copy before anybody has to wait for it, for ever."""
        while True:
            await self._read_shared()
            try:
                async with asyncio.timeout(RETRY if self._away else POLL):
                    await self._wanted.wait()
            except TimeoutError:
                continue
            finally:
                self._wanted.clear()

    async def _renew(self) -> None:
        if self.clock.monotonic() < self._fresh_until:
            return
        if self._away and self._is_usable():
            if self.clock.monotonic() >= self._retry_at:
                self._start_reading()
            return
        # A read that began before an invalidation may not have seen the change: one more, then.
        for _ in range(2):
            await self._read_shared()
            if self._away or self.clock.monotonic() < self._fresh_until:
                break
        if not self._is_usable():
            raise Unavailable("clients: no copy recent enough")

    def _is_usable(self) -> bool:
        return self.clock.monotonic() < self._renewed + MOST_STALE

    async def _read_shared(self) -> None:
        # Shielded: one caller who hangs up must not end the read for all the others.
        await asyncio.shield(self._start_reading())

    def _start_reading(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="clients: read")
        return self._reading

    async def _read(self) -> None:
        began, invalidations = self.clock.monotonic(), self._invalidations
        try:
            await self._fetch()
        except Unavailable:
            # Perhaps another server answers next time, one that lost the latest changes: read all.
            self._away, self._read_at = True, None
            self._retry_at = self.clock.monotonic() + RETRY
            return
        self._away, self._renewed = False, began
        if invalidations == self._invalidations:
            self._fresh_until = began + MAX_AGE

    async def _fetch(self) -> None:
        moment = await self.database.fetch_row(SQL["moment"])
        at: datetime = moment["at"] if moment else EVER
        whole = self._read_at is None or at < self._read_at
        since = EVER if self._read_at is None or whole else self._read_at - OVERLAP
        read: dict[str, Client] = {}
        async for page in changed_since(self.database, since):
            read |= {row["id"]: Client.from_row(row) for row in page}
        if read or whole:
            self._keep(read if whole else self._clients | read)
        self._read_at = at

    def _keep(self, clients: dict[str, Client]) -> None:
        active = [client for client in clients.values() if client.is_active]
        first_party = (client for client in active if client.session_api)
        self._clients = clients
        self._first_party = tuple(sorted(first_party, key=lambda client: client.id))
        self._origins = frozenset().union(*(client.origins for client in active))
