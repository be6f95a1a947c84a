"""Rotation, the heart: a refresh token in, its child (or itself) out, and never two lineages.

One UPDATE decides the race; everything else is what to say when it found no row. No live
sign-in is lost to a duplicate, a late or lost answer, or a lost commit; a stolen token that is
used outside the grace ends the session at that use. Trouble with the database is `Unavailable`
at any point: the caller keeps its token and tries again.
"""

from dataclasses import dataclass
from datetime import timedelta

from keyturn.clients.model import Client
from keyturn.clock import Clock
from keyturn.crypto.opaque import session_id_floor
from keyturn.db.persistence import persist
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries
from keyturn.errors import (
    InvalidDpopProof,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    Refusal,
    Unavailable,
)
from keyturn.logouts import queue
from keyturn.revocation import record
from keyturn.revocation.revocations import Revocations
from keyturn.sessions.decision import Case, Presented, StoredSession, decide
from keyturn.sessions.model import Outcome, Refreshed, Session
from keyturn.sessions.refresh_token import RefreshToken, RefreshTokenCodec
from keyturn.sessions.step_up import StepUps
from keyturn.sessions.unproven import Unproven
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.metrics import Metrics

SQL = load_queries(__package__, "sessions.sql")

ATTEMPTS = 3
"""A race lost by a moment is decided again from a new read, twice at most."""


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """What an authenticated client asks of a refresh token."""

    client: Client
    token: str
    scopes: frozenset[str] | None = None
    """Narrowing of the access token only; None: all that was granted (RFC 6749 section 6)."""
    audiences: tuple[str, ...] | None = None
    """Resources the access token is for (RFC 8707); None: the session's."""
    dpop_jkt: str | None = None
    """Thumbprint of the key a valid DPoP proof was made with."""


class _LostRace(Exception):
    """The row changed since it was read; decide again."""


class _Refused(Exception):
    """The decision says no: how it counts, and what the caller hears."""

    def __init__(self, outcome: Outcome, refusal: Refusal) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Rotation:
    """Refreshes sessions; `rotations` are the connections whose commits may be weaker."""

    database: Database
    rotations: Database
    codec: RefreshTokenCodec
    revocations: Revocations
    step_ups: StepUps
    unproven: Unproven
    audit: Audit
    metrics: Metrics
    clock: Clock
    issuer: str
    default_grace: timedelta

    async def refresh(self, request: RefreshRequest) -> Refreshed:
        """Answer one refresh; the caller signs the access token last.

        Raises `InvalidGrant`, `InvalidScope`, `InvalidTarget`, `InvalidDpopProof`, `Unavailable`.
        """
        try:
            presented = self._present(request.client, request.token, request.dpop_jkt)
            refreshed = await self._persist(request, presented)
        except _Refused as refused:
            self.metrics.refreshes(refused.outcome)
            raise refused.refusal from None
        self.metrics.refreshes(refreshed.outcome)
        return refreshed

    async def recognise(self, client: Client, text: str, dpop_jkt: str | None = None) -> Session:
        """Return the live session a credential belongs to; nothing is rotated or written.

        A refresh token is accepted here when a refresh would accept it; a superseded one ends
        its session. Raises as `refresh` does.
        """
        try:
            presented = self._present(client, text, dpop_jkt)
            for _ in range(ATTEMPTS):
                try:
                    stored, _case = await self._judge(presented)
                except _LostRace:
                    continue
                return stored.session
        except _Refused as refused:
            raise refused.refusal from None
        raise Unavailable("credential: the session would not hold still")

    async def _persist(self, request: RefreshRequest, presented: Presented) -> Refreshed:
        # Again, as the client would. Without a grace, and after it, that may be theft: it decides.
        within = min(presented.grace.total_seconds() / 2, self.rotations.settings.statement_timeout)
        return await persist(lambda: self._refresh(request, presented), within)

    async def _refresh(self, request: RefreshRequest, presented: Presented) -> Refreshed:
        for _ in range(ATTEMPTS):
            refreshed = await self._advance(self.rotations, request, presented)
            if refreshed is not None:
                return refreshed
            try:
                return await self._decide(request, presented)
            except _LostRace:
                continue
        raise Unavailable("refresh: the session would not hold still")

    def _present(self, client: Client, text: str, dpop_jkt: str | None) -> Presented:
        """What is decided before the database: shape, secret, tag, expiry by the id."""
        try:
            token = self.codec.decode(text, client.id)
        except InvalidGrant as refusal:
            raise _Refused(Outcome.UNKNOWN, refusal) from None
        if token.session_id < session_id_floor(self.clock.now()):
            raise _Refused(Outcome.EXPIRED, InvalidGrant("session: expired by its id"))
        return Presented(token, dpop_jkt, self._grace(client))

    def _grace(self, client: Client) -> timedelta:
        return self.default_grace if client.grace is None else client.grace

    async def _advance(
        self, statements: Statements, request: RefreshRequest, presented: Presented
    ) -> Refreshed | None:
        """The happy path: one statement, one round trip."""
        client, token = request.client, presented.token
        if not self._client_may_have(request):
            return None
        named = (
            token.session_id,
            token.hash,
            list(request.scopes or ()),
            list(request.audiences or ()),
            self._addressable(client),
            presented.dpop_jkt,
        )
        if not client.rotation:
            row = await statements.fetch_row(SQL["keep"], *named)
            if row is None:
                return None
            return self._answer(request, Session.from_row(row), token, Outcome.KEPT)
        child = self.codec.child(token)
        row = await statements.fetch_row(
            SQL["rotate"], *named, presented.grace, child.hash, self.codec.child(child).hash
        )
        if row is None:
            return None
        return self._answer(request, Session.from_row(row), child, Outcome.ROTATED)

    async def _decide(self, request: RefreshRequest, presented: Presented) -> Refreshed:
        """The happy path found no row: say why, or answer without moving anything."""
        stored, case = await self._judge(presented)
        self._check_granted(request, stored.session)
        token = presented.token
        if case is Case.CURRENT and stored.step_up:
            return await self._step_up(request, presented)
        if case is Case.CURRENT:
            raise _LostRace
        if case is Case.AHEAD:
            return self._answer(request, await self._heal(stored, token), token, Outcome.HEALED)
        if case is Case.PARENT:
            child = self.codec.child(token)
            return self._answer(request, stored.session, child, Outcome.REPLAYED)
        return self._answer(request, stored.session, token, Outcome.COALESCED)

    async def _step_up(self, request: RefreshRequest, presented: Presented) -> Refreshed:
        """The first refresh after a step-up: the older sessions end with it, or neither does."""
        async with self.database.transaction() as tx:
            ended = await self.step_ups.settle(tx, presented.token.session_id)
            refreshed = await self._advance(tx, request, presented)
            if refreshed is None:
                raise _LostRace
        await self.step_ups.tell(ended)
        return refreshed

    async def _judge(self, presented: Presented) -> tuple[StoredSession, Case]:
        """Read the row and decide; a token whose time is over ends its session here."""
        stored = await self._read(presented.token)
        case = decide(stored, presented, self.codec)
        if stored is None or case in _OVER:
            raise _Refused(_OVER[case], InvalidGrant(f"session: {_OVER[case]}"))
        if case is Case.NOT_PROVEN:
            await self.unproven.tell(stored.session)
            raise _Refused(Outcome.REFUSED, InvalidDpopProof("session: bound to another key"))
        if case is Case.SUPERSEDED:
            await self._end_for_reuse(stored)
            raise _Refused(Outcome.REUSE, InvalidGrant("session: superseded token used"))
        return stored, case

    async def _read(self, token: RefreshToken) -> StoredSession | None:
        row = await self.database.fetch_row(SQL["read"], token.session_id)
        return None if row is None else StoredSession.from_row(row)

    async def _heal(self, stored: StoredSession, token: RefreshToken) -> Session:
        row = await self.database.fetch_row(
            SQL["heal"],
            stored.session.id,
            stored.generation,
            token.hash,
            self.codec.child(token).hash,
        )
        if row is None:
            raise _LostRace
        return Session.from_row(row)

    async def _end_for_reuse(self, stored: StoredSession) -> None:
        """End the session of a stolen token, unless it moved on since the read."""
        session = stored.session
        async with self.database.transaction() as tx:
            ended = await tx.fetch_row(
                SQL["end_for_reuse"], session.id, stored.generation, stored.token_hash
            )
            if ended is None:
                raise _LostRace
            await record.write(tx, "sid", [str(session.id)])
            await queue.write(tx, [str(session.id)])
        self.metrics.sessions_revoked("reuse")
        self.metrics.revocations("session", "system")
        self.audit.record(
            AuditEvent(
                type="refresh_reuse",
                user_id=session.user_id,
                client_id=session.client_id,
                session_id=session.id,
            )
        )
        await self.revocations.announce("sid", [str(session.id)])

    def _addressable(self, client: Client) -> list[str]:
        """The resources this client may have tokens for now; our own endpoints always."""
        return [*client.audiences, self.issuer]

    def _client_may_have(self, request: RefreshRequest) -> bool:
        """Whether the client may still have what it names; what was granted, the row says."""
        scopes, audiences = request.scopes or frozenset(), request.audiences or ()
        may_address = set(audiences) <= set(self._addressable(request.client))
        return scopes <= request.client.scopes and may_address

    def _check_granted(self, request: RefreshRequest, session: Session) -> None:
        scopes, audiences = request.scopes or frozenset(), request.audiences or session.audiences
        if not scopes <= session.scopes & request.client.scopes:
            raise _Refused(Outcome.REFUSED, InvalidScope("scope: more than was granted"))
        left = set(session.audiences) & set(self._addressable(request.client))
        if not left or (request.audiences and not set(audiences) <= left):
            raise _Refused(Outcome.REFUSED, InvalidTarget("resource: not granted"))

    def still_granted(
        self, client: Client, session: Session
    ) -> tuple[frozenset[str], tuple[str, ...]]:
        """Return the scopes and audiences of a session that its client may have now."""
        addressable = self._addressable(client)
        left = tuple(audience for audience in session.audiences if audience in addressable)
        return session.scopes & client.scopes, left

    def _answer(
        self, request: RefreshRequest, session: Session, token: RefreshToken, outcome: Outcome
    ) -> Refreshed:
        text = self.codec.encode(token, request.client.id)
        scopes, audiences = self.still_granted(request.client, session)
        return Refreshed(
            session=session,
            refresh_token=text,
            outcome=outcome,
            unchanged=text == request.token,
            scopes=request.scopes & scopes if request.scopes else scopes,
            audiences=request.audiences or audiences,
        )


_OVER = {
    Case.MISSING: Outcome.UNKNOWN,
    Case.REVOKED: Outcome.REVOKED,
    Case.EXPIRED: Outcome.EXPIRED,
    Case.FOREIGN: Outcome.ALARM,
}
