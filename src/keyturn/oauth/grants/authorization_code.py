"""The `authorization_code` grant (RFC 6749 section 4.1.3): redeem, then sign."""

from dataclasses import dataclass
from typing import ClassVar

from keyturn.authorizations.codes import Codes
from keyturn.authorizations.model import Redemption
from keyturn.errors import InvalidRequest
from keyturn.oauth.grants.base import TokenAnswer, TokenRequest
from keyturn.oauth.grants.first_tokens import FirstTokens


@dataclass(frozen=True, slots=True)
class AuthorizationCodeGrant:
    """A code in, a session begun, and its first tokens out."""

    codes: Codes
    first_tokens: FirstTokens
    name: ClassVar[str] = "authorization_code"

    async def answer(self, request: TokenRequest) -> TokenAnswer:
        """Redeem the code.

        Raises `InvalidGrant` for whatever does not fit together, `InvalidTarget`, `Unavailable`.
        The redirect URI is demanded, as RFC 6749 has it and OAuth 2.1 no longer does: every
        request here had one, so every client knows what to send.
        """
        code = request.form.get("code")
        if code is None:
            raise InvalidRequest("code: missing")
        self.first_tokens.require_key()
        redeemed = await self.codes.redeem(
            Redemption(
                client=request.client,
                code=code,
                redirect_uri=request.form.get("redirect_uri"),
                code_verifier=request.form.get("code_verifier"),
                audiences=request.audiences,
                dpop_jkt=request.dpop_jkt,
            )
        )
        return await self.first_tokens.answer(request, redeemed)
