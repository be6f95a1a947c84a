"""Device codes: a device asks, a person answers elsewhere, the device fetches it once (RFC 8628).

One UPDATE decides who redeems a code, and the session starts in the same transaction. Whoever
redeems it again gets `invalid_grant`, and nothing ends: a device whose answer was lost on the way
asks again, as it was told to, and must not sign its person out by that. It begins anew with another
code; the session nobody holds is in the person's account until it expires unused. (A code of the
browser flow is another matter: it travels where others can see it. This one is known to its device
alone.)

The session is the device's, not the browser's: it goes on when the browser in which it was approved
signs out. Whatever ends every session of a person (a closed account, a new password, log-out
everywhere) ends what they approved and no device has fetched yet, too.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from keyturn.authorizations import user_codes
from keyturn.authorizations.device_model import (
    Approval,
    DeviceRedemption,
    DeviceRequest,
    IssuedCodes,
    StoredDeviceCode,
)
from keyturn.authorizations.model import Redeemed
from keyturn.crypto import opaque
from keyturn.crypto.secrets import MasterSecrets
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries
from keyturn.device_errors import AuthorizationPending, DeviceDenied, ExpiredToken, SlowDown
from keyturn.errors import InvalidCredentials, InvalidGrant, InvalidTarget, NotFound, Unavailable
from keyturn.sessions.lifetimes import choose
from keyturn.sessions.start import Begun, SessionRequest, Starter
from keyturn.settings import SessionsSettings
from keyturn.settings_device import DeviceSettings
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.users.accounts import Accounts

SQL = load_queries(__package__, "authorizations.sql")

OFFLINE: Final = "offline_access"

LONGEST_CODE: Final = 64
"""Characters of a device code that is worth looking for; ours have 43."""

TRIES: Final = 5
"""User codes that are tried before giving up; even one that is taken is a rare thing."""

KEPT: Final = timedelta(minutes=10)
"""How long after its expiry a device that still asks is told what became of its code."""

PUNCTUAL: Final = 0.8
"""The part of the interval after which a question is in time: networks deliver some early."""

SLOWER: Final = timedelta(seconds=5)
"""What `slow_down` adds to the interval (RFC 8628 section 3.5)."""


@dataclass(frozen=True, slots=True)
class DeviceCodes:
    """The device codes of this server."""

    database: Database
    starter: Starter
    accounts: Accounts
    secrets: MasterSecrets
    settings: DeviceSettings
    sessions: SessionsSettings
    audit: Audit
    issuer: str

    async def issue(self, request: DeviceRequest) -> IssuedCodes:
        """Keep two new codes and return them. Raises `Unavailable`."""
        device_code = opaque.token_urlsafe()
        for _ in range(TRIES):
            user_code = user_codes.new()
            if await self._keep(request, device_code, user_code):
                break
        else:
            raise Unavailable("user codes: every one that was tried is taken")
        detail = {"scope": " ".join(sorted(request.scopes))}
        self.audit.record(
            AuditEvent(
                "device_code_issued", client_id=request.client.id, ip=request.ip, detail=detail
            )
        )
        return IssuedCodes(
            device_code=device_code,
            user_code=user_codes.shown(user_code),
            expires_in=self.settings.lifetime,
            interval=self.settings.interval,
        )

    async def redeem(self, redemption: DeviceRedemption) -> Redeemed:
        """Start the session that a person approved.

        Raises `AuthorizationPending`, `SlowDown`, `DeviceDenied`, `ExpiredToken`; `InvalidGrant`
        for what is no code of this client, was redeemed, or whose person's account was closed
        since; `InvalidTarget` before anything is used up; `Unavailable`.
        """
        await self._poll(redemption)
        stored, approval = await self._approved(redemption)
        _check_target(redemption, stored, self.issuer)
        request = await self._session_request(redemption, stored, approval)
        try:
            begun = await self._consume(redemption.device_code, request)
        except InvalidCredentials as refusal:
            raise InvalidGrant(f"device code: {refusal.detail}") from None
        await self.starter.tell(begun)
        session = begun.started.session
        self.audit.record(
            AuditEvent(
                "device_redeemed",
                user_id=session.user_id,
                client_id=session.client_id,
                session_id=session.id,
                ip=stored.ip,
            )
        )
        return Redeemed(begun.started, nonce=None, id_token_claims=())

    async def _keep(self, request: DeviceRequest, device_code: str, user_code: str) -> bool:
        kept = await self.database.execute(
            SQL["issue_device_code"],
            opaque.digest(device_code),
            user_codes.hashes(user_code, self.secrets),
            request.client.id,
            sorted(request.scopes),
            list(request.audiences),
            request.device,
            request.ip,
            timedelta(seconds=self.settings.interval),
            timedelta(seconds=self.settings.lifetime),
        )
        return kept == 1

    async def _poll(self, redemption: DeviceRedemption) -> None:
        """Count the question, while nobody has answered: the usual case, in one statement."""
        if len(redemption.device_code) > LONGEST_CODE:
            raise InvalidGrant("device code: unknown")
        row = await self.database.fetch_row(
            SQL["poll_device_code"],
            opaque.digest(redemption.device_code),
            redemption.client.id,
            PUNCTUAL,
            SLOWER,
        )
        if row is None:
            return
        if row["polled_too_soon"]:
            raise SlowDown("device code: asked before the interval was over")
        raise AuthorizationPending("device code: nobody has answered")

    async def _approved(self, redemption: DeviceRedemption) -> tuple[StoredDeviceCode, Approval]:
        row = await self.database.fetch_row(
            SQL["read_device_code"], opaque.digest(redemption.device_code)
        )
        if row is None:
            raise InvalidGrant("device code: unknown")
        stored = StoredDeviceCode.from_row(row)
        if stored.client_id != redemption.client.id:
            raise InvalidGrant("device code: another client's")
        if stored.consumed:
            raise InvalidGrant("device code: redeemed before")
        if stored.decision == "denied":
            raise DeviceDenied("device code: denied")
        if stored.expired:
            raise ExpiredToken("device code: expired")
        if stored.decision is None:
            # Begun between the two statements: nobody answers what was not there before.
            raise AuthorizationPending("device code: nobody has answered")
        return stored, Approval.from_row(row)

    async def _session_request(
        self, redemption: DeviceRedemption, stored: StoredDeviceCode, approval: Approval
    ) -> SessionRequest:
        client = redemption.client
        try:
            user = await self.accounts.get(approval.user_id)
        except NotFound:
            raise InvalidGrant("device code: the account was deleted") from None
        return SessionRequest(
            user_id=approval.user_id,
            client=client,
            scopes=stored.scopes,
            audiences=stored.audiences,
            lifetimes=choose(self.sessions, client, remember_me=None),
            proof_time=approval.auth_time,
            amr=approval.amr,
            claims=user.claims(client.claims),
            device=stored.device,
            ip=stored.ip,
            offline=OFFLINE in stored.scopes,
            dpop_jkt=redemption.dpop_jkt,
        )

    async def _consume(self, device_code: str, request: SessionRequest) -> Begun:
        """Redeem the code. First the account: the order in which closing one takes hold of both."""
        async with self.database.transaction() as tx:
            if not await tx.fetch_row(SQL["hold_account"], request.user_id, request.proof_time):
                raise InvalidGrant("device code: the account was closed since it was approved")
            if not await tx.execute(SQL["consume_device_code"], opaque.digest(device_code)):
                raise InvalidGrant("device code: redeemed, withdrawn or expired meanwhile")
            return await self.starter.start_in(tx, request)


async def purge_expired(database: Statements, limit: int) -> int:
    """Delete at most `limit` device codes that expired `KEPT` ago; return how many."""
    return await database.execute(SQL["purge_device_codes"], KEPT, limit)


def _check_target(redemption: DeviceRedemption, stored: StoredDeviceCode, issuer: str) -> None:
    """Refuse a resource that was not granted, before anything is used up (RFC 8707 2.2)."""
    left = {*redemption.client.audiences, issuer}.intersection(stored.audiences)
    if not left.issuperset(redemption.audiences or ()) or not left:
        raise InvalidTarget("resource: not granted with the device code")
