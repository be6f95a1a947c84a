"""Sessions end: by their holder, by their user, by an operator; with their revocations.

The revocation is written in the transaction that ends the session; the caller announces the
ended ids to the cache after the commit. Ending takes any genuine generation of a refresh token
and never raises a verdict of reuse: a person who logs out with an old token means it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from keyturn.clients.model import Client
from keyturn.db.pool import Database, Row, Statements
from keyturn.db.queries import Query, load_queries
from keyturn.errors import InvalidGrant
from keyturn.revocation import record
from keyturn.revocation.revocations import Revocations
from keyturn.sessions.decision import StoredSession, is_genuine
from keyturn.sessions.model import Session
from keyturn.sessions.refresh_token import RefreshTokenCodec
from keyturn.telemetry.audit import Audit, AuditEvent, Detail
from keyturn.telemetry.metrics import Metrics

SQL = load_queries(__package__, "sessions.sql")

SCANNED = 5000
"""Rows one statement of a sweep looks at."""

FIRST: UUID | None = UUID(int=0)
"""Where a sweep begins."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that has just ended."""

    id: UUID
    user_id: UUID
    client_id: str


@dataclass(frozen=True, slots=True)
class Ending:
    """Ends sessions and tells everybody."""

    database: Database
    codec: RefreshTokenCodec
    revocations: Revocations
    audit: Audit
    metrics: Metrics

    async def by_refresh_token(
        self, client: Client, text: str, reason: str = "logout"
    ) -> Session | None:
        """End the session `text` is any generation of; None when it is nobody's."""
        try:
            token = self.codec.decode(text, client.id)
        except InvalidGrant:
            return None
        row = await self.database.fetch_row(SQL["read"], token.session_id)
        stored = None if row is None else StoredSession.from_row(row)
        if stored is None or not is_genuine(stored, token, self.codec):
            return None
        await self._end(SQL["end_one"], stored.session.id, reason, reason=reason)
        return stored.session

    async def one_of_user(self, session_id: UUID, user_id: UUID, reason: str = "logout") -> bool:
        """End one session of this user; False when there is no such live session of theirs."""
        ended = await self._end(SQL["end_one_of_user"], session_id, user_id, reason, reason=reason)
        return bool(ended)

    async def one(self, session_id: UUID, reason: str = "admin") -> int:
        """End one session, whoever holds it (`keyturn sessions revoke --session`)."""
        return len(await self._end(SQL["end_one"], session_id, reason, reason=reason))

    async def all_of_user(self, user_id: UUID, reason: str = "admin") -> int:
        """End every session of a user (`keyturn sessions revoke --user`)."""
        return len(await self._end(SQL["end_all_of_user"], user_id, reason, None, reason=reason))

    async def all_of_client(self, client_id: str, reason: str = "admin") -> int:
        """End every session at one client, in parts; return how many."""
        return await self._sweep(SQL["end_some_of_client"], client_id, reason)

    async def all_before(self, moment: datetime, reason: str = "admin") -> int:
        """End every session that started before `moment`: after a restore or a failover."""
        return await self._sweep(SQL["end_some_before"], moment, reason)

    async def tell(self, ended: Sequence[Ended], reason: str) -> None:
        """After the commit: count, audit and announce what ended."""
        self.metrics.sessions_revoked(reason, len(ended))
        for one in ended:
            self.audit.record(
                AuditEvent(
                    type="session_ended",
                    user_id=one.user_id,
                    client_id=one.client_id,
                    session_id=one.id,
                    detail={"reason": reason},
                )
            )
        await self.revocations.announce("sid", [str(one.id) for one in ended])

    async def _end(self, query: Query, *args: Any, reason: str) -> list[Ended]:
        async with self.database.transaction() as tx:
            ended = await _ended(tx, await tx.fetch(query, *args))
        await self.tell(ended, reason)
        return ended

    async def _sweep(self, query: Query, criterion: Any, reason: str) -> int:
        """Walk the whole table in the order of its key: no statement is long, none is repeated."""
        total, last = 0, FIRST
        while last is not None:
            async with self.database.transaction() as tx:
                row = await tx.fetch_row(query, last, SCANNED, reason, criterion)
                ended = [] if row is None else [str(one) for one in row["ended"]]
                await record.write(tx, "sid", ended)
            last = None if row is None else row["last"]
            total += len(ended)
            self.metrics.sessions_revoked(reason, len(ended))
            await self.revocations.announce("sid", ended)
        detail: Detail = {"reason": reason, "criterion": str(criterion), "ended": total}
        self.audit.record(AuditEvent(type="session_ended", detail=detail))
        return total


async def end_sessions_of_user(
    tx: Statements, user_id: UUID, reason: str, keep: UUID | None = None
) -> list[Ended]:
    """End a user's live sessions but `keep`, inside the transaction that closed the account."""
    return await _ended(tx, await tx.fetch(SQL["end_all_of_user"], user_id, reason, keep))


async def _ended(tx: Statements, rows: Sequence[Row]) -> list[Ended]:
    """Write the revocations of what an UPDATE has just ended."""
    ended = [Ended(row["id"], row["user_id"], row["client_id"]) for row in rows]
    await record.write(tx, "sid", [str(one.id) for one in ended])
    return ended
