"""The device grant's second half (RFC 8628 section 3.4): a device asks whether it may.

Most answers are no failures: `authorization_pending` and `slow_down` tell the device to ask again.
"""

from dataclasses import dataclass
from typing import ClassVar

from keyturn.authorizations.device_codes import DeviceCodes
from keyturn.authorizations.device_model import DeviceRedemption
from keyturn.errors import InvalidRequest
from keyturn.oauth.grants.base import TokenAnswer, TokenRequest
from keyturn.oauth.grants.first_tokens import FirstTokens


@dataclass(frozen=True, slots=True)
class DeviceCodeGrant:
    """A device code in, a session begun where a person has said yes, its first tokens out."""

    device_codes: DeviceCodes
    first_tokens: FirstTokens
    name: ClassVar[str] = "urn:ietf:params:oauth:grant-type:device_code"

    async def answer(self, request: TokenRequest) -> TokenAnswer:
        """Redeem the device code. Raises what `DeviceCodes.redeem` raises."""
        device_code = request.form.get("device_code")
        if device_code is None:
            raise InvalidRequest("device_code: missing")
        self.first_tokens.require_key()
        redeemed = await self.device_codes.redeem(
            DeviceRedemption(
                client=request.client,
                device_code=device_code,
                audiences=request.audiences,
                dpop_jkt=request.session_jkt,
            )
        )
        return await self.first_tokens.answer(request, redeemed)
