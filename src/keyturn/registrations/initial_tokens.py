"""Initial access tokens (RFC 7591 section 3): operators make them, whoever holds one registers.

Random, shown once, kept as a hash; bounded in time, in live clients, and in scopes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from keyturn.crypto import opaque
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries
from keyturn.errors import NotFound
from keyturn.registration_errors import UnacceptableMetadata
from keyturn.registrations.model import InitialToken, IssuedToken
from keyturn.settings_registration import RegistrationSettings
from keyturn.telemetry.audit import Audit, AuditEvent, EventType

SQL = load_queries(__package__, "registrations.sql")

PREFIX: Final = "kti_"
LONGEST_NAME: Final = 200
MOST_USES: Final = 100_000
LONGEST: Final = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class InitialTokens:
    """The initial access tokens of one database."""

    database: Database
    settings: RegistrationSettings
    audit: Audit

    async def add(
        self, name: str, uses: int, lifetime: timedelta, scopes: Sequence[str] | None = None
    ) -> IssuedToken:
        """Make a token that may have `uses` live clients, with no more than these scopes.

        Raises `UnacceptableMetadata`, `Unavailable`.
        """
        self._check(name, uses, lifetime, scopes)
        value = PREFIX + opaque.token_urlsafe()
        digest, token_id = opaque.digest(value), opaque.random_uuid()
        row = await self.database.fetch_row(
            SQL["add_token"], token_id, name, digest, uses, scopes, lifetime
        )
        if row is None:
            raise NotFound("initial access token: not written")
        self._record("registration_token_added", token_id)
        return IssuedToken(InitialToken.from_row(row), value)

    async def list(self) -> tuple[InitialToken, ...]:
        """Return every token, the latest first. Raises `Unavailable`."""
        return tuple(map(InitialToken.from_row, await self.database.fetch(SQL["list_tokens"])))

    async def revoke(self, token_id: UUID) -> None:
        """End a token; its clients stay. Raises `NotFound`, `Unavailable`."""
        if not await self.database.execute(SQL["revoke_token"], token_id):
            raise NotFound("initial access token: there is none with this id")
        self._record("registration_token_revoked", token_id)

    def _check(
        self, name: str, uses: int, lifetime: timedelta, scopes: Sequence[str] | None
    ) -> None:
        if not name.isprintable() or not name.strip() or len(name) > LONGEST_NAME:
            raise UnacceptableMetadata(f"name: 1 to {LONGEST_NAME} printable characters", "name")
        if not 0 < uses <= MOST_USES:
            raise UnacceptableMetadata(f"uses: 1 to {MOST_USES}", "uses")
        if not timedelta() < lifetime <= LONGEST:
            raise UnacceptableMetadata("expires_in: 1 second to 400 days", "expires_in")
        if not set(scopes or ()) <= set(self.settings.scopes):
            raise UnacceptableMetadata("scope: beyond registration.scopes", "scope")

    def _record(self, event: EventType, token_id: UUID) -> None:
        self.audit.record(AuditEvent(event, detail={"invitation": str(token_id)}))


async def usable(source: Statements, value: str) -> InitialToken | None:
    """Return the token with this value, if it may be used now. Raises `Unavailable`."""
    digest = opaque.sha256(value.encode("utf-8", "surrogatepass"))
    row = await source.fetch_row(SQL["usable_token"], digest)
    return None if row is None else InitialToken.from_row(row)
