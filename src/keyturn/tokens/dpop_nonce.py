"""Nonces for DPoP proofs (RFC 9449 section 8): a proof that carries one was made just now.

    nonce = base64url( HMAC-SHA256(K_dpop_nonce, number of the minute)[:16] )

Nothing is kept: every replica gives and knows the same ones. That of the last minute is good as
well, as it may have been given a moment ago, and that of the next one, which a replica whose clock
is ahead gives already.
"""

import hmac
from dataclasses import dataclass
from typing import Final

from keyturn.clock import Clock
from keyturn.crypto.opaque import base64url, equal
from keyturn.crypto.secrets import DPOP_NONCE, MasterSecrets

PERIOD: Final = 60
"""Seconds a nonce is given; it is good for up to two more of them."""
_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class Nonces:
    """The nonces of every replica that has these secrets."""

    secrets: MasterSecrets
    clock: Clock

    def current(self) -> str:
        """Return the one to use from now on."""
        return self._nonce(self.secrets.current_id, self._minute())

    def knows(self, nonce: str | None) -> bool:
        """Return whether it is one of ours and recent, under any listed secret."""
        if nonce is None or not nonce.isascii():
            return False
        given, now = nonce.encode(), self._minute()
        return any(
            equal(self._nonce(secret_id, minute).encode(), given)
            for secret_id in self.secrets.ids
            for minute in (now, now - 1, now + 1)
        )

    def _minute(self) -> int:
        return int(self.clock.now().timestamp()) // PERIOD

    def _nonce(self, secret_id: int, minute: int) -> str:
        key = self.secrets.purpose_key(DPOP_NONCE, secret_id)
        return base64url(hmac.digest(key, minute.to_bytes(8, "big"), "sha256")[:_SIZE])
