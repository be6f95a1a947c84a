"""A session begins, in a transaction that holds the account open while it does.

Closing an account (disable, delete, new password, log-out-everywhere) updates the user first;
starting a session locks the user for share and compares `valid_after` with the time of the
proof. Whichever comes second sees the other: no session slips in between.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from keyturn.clients.model import Client
from keyturn.clock import Clock
from keyturn.crypto import opaque
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries
from keyturn.errors import InvalidCredentials
from keyturn.sessions.end import Ended, Ending, end_sessions
from keyturn.sessions.lifetimes import Lifetimes
from keyturn.sessions.model import Session, Started
from keyturn.sessions.refresh_token import SECRET_SIZE, RefreshToken, RefreshTokenCodec

SQL = load_queries(__package__, "sessions.sql")


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """Who signs in where, how they proved it, and for how long."""

    user_id: UUID
    client: Client
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    lifetimes: Lifetimes
    proof_time: datetime
    """The database's time when the password was about to be checked; becomes `auth_time`."""
    amr: tuple[str, ...] = ("pwd",)
    claims: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    ip: str | None = None
    replaces: UUID | None = None
    """A live session of the same browser that ends with this sign-in."""


@dataclass(frozen=True, slots=True)
class Starter:
    """Begins sessions."""

    database: Database
    codec: RefreshTokenCodec
    ending: Ending
    clock: Clock
    max_per_user: int

    async def start(self, request: SessionRequest) -> Started:
        """Insert the session and return its first token.

        Raises `InvalidCredentials` when the account was closed since the proof, `Unavailable`.
        """
        token = self._first_token(request.lifetimes)
        async with self.database.transaction() as tx:
            open_account = await tx.fetch_row(
                SQL["lock_active_user"], request.user_id, request.proof_time
            )
            if open_account is None:
                raise InvalidCredentials("account: closed since the password was checked")
            session = await self._insert(tx, request, token)
            replaced = await self._end_replaced(tx, request)
            overflow = await end_sessions(
                tx, SQL["end_overflow"], request.user_id, self.max_per_user
            )
        await self.ending.tell(replaced, "replaced")
        await self.ending.tell(overflow, "overflow")
        return Started(session, self.codec.encode(token, request.client.id))

    def _first_token(self, lifetimes: Lifetimes) -> RefreshToken:
        return RefreshToken(
            key_id=self.codec.secrets.current_id,
            session_id=opaque.session_id(self.clock.now() + lifetimes.absolute),
            generation=0,
            secret=opaque.token_bytes(SECRET_SIZE),
        )

    async def _insert(
        self, tx: Statements, request: SessionRequest, token: RefreshToken
    ) -> Session:
        row = await tx.fetch_row(
            SQL["start"],
            token.session_id,
            request.user_id,
            request.client.id,
            sorted(request.scopes),
            list(request.audiences),
            dict(request.claims) or None,
            token.hash,
            self.codec.child(token).hash,
            request.lifetimes.idle,
            request.lifetimes.absolute,
            request.lifetimes.remembered,
            request.proof_time,
            list(request.amr),
            request.device,
            request.ip,
        )
        if row is None:
            raise RuntimeError("insert ... returning gave no row")
        return Session.from_row(row)

    async def _end_replaced(self, tx: Statements, request: SessionRequest) -> list[Ended]:
        if request.replaces is None:
            return []
        return await end_sessions(tx, SQL["end_one"], request.replaces, "replaced")
