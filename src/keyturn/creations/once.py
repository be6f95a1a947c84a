"""A request that creates, under the key its caller chose (the header `Idempotency-Key`).

    id          = SHA-256(caller, key)                         one note for each caller and key
    fingerprint = HMAC(K_creations, request)                   bodies hold passwords: a plain hash
                                                               could be guessed backwards
    secret      = HMAC(K_creations, "secret", salt, id)        made again when it is asked for again

So an answer that was lost can be given again, with the secret in it, while nobody who reads the
table learns one: that takes the master secret as well.
"""

import base64
import hmac
from dataclasses import dataclass, field
from typing import Final

from keyturn.crypto import opaque
from keyturn.crypto.secrets import CREATIONS, MasterSecrets

SALT_SIZE: Final = 32
_BETWEEN: Final = b"\x00"


@dataclass(frozen=True, slots=True)
class Once:
    """One request of one caller, under one key."""

    id: bytes
    request: bytes = field(repr=False)
    """What must be the same again: method, address and body."""
    secrets: MasterSecrets = field(repr=False)

    @classmethod
    def of(cls, secrets: MasterSecrets, caller: str, key: str, request: bytes) -> "Once":
        """Name a request; two callers may choose the same key."""
        return cls(opaque.sha256(_BETWEEN.join((caller.encode(), key.encode()))), request, secrets)

    def fingerprint(self, secret_id: int) -> bytes:
        """Return what tells this request from others, under one master secret."""
        return self._mac(secret_id, b"request", self.request)

    def secret(self, secret_id: int, salt: bytes) -> str:
        """Return the 256 bits that the created thing's secret is made of, as base64url."""
        mac = self._mac(secret_id, b"secret", salt + self.id)
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def _mac(self, secret_id: int, purpose: bytes, data: bytes) -> bytes:
        key = self.secrets.purpose_key(CREATIONS, secret_id)
        return hmac.digest(key, purpose + _BETWEEN + data, "sha256")
