"""Sessions end: by their holder, by their user, by an operator; with their revocations.

The revocation, and what the client is to hear, are written in the transaction that ends the
session; the caller announces the ended ids to the cache after the commit. Ending takes any genuine
generation of a refresh token and never raises a verdict of reuse: a person who logs out with an
old token means it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from keyturn.clients.model import Client
from keyturn.crypto.opaque import session_id_floor
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import Query, load_queries
from keyturn.errors import InvalidDpopProof, InvalidGrant, Unavailable
from keyturn.logouts import queue
from keyturn.revocation import record
from keyturn.revocation.revocations import Revocations
from keyturn.sessions.decision import StoredSession, is_genuine
from keyturn.sessions.model import Session
from keyturn.sessions.refresh_token import RefreshToken, RefreshTokenCodec
from keyturn.telemetry.audit import Audit, AuditEvent, Detail
from keyturn.telemetry.callers import Actor, acts_unless_known
from keyturn.telemetry.metrics import Metrics

SQL = load_queries(__package__, "sessions.sql")

SCANNED = 5000
"""Rows one statement of a sweep looks at."""

FIRST: UUID | None = UUID(int=0)
"""Where a sweep begins."""

PAUSES = (0.1, 0.5, 2.0)
"""Seconds before a part of a sweep is tried again: somebody held its rows, or two waited for
each other."""


SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "reuse": "system",
        "code_reuse": "system",
        "replaced": "system",
        "overflow": "system",
        "step_up": "system",
        "logout": "user",
        "logout_all": "user",
        "password_change": "user",
        "browser_logout": "user",
        "consent_withdrawn": "user",
        "admin": "admin",
        "client_deleted": "api",
    }
)
"""At whose wish a session ends for which reason, unless the caller knows better."""


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
        """End the session `text` is any generation of; return it, also when it was over before.

        None when it is nobody's. A session bound to a key is no exception: whoever gives a token
        up, be it one they found, does good. Raises `Unavailable`.
        """
        found = await self._named_by(client, text)
        return None if found is None else await self._end_genuine(*found, reason, "api")

    async def by_credential(self, client: Client, text: str, dpop_jkt: str | None) -> None:
        """Log out: the same, but a session bound to a key is ended by a proof of that key alone.

        Raises `InvalidDpopProof`, `Unavailable`.
        """
        found = await self._named_by(client, text)
        if found is None:
            return
        stored, _ = found
        if not _is_over(stored) and stored.session.dpop_jkt not in {None, dpop_jkt}:
            raise InvalidDpopProof("session: bound to another key")
        await self._end_genuine(*found, "logout", "user")

    async def _named_by(
        self, client: Client, text: str
    ) -> tuple[StoredSession, RefreshToken] | None:
        try:
            token = self.codec.decode(text, client.id)
        except InvalidGrant:
            return None
        if token.session_id < session_id_floor(self.revocations.clock.now()):
            return None
        row = await self.database.fetch_row(SQL["read"], token.session_id)
        return None if row is None else (StoredSession.from_row(row), token)

    async def _end_genuine(
        self, stored: StoredSession, token: RefreshToken, reason: str, source: str
    ) -> Session | None:
        if _is_over(stored):
            # Following an old token through its generations costs a core 50 ms: not for what is
            # over, where the same token could be sent again and again.
            return stored.session
        if not is_genuine(stored, token, self.codec):
            return None
        acts_unless_known(Actor.user(stored.session.user_id))
        await self._end(SQL["end_one"], stored.session.id, reason, reason=reason, source=source)
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
        query = SQL["end_all_of_user"]
        return len(await self._end(query, user_id, reason, None, reason=reason, everything=True))

    async def all_of_client(self, client_id: str, reason: str = "admin") -> int:
        """End every session at one client, in parts; return how many."""
        return await self._sweep(SQL["end_some_of_client"], client_id, reason)

    async def all_before(self, moment: datetime, reason: str = "admin") -> int:
        """End every session that started before `moment`: after a restore or a failover."""
        return await self._sweep(SQL["end_some_before"], moment, reason)

    async def tell(
        self, ended: Sequence[Ended], reason: str, *, everything: bool = False, source: str = ""
    ) -> None:
        """After the commit: count, audit and announce what ended.

        `everything` a person had is one revocation. `source` says at whose wish, where the reason
        does not.
        """
        self._count(reason, len(ended), source or SOURCES[reason], everything=everything)
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

    async def _end(
        self, query: Query, *args: Any, reason: str, everything: bool = False, source: str = ""
    ) -> list[Ended]:
        async with self.database.transaction() as tx:
            ended = await end_sessions(tx, query, *args)
        await self.tell(ended, reason, everything=everything, source=source)
        return ended

    def _count(self, reason: str, ended: int, source: str, *, everything: bool = False) -> None:
        self.metrics.sessions_revoked(reason, ended)
        if everything:
            self.metrics.revocations("user", source)
        else:
            self.metrics.revocations("session", source, ended)

    async def _sweep(self, query: Query, criterion: Any, reason: str) -> int:
        """Walk the whole table in the order of its key: no statement is long, none is repeated.

        Audited however it ends: what a sweep ended before it failed stays ended.
        """
        total, last = 0, FIRST
        try:
            while last is not None:
                ended, last = await self._end_part(query, last, criterion, reason)
                total += len(ended)
                self._count(reason, len(ended), SOURCES[reason])
                await self.revocations.announce("sid", ended)
        finally:
            detail: Detail = {"reason": reason, "criterion": str(criterion), "ended": total}
            result: Literal["ok", "failed"] = "ok" if last is None else "failed"
            self.audit.record(AuditEvent(type="session_ended", result=result, detail=detail))
        return total

    async def _end_part(
        self, query: Query, after: UUID, criterion: Any, reason: str
    ) -> tuple[list[str], UUID | None]:
        """End what is meant among the next rows and return it, and where to go on."""
        for pause in PAUSES:
            try:
                return await self._end_next(query, after, criterion, reason)
            except Unavailable:
                await asyncio.sleep(pause)
        return await self._end_next(query, after, criterion, reason)

    async def _end_next(
        self, query: Query, after: UUID, criterion: Any, reason: str
    ) -> tuple[list[str], UUID | None]:
        async with self.database.transaction() as tx:
            row = await tx.fetch_row(query, after, SCANNED, reason, criterion)
            ended = [] if row is None else [str(one) for one in row["ended"]]
            await record.write(tx, "sid", ended)
            await queue.write(tx, ended)
        return ended, None if row is None else row["last"]


async def end_sessions_of_user(
    tx: Statements, user_id: UUID, reason: str, keep: UUID | None = None
) -> list[Ended]:
    """End a user's live sessions but `keep`, inside the transaction that closed the account."""
    return await end_sessions(tx, SQL["end_all_of_user"], user_id, reason, keep)


async def end_sessions_of_login(
    tx: Statements, user_id: UUID, login_id: UUID, reason: str
) -> list[Ended]:
    """End the live sessions a browser login gave, but those with `offline_access`."""
    return await end_sessions(tx, SQL["end_all_of_login"], user_id, login_id, reason)


async def end_sessions_of_other_logins(
    tx: Statements, user_id: UUID, login_id: UUID, reason: str
) -> list[Ended]:
    """End a user's live sessions but those that a browser login gave."""
    return await end_sessions(tx, SQL["end_all_of_other_logins"], user_id, login_id, reason)


async def end_sessions_at_client(
    tx: Statements, user_id: UUID, client_id: str, reason: str
) -> list[Ended]:
    """End a user's live sessions at one client."""
    return await end_sessions(tx, SQL["end_all_at_client"], user_id, client_id, reason)


async def end_session(tx: Statements, session_id: UUID, reason: str) -> list[Ended]:
    """End one session, whoever holds it, inside the caller's transaction."""
    return await end_sessions(tx, SQL["end_one"], session_id, reason)


async def end_sessions(tx: Statements, query: Query, *args: Any) -> list[Ended]:
    """Run an UPDATE that ends sessions, and write who is to hear of it, in one transaction.

    After its commit the caller tells: `Ending.tell`.
    """
    ended = [
        Ended(row["id"], row["user_id"], row["client_id"]) for row in await tx.fetch(query, *args)
    ]
    ids = [str(one.id) for one in ended]
    await record.write(tx, "sid", ids)
    await queue.write(tx, ids)
    return ended


def _is_over(stored: StoredSession) -> bool:
    return stored.revoked or stored.session.expires_at <= stored.session.decided_at
