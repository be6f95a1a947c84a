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
from keyturn.sessions.step_up import StepUps
from keyturn.telemetry.audit import AuditEvent

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
    login_id: UUID | None = None
    """The browser login it hangs on, if any."""
    offline: bool = False
    """It was granted `offline_access`: it outlives that login."""
    proven: bool = False
    """The person proved themselves for this very session: a step-up, if they had one already."""
    dpop_jkt: str | None = None
    """The key every refresh must prove (RFC 9449 section 5); None: none."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A session inserted in a transaction that has not committed, and what ended for it."""

    started: Started
    replaced: list[Ended]
    overflow: list[Ended]


@dataclass(frozen=True, slots=True)
class Starter:
    """Begins sessions."""

    database: Database
    codec: RefreshTokenCodec
    ending: Ending
    clock: Clock
    step_ups: StepUps
    max_per_user: int

    async def start(self, request: SessionRequest) -> Started:
        """Insert the session and return its first token.

        Raises `InvalidCredentials` when the account was closed since the proof or the login
        ended, `Unavailable`.
        """
        async with self.database.transaction() as tx:
            begun = await self.start_in(tx, request)
        await self.tell(begun)
        return begun.started

    async def start_in(self, tx: Statements, request: SessionRequest) -> Begun:
        """Insert the session in the caller's transaction; after its commit, `tell`.

        Raises as `start` does.
        """
        token = self._first_token(request.lifetimes)
        await self._hold_open(tx, request)
        session = await self._insert(tx, request, token)
        if request.proven:
            await self.step_ups.note(tx, session.id, request.client)
        return Begun(
            started=Started(session, self.codec.encode(token, request.client.id)),
            replaced=await self._end_replaced(tx, request),
            overflow=await end_sessions(
                tx, SQL["end_overflow"], request.user_id, self.max_per_user
            ),
        )

    async def tell(self, begun: Begun) -> None:
        """After the commit: tell everybody of the session, and what ended for it to begin."""
        session = begun.started.session
        self.ending.audit.record(
            AuditEvent(
                "session_started",
                user_id=session.user_id,
                client_id=session.client_id,
                session_id=session.id,
                detail={"scope": " ".join(sorted(session.scopes))},
            )
        )
        await self.ending.tell(begun.replaced, "replaced")
        await self.ending.tell(begun.overflow, "overflow")

    async def _hold_open(self, tx: Statements, request: SessionRequest) -> None:
        """First the account, then the login: the order in which closing an account ends them."""
        account = await tx.fetch_row(SQL["lock_active_user"], request.user_id, request.proof_time)
        if account is None:
            raise InvalidCredentials("account: closed since the password was checked")
        if request.login_id is None:
            return
        if await tx.fetch_row(SQL["lock_live_login"], request.login_id, request.user_id) is None:
            raise InvalidCredentials("login: ended since the code was issued")

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
            request.login_id,
            request.offline,
            request.dpop_jkt,
        )
        if row is None:
            raise RuntimeError("insert ... returning gave no row")
        return Session.from_row(row)

    async def _end_replaced(self, tx: Statements, request: SessionRequest) -> list[Ended]:
        if request.replaces is None:
            return []
        return await end_sessions(tx, SQL["end_one"], request.replaces, "replaced")
