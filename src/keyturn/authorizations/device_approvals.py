"""What people say to devices: they type a code, are shown who asks, and say yes or no.

A no is final. A yes is recorded as a consent, as any other is, in the same transaction. It is given
while the account and the login are held open: whoever closes one of them comes before, and it is
refused, or after, and voids it.
"""

from dataclasses import dataclass

from keyturn.authorizations import user_codes
from keyturn.authorizations.device_model import Asked
from keyturn.clients.model import Client
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.pool import Database
from keyturn.db.queries import load_queries
from keyturn.device_errors import UserCodeUnknown
from keyturn.logins.model import Login
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.telemetry.event_types import EventType

SQL = load_queries(__package__, "authorizations.sql")


@dataclass(frozen=True, slots=True)
class DeviceApprovals:
    """The devices that wait for a person. Every method raises `Unavailable`."""

    database: Database
    secrets: MasterSecrets
    audit: Audit

    async def find(self, code: str, login: Login) -> Asked:
        """Return what a code asks this person. Raises `UserCodeUnknown`.

        Whoever calls this with what somebody typed has counted the attempt.
        """
        row = await self.database.fetch_row(
            SQL["find_user_code"], user_codes.hashes(code, self.secrets), login.user_id
        )
        if row is None:
            raise UserCodeUnknown("user code: unknown, expired or answered by somebody else")
        return Asked.from_row(row)

    async def approve(self, code: str, login: Login, client: Client, asked: Asked) -> None:
        """Let the device act for this person; again, it changes nothing.

        Raises `UserCodeUnknown` when the code has expired or was denied meanwhile, or when the
        person is not signed in here any more.
        """
        remembers = not client.skip_consent
        async with self.database.transaction() as tx:
            held = await tx.fetch_row(SQL["hold_account"], login.user_id, login.auth_time)
            held = held and await tx.fetch_row(SQL["hold_login"], login.id, login.user_id)
            if held is None:
                raise UserCodeUnknown("user code: the login has ended")
            # The consent before the code: the order in which a withdrawal takes hold of them.
            if remembers:
                await tx.execute(
                    SQL["grant_consent"], login.user_id, client.id, sorted(asked.scopes)
                )
            approved = await tx.execute(
                SQL["approve_user_code"],
                user_codes.hashes(code, self.secrets),
                login.user_id,
                login.auth_time,
                list(login.amr),
            )
            if not approved:
                raise UserCodeUnknown("user code: expired, or answered meanwhile")
        if remembers:
            self._record("consent_granted", login, asked)
        self._record("device_approved", login, asked)

    async def deny(self, code: str, login: Login, asked: Asked) -> None:
        """Say no, for good. Raises `UserCodeUnknown` when it is too late for that."""
        hashes = user_codes.hashes(code, self.secrets)
        if not await self.database.execute(SQL["deny_user_code"], hashes, login.user_id):
            raise UserCodeUnknown("user code: expired, or answered meanwhile")
        self._record("device_denied", login, asked)

    def guessed(self, login: Login, ip: str) -> None:
        """Note that somebody typed a code under which nobody waits."""
        self.audit.record(
            AuditEvent("user_code_refused", user_id=login.user_id, ip=ip, result="failed")
        )

    def _record(self, event: EventType, login: Login, asked: Asked) -> None:
        detail = {"scope": " ".join(sorted(asked.scopes))}
        self.audit.record(
            AuditEvent(event, user_id=login.user_id, client_id=asked.client_id, detail=detail)
        )
