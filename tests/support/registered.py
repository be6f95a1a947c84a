"""Clients of a test's own database: how they are registered, listed and asked about."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from keyturn.clients.administration import Administration
from keyturn.clients.clients_file import parse
from keyturn.clients.declarative import apply
from keyturn.clients.definition import ClientDefinition
from keyturn.clients.model import Registration
from keyturn.clients.plan import Plan
from keyturn.clients.registry import Registry
from keyturn.clients.rules import Limits
from keyturn.clock import Clock, SystemClock
from keyturn.telemetry.audit import Audit
from keyturn.telemetry.metrics import Metrics
from support.patience import patient
from support.rotation_stack import WatchedDatabase

ISSUER = "https://login.example"
API = "https://api.example"
SECRET = "kts_4f1d0c9b8a7e6f5d4c3b2a190817263544"
OTHER_SECRET = "kts_90817263544f1d0c9b8a7e6f5d4c3b2a11"
WEB = {"id": "web", "kind": "public", "session_api": True, "audiences": [API]}
JOB = {
    "id": "job",
    "kind": "confidential",
    "grant_types": ["client_credentials"],
    "audiences": [API],
}


@dataclass(frozen=True, slots=True)
class Clients:
    """One process's view of the clients in one database, and a way behind its back."""

    database: WatchedDatabase
    administration: Administration
    registry: Registry
    audit: Audit
    behind: asyncpg.Connection

    @classmethod
    @asynccontextmanager
    async def of(cls, url: str, clock: Clock | None = None) -> AsyncIterator["Clients"]:
        """Open the clients of a migrated database."""
        metrics = Metrics()
        database = WatchedDatabase(patient(url), metrics)
        audit = Audit(SystemClock(), metrics, 100)
        administration = Administration(database, Limits(ISSUER), audit)
        behind = await asyncpg.connect(url)
        try:
            registry = Registry(database, clock or SystemClock())
            yield cls(database, administration, registry, audit, behind)
        finally:
            await behind.close(timeout=5)
            await database.close()

    async def add(self, raw: Mapping[str, Any] = JOB, **changes: Any) -> str | None:
        """Register a client and return its secret."""
        definition = ClientDefinition.parse({**raw, **changes})
        return (await self.administration.add(definition)).secret

    async def apply(self, *clients: Mapping[str, Any], **options: bool) -> Plan:
        """Apply the content of a clients file."""
        declared = parse({"clients": list(clients)}, Limits(ISSUER), Path())
        return await apply(self.database, declared, self.audit, **options)

    async def registered(self) -> dict[str, Registration]:
        """Return every registration by id."""
        return {one.client.id: one for one in await self.administration.list()}

    async def versions(self) -> list[tuple[str, str, str]]:
        """Return what changes with each row version ever written, even one that says the same."""
        rows = await self.behind.fetch("select id, xmin::text, ctid::text from clients order by id")
        return [tuple(row) for row in rows]

    def events(self) -> list[tuple[str, str | None]]:
        """Return and forget what was audited: the events' types and clients."""
        return [(one.event.type, one.event.client_id) for one in self.audit.take(100)]
