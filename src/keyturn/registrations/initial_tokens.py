"""Initial access tokens (RFC 7591 section 3): operators make them, whoever holds one registers.

Random, shown once, kept as a hash; bounded in time, in live clients, and in scopes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from keyturn.creations import creations
from keyturn.creations.once import Once
from keyturn.crypto import opaque
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import Query, load_queries
from keyturn.errors import NotFound, Problem
from keyturn.registrations.model import InitialToken, IssuedToken
from keyturn.request_errors import InvalidMembers
from keyturn.settings_registration import RegistrationSettings
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.event_types import EventType

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
        self,
        name: str,
        uses: int,
        lifetime: timedelta,
        scopes: Sequence[str] | None = None,
        once: Once | None = None,
    ) -> IssuedToken:
        """Make a token that may have `uses` live clients, with no more than these scopes.

        Asked again under the same `once`, it returns the token it made before. Raises
        `InvalidMembers`, `IdempotencyKeyReused`, `Unavailable`.
        """
        self._check(name, uses, lifetime, scopes)
        token_id = opaque.random_uuid()
        async with self.database.transaction() as tx:
            made = None if once is None else await creations.note(tx, once, str(token_id))
            value = PREFIX + (opaque.token_urlsafe() if made is None else made.secret)
            if made is not None and made.again:
                known = await _one(tx, SQL["find_token"], UUID(made.resource))
                return IssuedToken(known, value, again=True)
            digest = opaque.digest(value)
            told = (token_id, name, digest, uses, scopes, lifetime)
            token = await _one(tx, SQL["add_token"], *told)
        self._record("registration_token_added", token_id)
        return IssuedToken(token, value)

    async def page(self, after: UUID | None, limit: int) -> Sequence[InitialToken]:
        """Return up to `limit` tokens, the latest first, after one. Raises `Unavailable`."""
        rows = await self.database.fetch(SQL["page_of_tokens"], after, limit)
        return [InitialToken.from_row(row) for row in rows]

    async def revoke(self, token_id: UUID) -> None:
        """End a token; its clients stay. Raises `NotFound`, `Unavailable`."""
        if not await self.database.execute(SQL["revoke_token"], token_id):
            raise NotFound("initial access token: there is none with this id")
        self._record("registration_token_revoked", token_id)

    def _check(
        self, name: str, uses: int, lifetime: timedelta, scopes: Sequence[str] | None
    ) -> None:
        refused = (
            ("name", f"1 to {LONGEST_NAME} printable characters", not _is_name(name)),
            ("uses", f"1 to {MOST_USES}", not 0 < uses <= MOST_USES),
            ("expires_in", "1 second to 400 days", not timedelta() < lifetime <= LONGEST),
            ("scopes", "more than registration.scopes", bool(self._beyond(scopes))),
        )
        problems = [Problem(member, right) for member, right, holds in refused if holds]
        if problems:
            raise InvalidMembers("; ".join(map(str, problems)), *problems)

    def _beyond(self, scopes: Sequence[str] | None) -> set[str]:
        return set(scopes or ()) - set(self.settings.scopes)

    def _record(self, event: EventType, token_id: UUID) -> None:
        self.audit.record(AuditEvent(event, detail={"invitation": str(token_id)}))


def _is_name(name: str) -> bool:
    return name.isprintable() and bool(name.strip()) and len(name) <= LONGEST_NAME


async def _one(source: Statements, query: Query, *values: Any) -> InitialToken:
    row = await source.fetch_row(query, *values)
    if row is None:
        raise NotFound("initial access token: there is none with this id")
    return InitialToken.from_row(row)


async def usable(source: Statements, value: str) -> InitialToken | None:
    """Return the token with this value, if it may be used now. Raises `Unavailable`."""
    digest = opaque.sha256(value.encode("utf-8", "surrogatepass"))
    row = await source.fetch_row(SQL["usable_token"], digest)
    return None if row is None else InitialToken.from_row(row)
