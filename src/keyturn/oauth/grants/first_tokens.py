"""The first tokens of a session that has just begun, whatever a client redeemed for it."""

from dataclasses import dataclass

from keyturn.authorizations.model import Redeemed
from keyturn.clients.model import Client
from keyturn.errors import InvalidGrant, InvalidToken
from keyturn.oauth.grants.base import TokenAnswer, TokenRequest
from keyturn.sessions.rotation import Rotation
from keyturn.tokens.access_token import AccessTokens
from keyturn.tokens.claims import OPENID, shown
from keyturn.tokens.id_token import NOTHING, IdTokens
from keyturn.users.accounts import Accounts


@dataclass(frozen=True, slots=True)
class FirstTokens:
    """Signs, last, what a redemption gives."""

    access_tokens: AccessTokens
    id_tokens: IdTokens
    accounts: Accounts
    rotation: Rotation

    def require_key(self) -> None:
        """Raise `Unavailable` while nothing can be signed: asked before a code is used up."""
        self.access_tokens.require_key()

    async def answer(self, request: TokenRequest, redeemed: Redeemed) -> TokenAnswer:
        """Return the tokens. Raises `InvalidGrant` when the account was closed meanwhile."""
        client, session = request.client, redeemed.started.session
        # The client may have less by now than when it asked, as at any later refresh.
        scopes, left = self.rotation.still_granted(client, session)
        audiences = self._audiences(request, left)
        access_token = self.access_tokens.for_session(
            session, client, scopes, audiences, request.dpop_jkt
        )
        refreshes = "refresh_token" in client.grant_types
        return TokenAnswer(
            access_token=access_token,
            refresh_token=redeemed.started.refresh_token if refreshes else None,
            id_token=await self._id_token(redeemed, client, scopes, access_token.value),
        )

    def _audiences(self, request: TokenRequest, left: tuple[str, ...]) -> tuple[str, ...]:
        """Return what this access token is for: the resources named, or all (RFC 8707)."""
        if request.audiences is None:
            return left
        ours = (self.rotation.issuer,) if self.rotation.issuer in left else ()
        return tuple(dict.fromkeys((*request.audiences, *ours)))

    async def _id_token(
        self, redeemed: Redeemed, client: Client, scopes: frozenset[str], access_token: str
    ) -> str | None:
        session = redeemed.started.session
        if OPENID not in scopes:
            return None
        claims = NOTHING
        asked = client.id_token_claims.union(redeemed.id_token_claims)
        wanted = shown(scopes) & asked
        if wanted:
            try:
                user = await self.accounts.active(session.user_id)
            except InvalidToken as refusal:
                raise InvalidGrant(refusal.detail) from None
            claims = user.claims(sorted(wanted))
        return self.id_tokens.for_session(
            session, client, access_token=access_token, nonce=redeemed.nonce, claims=claims
        )
