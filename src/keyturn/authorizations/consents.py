"""What people have allowed applications: asked once, remembered, and taken back at will."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from keyturn.db.pool import Database, Row
from keyturn.db.queries import load_queries
from keyturn.sessions.end import Ending, end_sessions_at_client
from keyturn.telemetry.audit import Audit, AuditEvent

SQL = load_queries(__package__, "authorizations.sql")


@dataclass(frozen=True, slots=True)
class Consent:
    """What one person has allowed one application."""

    client_id: str
    scopes: frozenset[str]
    granted_at: datetime
    """When they last said yes."""

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Build from a row of the queries `consent` and `list_consents`."""
        return cls(row["client_id"], frozenset(row["scopes"]), row["granted_at"])


@dataclass(frozen=True, slots=True)
class Consents:
    """Who has allowed what. Every method raises `Unavailable`."""

    database: Database
    ending: Ending
    audit: Audit

    async def granted(self, user_id: UUID, client_id: str) -> frozenset[str]:
        """Return the scopes this person has allowed this application; none is empty."""
        row = await self.database.fetch_row(SQL["consent"], user_id, client_id)
        return frozenset() if row is None else Consent.from_row(row).scopes

    async def grant(self, user_id: UUID, client_id: str, scopes: frozenset[str]) -> None:
        """Add to what this person has allowed."""
        await self.database.execute(SQL["grant_consent"], user_id, client_id, sorted(scopes))
        detail = {"scope": " ".join(sorted(scopes))}
        self.audit.record(
            AuditEvent("consent_granted", user_id=user_id, client_id=client_id, detail=detail)
        )

    def deny(self, user_id: UUID, client_id: str, scopes: frozenset[str]) -> None:
        """Note that this person said no; what they allowed before stays as it is."""
        detail = {"scope": " ".join(sorted(scopes))}
        self.audit.record(
            AuditEvent("consent_denied", user_id=user_id, client_id=client_id, detail=detail)
        )

    async def withdraw(self, user_id: UUID, client_id: str) -> bool:
        """Take everything back; what the application holds already ends with it.

        False when there was nothing to take back.
        """
        async with self.database.transaction() as tx:
            withdrawn = await tx.execute(SQL["withdraw_consent"], user_id, client_id) == 1
            # Codes before sessions: that is the order in which a redemption takes hold of them.
            await tx.execute(SQL["void_codes"], user_id, client_id)
            await tx.execute(SQL["void_device_codes"], user_id, client_id)
            ended = await end_sessions_at_client(tx, user_id, client_id, "consent_withdrawn")
        await self.ending.tell(ended, "consent_withdrawn")
        if withdrawn:
            self.audit.record(AuditEvent("consent_withdrawn", user_id=user_id, client_id=client_id))
        return withdrawn

    async def list_of_user(self, user_id: UUID) -> Sequence[Consent]:
        """Return what this person has allowed, by client."""
        rows = await self.database.fetch(SQL["list_consents"], user_id)
        return [Consent.from_row(row) for row in rows]
