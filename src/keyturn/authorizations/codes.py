"""Authorization codes: issued once, redeemed once, good for a minute (RFC 6749 section 4.1).

One UPDATE decides who redeems a code, and the session starts in the same transaction. Whoever
redeems it a second time, and proves everything that the first one had to, holds a copy of what
was meant for one: the session it gave ends. Whoever merely saw a code and proves nothing changes
nothing; otherwise that glance would be a switch to sign people out.
"""

from dataclasses import dataclass
from datetime import timedelta

from keyturn.authorizations import requests
from keyturn.authorizations.model import CodeGrant, Redeemed, Redemption, StoredCode
from keyturn.crypto import opaque
from keyturn.db.pool import Database, Statements
from keyturn.db.queries import load_queries
from keyturn.errors import InvalidCredentials, InvalidGrant, InvalidTarget, NotFound
from keyturn.sessions.end import Ended, end_session
from keyturn.sessions.lifetimes import choose
from keyturn.sessions.start import Begun, SessionRequest, Starter
from keyturn.settings import SessionsSettings
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.users.accounts import Accounts

SQL = load_queries(__package__, "authorizations.sql")

LIFETIME = timedelta(seconds=60)
KEPT = timedelta(days=1)
"""How long after its expiry a second redemption still ends what the first one gave."""

LONGEST_CODE = 64
"""Characters of a code that is worth looking for; ours have 43."""

OFFLINE = "offline_access"


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of this server."""

    database: Database
    starter: Starter
    accounts: Accounts
    sessions: SessionsSettings
    audit: Audit
    issuer: str

    async def issue(self, grant: CodeGrant, finishing: str | None = None) -> str:
        """Keep a new code and return it.

        `finishing` is the handle of the request it answers: that one, and what was pushed, are done
        with the code, or nothing is, so that no fault in between costs a person their request.
        Raises `RequestOver` when one of them was finished meanwhile, `Unavailable`. Whether the
        login lives is asked at redemption.
        """
        code = opaque.token_urlsafe()
        if finishing is None and grant.request.pushed is None:
            await _keep(self.database, code, grant)
        else:
            async with self.database.transaction() as tx:
                await requests.finish(tx, grant.request, finishing)
                await _keep(tx, code, grant)
        self.audit.record(
            AuditEvent(
                type="code_issued",
                user_id=grant.login.user_id,
                client_id=grant.request.client_id,
                ip=grant.ip,
                detail={"scope": " ".join(sorted(grant.scopes))},
            )
        )
        return code

    async def redeem(self, redemption: Redemption) -> Redeemed:
        """Start the session a code was issued for.

        Raises `InvalidGrant`, also when the account or the login was closed since the proof,
        `InvalidTarget` before anything is used up, `Unavailable`.
        """
        stored = await self._bound(redemption)
        request = await self._session_request(redemption, stored)
        try:
            begun = await self._consume(redemption.code, request)
        except InvalidCredentials as refusal:
            raise InvalidGrant(f"code: {refusal.detail}") from None
        if begun is None:
            raise InvalidGrant("code: redeemed before, or expired")
        await self.starter.tell(begun)
        return Redeemed(begun.started, stored.nonce, stored.id_token_claims)

    async def _bound(self, redemption: Redemption) -> StoredCode:
        """Return the code, if it was issued to who redeems it (RFC 9700 sections 2.1, 4.8)."""
        row = None
        if len(redemption.code) <= LONGEST_CODE:
            row = await self.database.fetch_row(SQL["read_code"], opaque.digest(redemption.code))
        if row is None:
            raise InvalidGrant("code: unknown")
        stored = StoredCode.from_row(row)
        reason = stored.refuses(redemption)
        if reason is not None:
            await self._suspect(redemption, stored, reason)
            raise InvalidGrant(f"code: {reason}")
        allowed = {*redemption.client.audiences, self.issuer}
        left = allowed.intersection(stored.audiences)
        if not left.issuperset(redemption.audiences or ()) or not left:
            raise InvalidTarget("resource: not granted with the code")
        return stored

    async def _suspect(self, redemption: Redemption, stored: StoredCode, reason: str) -> None:
        """Tell operators that a genuine code is in the wrong hands, or in clumsy ones.

        Once a code: whoever signs in has codes, and must not fill the audit trail with one.
        """
        if await self.database.execute(SQL["suspect_code"], opaque.digest(redemption.code)):
            self.audit.record(
                AuditEvent(
                    type="code_refused",
                    user_id=stored.user_id,
                    client_id=redemption.client.id,
                    result="failed",
                    detail={"issued_to": stored.client_id, "reason": reason},
                )
            )

    async def _session_request(self, redemption: Redemption, stored: StoredCode) -> SessionRequest:
        client = redemption.client
        try:
            user = await self.accounts.get(stored.user_id)
        except NotFound:
            raise InvalidGrant("code: the account was deleted") from None
        offline = OFFLINE in stored.scopes
        # Who did not ask to be remembered said no, unless the application is to go on without them.
        remember_me = stored.remembered or (None if offline else False)
        return SessionRequest(
            user_id=stored.user_id,
            client=client,
            scopes=stored.scopes,
            audiences=stored.audiences,
            lifetimes=choose(self.sessions, client, remember_me=remember_me),
            proof_time=stored.auth_time,
            amr=stored.amr,
            claims=user.claims(client.claims),
            device=stored.device,
            ip=stored.ip,
            login_id=stored.login_id,
            offline=offline,
            proven=stored.proven,
            dpop_jkt=redemption.session_jkt,
        )

    async def _consume(self, code: str, request: SessionRequest) -> Begun | None:
        """Redeem the code, or end the session that its first redemption gave."""
        code_hash = opaque.digest(code)
        ended: list[Ended] = []
        async with self.database.transaction() as tx:
            if await tx.execute(SQL["consume_code"], code_hash):
                return await self._begin(tx, code_hash, request)
            first = await tx.fetch_row(SQL["session_of_code"], code_hash)
            if first is not None:
                ended = await end_session(tx, first["session_id"], "code_reuse")
        await self.starter.ending.tell(ended, "code_reuse")
        for one in ended:
            self.audit.record(
                AuditEvent(
                    type="code_reuse",
                    user_id=one.user_id,
                    client_id=one.client_id,
                    session_id=one.id,
                    result="failed",
                )
            )
        return None

    async def _begin(self, tx: Statements, code_hash: bytes, request: SessionRequest) -> Begun:
        begun = await self.starter.start_in(tx, request)
        await tx.execute(SQL["link_code"], code_hash, begun.started.session.id)
        return begun


async def _keep(statements: Statements, code: str, grant: CodeGrant) -> None:
    request, login = grant.request, grant.login
    await statements.execute(
        SQL["issue_code"],
        opaque.digest(code),
        request.client_id,
        request.redirect_uri,
        request.code_challenge,
        request.nonce,
        login.user_id,
        login.id,
        sorted(grant.scopes),
        list(request.audiences),
        list(request.id_token_claims),
        login.auth_time,
        list(login.amr),
        login.remembered,
        grant.device,
        grant.ip,
        LIFETIME,
        grant.proven,
        request.dpop_jkt,
    )


async def purge_expired(database: Statements, limit: int) -> int:
    """Delete at most `limit` codes that expired `KEPT` ago; return how many."""
    return await database.execute(SQL["purge_codes"], KEPT, limit)
