"""The token-exchange grant (RFC 8693): an API's server gets a narrower token to act with.

A confidential client presents an access token that an application sent to it, and gets one of its
own about the same person or machine. Whose tokens it may present, and whether the new one names
the actor, is its policy (`token_exchange`); what the new one may say is in `tokens.exchange`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

from keyturn.clients.model import TOKEN_EXCHANGE, Client
from keyturn.clients.registry import Registry
from keyturn.clock import Clock
from keyturn.errors import InvalidDpopProof, InvalidRequest, InvalidToken, UnauthorizedClient
from keyturn.oauth.grants.base import TokenAnswer, TokenRequest
from keyturn.telemetry.audit import Audit, AuditEvent
from keyturn.tokens import exchange
from keyturn.tokens.access_token import AccessToken, AccessTokens
from keyturn.tokens.exchange import Exchange, Wish
from keyturn.tokens.verify import AccessTokenVerifier, VerifiedToken
from keyturn.users.accounts import Accounts

ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
PRESENTED: Final = (ACCESS_TOKEN, JWT)
"""What an access token of ours may be called (section 3); it must be one under either name."""


@dataclass(frozen=True, slots=True)
class TokenExchangeGrant:
    """An access token in, a narrower one out; never a refresh token nor an ID token."""

    access_tokens: AccessTokens
    verifier: AccessTokenVerifier
    registry: Registry
    accounts: Accounts
    audit: Audit
    clock: Clock
    name: ClassVar[str] = TOKEN_EXCHANGE

    async def answer(self, request: TokenRequest) -> TokenAnswer:
        """Exchange.

        Raises `InvalidRequest` for a token that is not good or not allowed (section 2.2.2),
        `InvalidScope`, `InvalidTarget`, `InvalidDpopProof`, `UnauthorizedClient` for a public
        client, `Unavailable`.
        """
        client, form = request.client, request.form
        if client.is_public or client.token_exchange is None:
            raise UnauthorizedClient("token exchange: public client, or no policy")
        if form.get("requested_token_type") not in {None, ACCESS_TOKEN}:
            raise InvalidRequest("requested_token_type: access tokens are all there is")
        subject_token, actor_token = _presented(form, "subject"), _presented(form, "actor")
        if subject_token is None:
            raise InvalidRequest("subject_token: missing")
        self.access_tokens.require_key()
        subject = await self._subject(client, subject_token)
        actor = None if actor_token is None else await self._actor(request, actor_token)
        wish = Wish(request.scopes, _audiences(request), request.dpop_jkt)
        decided = exchange.decide(client, subject, actor, wish, self.verifier.issuer)
        given = self.access_tokens.for_exchange(decided, self.clock.now())
        self._record(client, subject, decided, given)
        return TokenAnswer(given, issued_token_type=ACCESS_TOKEN)

    async def _subject(self, client: Client, token: str) -> VerifiedToken:
        subject = await self._good("subject_token", token)
        if subject.client_id not in (client.token_exchange or {})["subject_clients"]:
            raise InvalidRequest("subject_token: of a client that the policy does not name")
        # Whoever merely saw a token, in a log or on the way, is not whom it was sent to.
        if subject.client_id != client.id and client.introspects.isdisjoint(subject.aud):
            raise InvalidRequest("subject_token: for none of the APIs this client serves")
        return subject

    async def _actor(self, request: TokenRequest, token: str) -> VerifiedToken:
        actor = await self._good("actor_token", token)
        if actor.client_id != request.client.id or "act" in actor.claims:
            raise InvalidRequest("actor_token: another client's, or itself for somebody else")
        bound = actor.claims.get("cnf")
        if bound is not None and bound != {"jkt": request.dpop_jkt}:
            raise InvalidDpopProof("actor_token: bound to a key that was not proven")
        return actor

    async def _good(self, name: str, token: str) -> VerifiedToken:
        """Return what a live access token of ours says, whose owner and client are active."""
        try:
            verified = await self.verifier.verify_for_anyone(token)
            await self._require_active(verified)
        except InvalidToken as refusal:
            raise InvalidRequest(f"{name}: {refusal.detail}") from None
        return verified

    async def _require_active(self, token: VerifiedToken) -> None:
        if token.sid is not None:
            await self.accounts.active(UUID(token.sub))
        machines = {token.client_id} if token.sid is not None else {token.client_id, token.sub}
        for client_id in machines:
            if await self.registry.get(client_id) is None:
                raise InvalidToken("client: unknown or disabled")

    def _record(
        self,
        client: Client,
        subject: VerifiedToken,
        decided: Exchange,
        given: AccessToken,
    ) -> None:
        person = None if subject.sid is None else UUID(subject.sub)
        self.audit.record(
            AuditEvent(
                "token_exchanged",
                user_id=person,
                client_id=client.id,
                session_id=None if subject.sid is None else UUID(subject.sid),
                detail={
                    "subject": subject.sub,
                    "subject_client": subject.client_id,
                    "subject_jti": subject.jti,
                    "act": decided.actor,
                    "jti": given.jti,
                },
            )
        )


def _presented(form: Mapping[str, str], role: str) -> str | None:
    """Return the token of a role, None when there is none; its type goes with it."""
    token, kind = form.get(f"{role}_token"), form.get(f"{role}_token_type")
    if (token is None) != (kind is None):
        raise InvalidRequest(f"{role}_token: goes with its type")
    if kind is not None and kind not in PRESENTED:
        raise InvalidRequest(f"{role}_token_type: only access tokens are exchanged")
    return token


def _audiences(request: TokenRequest) -> tuple[str, ...] | None:
    """Return what is asked for by `resource` and by `audience`: here both are the API's URI."""
    named = request.form.get("audience")
    logical = () if named is None else tuple(named.split("\n"))
    return tuple(dict.fromkeys((*(request.audiences or ()), *logical))) or None
