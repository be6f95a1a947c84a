"""Noting that a client which registered itself was used: once, not at every token."""

from dataclasses import dataclass, field

from keyturn.clients.model import Client
from keyturn.db.pool import Database
from keyturn.db.queries import load_queries
from keyturn.errors import Unavailable

SQL = load_queries(__package__, "registrations.sql")


@dataclass(frozen=True, slots=True)
class FirstUse:
    """What one process knows to be noted; at most one id for each client there is."""

    database: Database
    _noted: set[str] = field(default_factory=set)

    async def note(self, client: Client) -> None:
        """Note that a client got a token, if it registered itself and that is not known yet.

        Never a reason to refuse what it got: while the database is away, the next time counts.
        """
        if not client.self_registered or client.id in self._noted:
            return
        try:
            await self.database.execute(SQL["note_first_use"], client.id)
        except Unavailable:
            return
        self._noted.add(client.id)
