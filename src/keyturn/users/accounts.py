"""Accounts: made, looked up, closed, opened again, erased.

Whatever closes an account, or replaces its password, first makes sign-ins wait (`lock`), then
moves `valid_after`, then ends the logins and the sessions, in one transaction. A sign-in whose
proof is older than that moment starts none, whichever of the two came first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from keyturn.creations import creations
from keyturn.creations.once import Once
from keyturn.crypto import opaque
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import Query, load_queries
from keyturn.errors import AccountExists, InvalidToken, NotFound, SessionGone
from keyturn.logins.logins import end_logins_of_user, end_others
from keyturn.logins.model import Login
from keyturn.request_errors import PreconditionFailed
from keyturn.sessions.end import Ended, Ending, end_sessions_of_user
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.users.email import parse_email
from keyturn.users.model import NewUser, User, parse_name
from keyturn.users.passwords import Passwords
from keyturn.versions import Versions

SQL = load_queries(__package__, "users.sql")


@dataclass(frozen=True, slots=True)
class Closing:
    """What a change of an account does to its sessions."""

    reason: str
    """As `sessions.revoke_reason` and the metric name it."""
    keep: UUID | None = None
    seen: Versions = None
    source: str = ""
    """At whose wish, as the metric names it; empty: as the reason implies."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of this server."""

    database: Database
    passwords: Passwords
    ending: Ending
    audit: Audit

    async def add(self, new: NewUser) -> User:
        """Add an account.

        Raises `InvalidEmail`, `WeakPassword`, `InvalidRequest` (name), `AccountExists` (also for
        the id of a deleted account), `Unavailable`.
        """
        user = await _insert(self.database, await self._columns(new))
        self.audit.record(AuditEvent(type="user_added", user_id=user.id))
        return user

    async def add_once(self, new: NewUser, once: Once) -> tuple[User, bool]:
        """Add an account, or return the one this request made before, and whether it did.

        Raises what `add` does, `IdempotencyKeyReused`, and `NotFound` when that one was deleted.
        """
        columns = await self._columns(new)
        async with self.database.transaction() as tx:
            made = await creations.note(tx, once, str(columns[0]))
            user = None if made.again else await _insert(tx, columns)
        if user is None:
            return await self.get(UUID(made.resource)), True
        self.audit.record(AuditEvent(type="user_added", user_id=user.id))
        return user, False

    async def _columns(self, new: NewUser) -> tuple[Any, ...]:
        email, name = parse_email(new.email), parse_name(new.name)
        stored = None if new.password is None else await self.passwords.hash(new.password)
        user_id = new.id or opaque.random_uuid()
        return (user_id, email.text, email.key, name, new.email_verified, stored)

    async def get(self, user_id: UUID) -> User:
        """Return an account, disabled or not. Raises `NotFound`."""
        row = await self.database.fetch_row(SQL["by_id"], user_id)
        if row is None:
            raise NotFound("account: no such id")
        return User.from_row(row)

    async def active(self, user_id: UUID) -> User:
        """Return the account a bearer token names. Raises `InvalidToken` when it was closed."""
        row = await self.database.fetch_row(SQL["by_id"], user_id)
        user = None if row is None else User.from_row(row)
        if user is None or not user.is_active:
            raise InvalidToken("account: disabled or deleted")
        return user

    async def find_by_email(self, email: str) -> User | None:
        """Return the account of an e-mail address in any spelling. Raises `InvalidEmail`."""
        row = await self.database.fetch_row(SQL["by_email"], parse_email(email).key)
        return None if row is None else User.from_row(row)

    async def page_by_id(self, limit: int, after: UUID) -> list[User]:
        """Return up to `limit` accounts in order of their ids, beyond `after`."""
        return [
            User.from_row(row) for row in await self.database.fetch(SQL["page_by_id"], after, limit)
        ]

    async def page(self, limit: int, after: str | None = None) -> list[User]:
        """Return up to `limit` accounts in order of e-mail; `after` is the last one seen."""
        key = "" if after is None else parse_email(after).key
        return [User.from_row(row) for row in await self.database.fetch(SQL["page"], key, limit)]

    async def disable(self, user_id: UUID, seen: Versions = None) -> int:
        """Close an account; return how many sessions ended.

        Raises `NotFound`, `PreconditionFailed`.
        """
        ended = await self._close(Closing("admin", seen=seen), SQL["disable"], user_id)
        self.audit.record(AuditEvent(type="user_disabled", user_id=user_id))
        return ended

    async def enable(self, user_id: UUID) -> User:
        """Open an account again; its ended sessions stay ended. Raises `NotFound`."""
        row = await self.database.fetch_row(SQL["enable"], user_id)
        if row is None:
            raise NotFound("account: no such id")
        self.audit.record(AuditEvent(type="user_enabled", user_id=user_id))
        return User.from_row(row)

    async def set_password(self, user_id: UUID, password: str, seen: Versions = None) -> int:
        """Set a password for somebody; return how many sessions ended.

        Raises `WeakPassword`, `NotFound`, `PreconditionFailed`.
        """
        stored = await self.passwords.hash(password)
        closing = Closing("password_change", seen=seen, source="admin")
        ended = await self._close(closing, SQL["set_password"], user_id, stored)
        self.audit.record(
            AuditEvent(type="password_changed", user_id=user_id, detail={"by": "operator"})
        )
        return ended

    async def change_password(self, user_id: UUID, password: str, keep: UUID) -> int:
        """Set one's own password from the session `keep`; the others end, and are counted.

        Raises `WeakPassword`, `Throttled` (one at a time), and `SessionGone` when that session
        ended in the meantime: a thief who is being logged out must not keep the account.
        """
        stored = await self.passwords.hash_for(user_id, password)
        closing = Closing("password_change", keep)
        try:
            ended = await self._close(closing, SQL["change_password"], user_id, stored, keep)
        except NotFound as refusal:
            raise SessionGone(refusal.detail) from None
        self.audit.record(
            AuditEvent(
                type="password_changed", user_id=user_id, session_id=keep, detail={"by": "user"}
            )
        )
        return ended

    async def logout_everywhere(
        self, user_id: UUID, keep: UUID | None = None, source: str = ""
    ) -> int:
        """End every session but `keep`, and every sign-in under way; return how many ended.

        `source` says at whose wish, if not the person's own.
        A user who is gone has none: 0.
        """
        closing = Closing("logout_all", keep, source=source)
        try:
            ended = await self._close(closing, SQL["invalidate"], user_id)
        except NotFound:
            return 0
        self.audit.record(AuditEvent(type="logout_all", user_id=user_id, session_id=keep))
        return ended

    async def logout_elsewhere(self, login: Login) -> int:
        """End every other browser login and every session that is not of this one; count those.

        0 when this login has ended itself.

        The login goes on, so its proof must stay good: `valid_after` does not move. A sign-in
        that is under way elsewhere waits for this, and counts as one that came afterwards.
        """
        async with self.database.transaction() as tx:
            await tx.fetch_row(SQL["lock"], login.user_id, None)
            await tx.execute(SQL["void_approvals"], login.user_id)
            ended = await end_others(tx, login, "logout_all")
        if ended is None:
            return 0
        await self.ending.tell(ended, "logout_all", everything=True)
        self.audit.record(
            AuditEvent("logout_all", user_id=login.user_id, detail={"kept": "this browser"})
        )
        return len(ended)

    async def delete(self, user_id: UUID, seen: Versions = None) -> int:
        """Erase an account; its id stays taken. Return how many sessions ended.

        Raises `NotFound`, `PreconditionFailed`.
        """
        ended = await self._close(Closing("admin", seen=seen), SQL["erase"], user_id)
        self.audit.record(AuditEvent(type="user_deleted", user_id=user_id))
        return ended

    async def _close(self, closing: Closing, change: Query, user_id: UUID, *args: Any) -> int:
        async with self.database.transaction() as tx:
            # The time is taken by the second statement, when nobody reads the account any more:
            # taken while it waits for the lock, it would be older than a proof it must outdate.
            await hold(tx, user_id, closing.seen)
            if await tx.fetch_row(change, user_id, *args) is None:
                raise NotFound("account: closed meanwhile")
            ended = await end_everything(tx, user_id, closing)
        await self.ending.tell(ended, closing.reason, everything=True, source=closing.source)
        return len(ended)


async def hold(tx: Statements, user_id: UUID, seen: Versions) -> User:
    """Keep sign-ins and other changes of an account waiting until the end of the transaction.

    Raises `NotFound`, and `PreconditionFailed` when it is in none of the versions `seen`.
    """
    row = await tx.fetch_row(SQL["lock"], user_id, seen)
    if row is None:
        if seen is not None and await tx.fetch_row(SQL["by_id"], user_id):
            raise PreconditionFailed("account: in another version")
        raise NotFound("account: no such id")
    return User.from_row(row)


async def end_everything(tx: Statements, user_id: UUID, closing: Closing) -> list[Ended]:
    """End the logins, the devices' approvals and the sessions of an account that is closed."""
    await end_logins_of_user(tx, user_id, closing.reason)
    await tx.execute(SQL["void_approvals"], user_id)
    return await end_sessions_of_user(tx, user_id, closing.reason, closing.keep)


async def _insert(statements: Statements, columns: Sequence[Any]) -> User:
    row = await statements.fetch_row(SQL["add"], *columns)
    if row is None:
        raise AccountExists("account: the e-mail or the id is taken")
    return User.from_row(row)
