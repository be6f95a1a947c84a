"""E-mail and password against an account (OWASP ASVS 6.3): one refusal for every reason.

The order is the point. Where no password can be checked now, nothing is asked: a flood is shed for
next to nothing. Else the attempt is counted first. Then the account is read, with the
database's time: a session starts only if nothing closed the account after that moment. Then a
hash is computed, for an unknown or a disabled account too, so that the clock tells nothing.
Last, the account is held still for an instant to see that what was checked still holds: a
password that was being changed meanwhile must not start a session.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from keyturn.db.pool import Database, Row
from keyturn.db.queries import load_queries
from keyturn.errors import InvalidCredentials, InvalidEmail, Throttled, Unavailable
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.callers import Actor, acts
from keyturn.telemetry.event_types import EventType
from keyturn.telemetry.metrics import Metrics
from keyturn.users import password_text
from keyturn.users.email import parse_email
from keyturn.users.model import Authenticated, Credential
from keyturn.users.passwords import Passwords
from keyturn.users.throttle import Throttle

SQL = load_queries(__package__, "users.sql")

log = structlog.get_logger("keyturn.users")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to prove who one is, as the audit trail tells it."""

    address: str
    passed: EventType
    failed: EventType
    again: bool = False
    """The person was signed in and was asked for another proof."""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Checks passwords of people who sign in, or prove themselves again."""

    database: Database
    passwords: Passwords
    throttle: Throttle
    metrics: Metrics
    audit: Audit

    async def authenticate(
        self, email: str, password: str, address: str, *, again: bool = False
    ) -> Authenticated:
        """Return the person this e-mail and password belong to.

        `address` is the caller's IP; `again`: somebody is signed in there. Raises `WeakPassword`
        for what no password can be, `InvalidCredentials` (unknown, wrong, disabled, deleted: all
        the same), `Throttled`, `Unavailable`.
        """
        attempt = Attempt(address, passed="sign_in", failed="sign_in_failed", again=again)
        password_text.presented(password)
        key = _key_of(email)
        with self._counted(attempt):
            self.passwords.pool.check_room()
            async with self.throttle.guess(key or email, address):
                row = await self._read(key)
                credential = None if row is None else Credential.from_row(row)
                person = await self._check(credential, password, attempt)
        return person

    async def reauthenticate(self, user_id: UUID, password: str, address: str) -> Authenticated:
        """Return the signed-in person, who has proved once more that it is them.

        Counted against the same account budget as a sign-in. Raises as `authenticate` does.
        """
        attempt = Attempt(address, "reauthenticated", "reauthentication_failed", again=True)
        password_text.presented(password)
        with self._counted(attempt):
            self.passwords.pool.check_room()
            row = await self.database.fetch_row(SQL["credential_by_id"], user_id)
            credential = None if row is None else Credential.from_row(row)
            account = str(user_id) if credential is None else credential.email_key
            async with self.throttle.guess(account, address):
                return await self._check(credential, password, attempt)

    async def _read(self, key: str | None) -> Row | None:
        return await self.database.fetch_row(SQL["credential_by_email"], key or "")

    async def _check(
        self, credential: Credential | None, password: str, attempt: Attempt
    ) -> Authenticated:
        stored = _usable_hash(credential)
        verified = await self.passwords.verify(stored, password)
        if credential is None or stored is None or not verified.ok:
            raise self._refusal(credential, attempt, _reason(credential))
        if await self._changed_meanwhile(credential):
            raise self._refusal(credential, attempt, "changed meanwhile")
        if verified.rehash_needed:
            await self._rehash(credential, password)
        acts(Actor.user(credential.user.id))
        self.audit.record(
            AuditEvent(type=attempt.passed, user_id=credential.user.id, ip=attempt.address)
        )
        return Authenticated(credential.user, credential.proof_time)

    async def _changed_meanwhile(self, credential: Credential) -> bool:
        """Wait for a change under way; whoever changes the account later sees our proof's time."""
        row = await self.database.fetch_row(
            SQL["confirm"], credential.user.id, credential.password_hash, credential.valid_after
        )
        return row is None

    async def _rehash(self, credential: Credential, password: str) -> None:
        try:
            better = await self.passwords.rehash(password)
            await self.database.execute(
                SQL["rehash"], credential.user.id, credential.password_hash, better
            )
        except Unavailable as trouble:
            # The person has proved who they are; the better hash can wait for the next time.
            log.warning("rehash_postponed", reason=trouble.detail)

    def _refusal(
        self, credential: Credential | None, attempt: Attempt, reason: str
    ) -> InvalidCredentials:
        user_id = None if credential is None else credential.user.id
        self.audit.record(
            AuditEvent(type=attempt.failed, user_id=user_id, ip=attempt.address, result="failed")
        )
        return InvalidCredentials(f"account: {reason}")

    @contextmanager
    def _counted(self, attempt: Attempt) -> Iterator[None]:
        try:
            yield
        except InvalidCredentials:
            self._count(attempt, "bad_credentials")
            raise
        except Throttled as held:
            self._count(attempt, "throttled")
            # Costs whoever guesses nothing, so it is told once in a while; of whom, would name an
            # e-mail address that may be nobody's.
            detail = {"limit": held.detail.rpartition(" ")[2]}
            event = AuditEvent(
                "sign_in_throttled", ip=attempt.address, result="failed", detail=detail
            )
            self.audit.record_seldom(event, attempt.address, held.detail)
            raise
        except Unavailable:
            self._count(attempt, "error")
            raise
        self._count(attempt, "ok")

    def _count(self, attempt: Attempt, result: str) -> None:
        self.metrics.authentications("password", result)
        if attempt.again:
            self.metrics.step_ups(result)


def _key_of(email: str) -> str | None:
    """Return the key of an address; None for what is none, and so names no account."""
    try:
        return parse_email(email).key
    except InvalidEmail:
        return None


def _usable_hash(credential: Credential | None) -> str | None:
    if credential is None or not credential.user.is_active:
        return None
    return credential.password_hash


def _reason(credential: Credential | None) -> str:
    if credential is None:
        return "unknown"
    if not credential.user.is_active:
        return "disabled"
    return "wrong password" if credential.password_hash else "without password"
