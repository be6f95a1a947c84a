"""A browser signs in, is recognised, proves itself again, and signs out.

The value of the cookie is new at every sign-in and at every new proof, and never taken from the
browser: a value that somebody planted there before is worth nothing afterwards (fixation).
Closing an account ends its logins after it has moved `valid_after`; a login starts while it holds
the account open. Whichever comes second sees the other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from keyturn.crypto import opaque
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries
from keyturn.errors import InvalidCredentials
from keyturn.logins.model import Login, LoginRequest, StartedLogin
from keyturn.sessions.end import (
    Ended,
    Ending,
    end_sessions_of_login,
    end_sessions_of_other_logins,
)
from keyturn.settings import LoginsSettings
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.callers import Actor, acts

SQL = load_queries(__package__, "logins.sql")

SLIDE_EVERY = timedelta(minutes=1)
"""The idle expiry moves at most so often: reading a page must not cost a commit each time."""

LONGEST_VALUE = 64
"""Characters of a cookie value that is worth looking for; ours have 43."""


@dataclass(frozen=True, slots=True)
class LoginLifetimes:
    """How long a browser stays signed in here."""

    absolute: timedelta
    remembered: timedelta
    idle: timedelta

    @classmethod
    def of(cls, settings: LoginsSettings) -> Self:
        """Read them from the settings."""
        return cls(
            absolute=timedelta(seconds=settings.lifetime),
            remembered=timedelta(seconds=settings.remembered_lifetime),
            idle=timedelta(seconds=settings.idle_lifetime),
        )

    def choose(self, *, remembered: bool) -> tuple[timedelta, timedelta]:
        """Return the absolute and the idle limit; who asked to be remembered may stay away."""
        if remembered:
            return self.remembered, self.remembered
        return self.absolute, min(self.idle, self.absolute)


@dataclass(frozen=True, slots=True)
class EndedLogin:
    """A login that has just ended, and the sessions that ended with it."""

    id: UUID
    user_id: UUID
    sessions: tuple[Ended, ...] = ()


@dataclass(frozen=True, slots=True)
class Logins:
    """The browsers signed in at this server."""

    database: Database
    ending: Ending
    audit: Audit
    lifetimes: LoginLifetimes

    async def start(self, request: LoginRequest) -> StartedLogin:
        """Sign a browser in; the login it had before, with its sessions, ends.

        Raises `InvalidCredentials` when the account was closed since the proof, `Unavailable`.
        """
        value = opaque.token_urlsafe()
        async with self.database.transaction() as tx:
            await _hold_account(tx, request.user_id, request.proof_time)
            login = await self._insert(tx, request, value)
            replaced = await _end(tx, request.replaces, "replaced")
        self.audit.record(AuditEvent("login_started", user_id=login.user_id, ip=request.ip))
        await self._tell(replaced, "replaced")
        return StartedLogin(login, value)

    async def find(self, value: str) -> Login | None:
        """Return the live login a cookie value names, and note that it is in use.

        None for a value that was never ours, was replaced, ended or expired, and for an account
        that is closed. Raises `Unavailable`.
        """
        if len(value) > LONGEST_VALUE:
            return None
        row = await self.database.fetch_row(SQL["find"], opaque.digest(value), SLIDE_EVERY)
        if row is not None and row["slides"]:
            row = await self.database.fetch_row(SQL["slide"], row["id"])
        if row is None:
            return None
        login = Login.from_row(row)
        acts(Actor.user(login.user_id))
        return login

    async def prove_again(
        self, login: Login, proof_time: datetime, amr: tuple[str, ...]
    ) -> StartedLogin:
        """Record that the person proved themselves again; the cookie gets another value.

        Raises `InvalidCredentials` when the account was closed since the proof or the login has
        ended meanwhile, `Unavailable`.
        """
        value = opaque.token_urlsafe()
        async with self.database.transaction() as tx:
            await _hold_account(tx, login.user_id, proof_time)
            row = await tx.fetch_row(
                SQL["prove_again"],
                login.id,
                login.user_id,
                opaque.digest(value),
                proof_time,
                list(amr),
            )
            if row is None:
                raise InvalidCredentials("login: ended while the password was checked")
        return StartedLogin(Login.from_row(row), value)

    async def end(self, login_id: UUID, reason: str) -> tuple[Ended, ...]:
        """End a login and its sessions without `offline_access`; return those.

        Again, it changes nothing and returns none. Raises `Unavailable`.
        """
        async with self.database.transaction() as tx:
            ended = await _end(tx, login_id, reason)
        await self._tell(ended, reason)
        return () if ended is None else ended.sessions

    async def _insert(self, tx: Statements, request: LoginRequest, value: str) -> Login:
        absolute, idle = self.lifetimes.choose(remembered=request.remembered)
        row = await tx.fetch_row(
            SQL["start"],
            opaque.random_uuid(),
            request.user_id,
            opaque.digest(value),
            request.proof_time,
            list(request.amr),
            request.remembered,
            idle,
            absolute,
            request.device,
            request.ip,
        )
        if row is None:
            raise RuntimeError("insert ... returning gave no row")
        return Login.from_row(row)

    async def _tell(self, ended: EndedLogin | None, reason: str) -> None:
        if ended is None:
            return
        self.audit.record(
            AuditEvent("login_ended", user_id=ended.user_id, detail={"reason": reason})
        )
        await self.ending.tell(ended.sessions, reason)


async def end_logins_of_user(
    tx: Statements, user_id: UUID, reason: str, keep: UUID | None = None
) -> list[EndedLogin]:
    """End every login of a user but `keep` inside the transaction that holds the account.

    Before its sessions, as `Logins.end` does: in another order two of them could wait for each
    other. Of all its sessions, the caller decides.
    """
    rows = await tx.fetch(SQL["end_all_of_user"], user_id, reason, keep)
    return [EndedLogin(row["id"], row["user_id"]) for row in rows]


async def end_others(tx: Statements, login: Login, reason: str) -> list[Ended] | None:
    """End every other login of this login's user, and every session that does not hang on it.

    Inside the transaction that holds the account. None, and nothing ends, when this login has
    ended meanwhile: whoever was just signed out must not sign out who did it.
    """
    if await tx.fetch_row(SQL["lock_live"], login.id, login.user_id) is None:
        return None
    await end_logins_of_user(tx, login.user_id, reason, login.id)
    return await end_sessions_of_other_logins(tx, login.user_id, login.id, reason)


async def purge_expired(database: Statements, limit: int) -> int:
    """Delete at most `limit` expired logins and return how many. Raises `Unavailable`."""
    return await database.execute(SQL["purge_expired"], limit)


async def _end(tx: Statements, login_id: UUID | None, reason: str) -> EndedLogin | None:
    row = None if login_id is None else await tx.fetch_row(SQL["end_one"], login_id, reason)
    if row is None:
        return None
    sessions = await end_sessions_of_login(tx, row["user_id"], row["id"], reason)
    return EndedLogin(row["id"], row["user_id"], tuple(sessions))


async def _hold_account(tx: Statements, user_id: UUID, proof_time: datetime) -> None:
    if await tx.fetch_row(SQL["lock_active_user"], user_id, proof_time) is None:
        raise InvalidCredentials("account: closed since the password was checked")
