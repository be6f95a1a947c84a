"""A browser signed in at the server, its applications and codes: the rules on real stores."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from keyturn.authorizations.codes import Codes
from keyturn.authorizations.consents import Consents
from keyturn.authorizations.model import AuthorizationRequest, CodeGrant, Redeemed, Redemption
from keyturn.authorizations.requests import Requests
from keyturn.clients.model import Client
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.crypto import pkce
from keyturn.errors import InvalidGrant
from keyturn.logins.logins import Logins
from keyturn.logins.model import LoginRequest, StartedLogin
from keyturn.parts import Parts
from support import replicas
from support.patience import SERVERS
from support.replicas import AUDIENCE

CALLBACK = "https://app.example/callback"
VERIFIER = "a-verifier-of-forty-three-characters-or-more"
SHOP = Client(
    id="shop",
    name="Shop",
    kind="public",
    grant_types=frozenset({"authorization_code", "refresh_token"}),
    scopes=frozenset({"openid", "email", "offline_access", "orders"}),
    audiences=(AUDIENCE,),
    redirect_uris=frozenset({CALLBACK}),
)
BANK = replace(SHOP, id="bank", name="Bank")
REQUEST = AuthorizationRequest(
    client_id=SHOP.id,
    redirect_uri=CALLBACK,
    response_mode="query",
    scopes=frozenset({"openid", "orders"}),
    audiences=(AUDIENCE, replicas.ISSUER),
    state="a state",
    nonce="a nonce",
    code_challenge=pkce.challenge_of(VERIFIER),
)
ADD_USER = "insert into users (id, email, email_key) values ($1, $2, $2)"


@dataclass(frozen=True)
class SignedIn:
    """One process's rules, one user, and a way into the database behind their back."""

    parts: Parts
    sql: asyncpg.Connection
    user_id: UUID
    logins: Logins
    requests: Requests
    codes: Codes
    consents: Consents

    async def now(self) -> datetime:
        """Return the database's time: that of a proof made now."""
        at: datetime = await self.sql.fetchval("select clock_timestamp()")
        return at

    async def person(self) -> UUID:
        """Add one more account."""
        user_id = uuid4()
        await self.sql.execute(ADD_USER, user_id, str(user_id))
        return user_id

    async def sign_in(self, user_id: UUID | None = None, **more: Any) -> StartedLogin:
        """Sign a browser in."""
        return await self.logins.start(
            LoginRequest(user_id or self.user_id, await self.now(), **more)
        )

    async def sign_in_with(self, proof: datetime) -> StartedLogin:
        """Sign a browser in on a proof made before."""
        return await self.logins.start(LoginRequest(self.user_id, proof))

    async def code(
        self, login: StartedLogin | None = None, *, proven: bool = False, **changes: Any
    ) -> str:
        """Return a code for the shop; `changes` are to its request."""
        started = login or await self.sign_in()
        request = replace(REQUEST, **changes)
        grant = CodeGrant(request, started.login, request.scopes, proven=proven)
        return await self.codes.issue(grant)

    async def redeem(self, code: str, **changes: Any) -> Redeemed:
        """Redeem a code as it should be, but for `changes`."""
        return await self.codes.redeem(
            replace(Redemption(SHOP, code, CALLBACK, VERIFIER), **changes)
        )

    async def refused(self, code: str, **changes: Any) -> str:
        """Redeem a code that is refused and return the private reason."""
        try:
            await self.redeem(code, **changes)
        except InvalidGrant as refusal:
            return refusal.detail
        raise AssertionError("the code was redeemed")

    async def ended_by(self, session_id: UUID) -> str | None:
        """Return why a session ended; None while it lives. Its revocation must be there, too."""
        reason: str | None = await self.sql.fetchval(
            "select revoke_reason from sessions where id = $1", session_id
        )
        assert (reason is not None) == (
            await self.parts.revocations.look_up(str(session_id), "")
        ).revoked
        return reason

    def audited(self, *types: str) -> list[str]:
        """Return which events of these types were recorded since the last time, in order."""
        recorded = [one.event.type for one in self.parts.audit.take(1000)]
        return [one for one in recorded if one in types]


@asynccontextmanager
async def signed_in(database_url: str) -> AsyncIterator[SignedIn]:
    """Build the rules on a migrated database, with one user; PostgreSQL is all they need."""
    parts = Parts.of(load_settings(replicas.settings(database_url, None, **SERVERS)), SystemClock())
    sql = await asyncpg.connect(database_url)
    user_id = uuid4()
    try:
        await sql.execute(ADD_USER, user_id, "ada@example.com")
        yield SignedIn(
            parts=parts,
            sql=sql,
            user_id=user_id,
            logins=parts.logins,
            requests=parts.requests,
            codes=parts.codes,
            consents=parts.consents,
        )
    finally:
        await sql.close(timeout=5)
        await parts.close()
