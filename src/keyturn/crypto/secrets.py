"""The server's master secrets, and the purpose keys derived from them.

Operators hold a short list of `id: value`. The first one makes new things, all of them verify:
a secret is rolled out by adding it last on every replica, then putting it first. No master
secret is used directly; each purpose has its own key (HKDF-SHA256, RFC 5869), so that a value
made for one purpose is rubbish to every other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

REFRESH_TAG = "keyturn refresh tag v1"
REFRESH_DERIVE = "keyturn refresh derive v1"
KEY_SEALING = "keyturn signing key sealing v1"
THROTTLE = "keyturn throttle v1"
CSRF = "keyturn csrf v1"
REQUESTS = "keyturn authorization requests v1"
CURSORS = "keyturn cursors v1"
CREATIONS = "keyturn creations v1"
DPOP_NONCE = "keyturn dpop nonce v1"
PUSHED = "keyturn pushed requests v1"
DEVICE_CODES = "keyturn device codes v1"

KEY_SIZE = 32


@dataclass(frozen=True, eq=False)
class MasterSecrets:
    """Master secrets by id (1 to 255), in the operator's order; `repr` shows ids only."""

    values: Mapping[int, bytes] = field(repr=False)

    @property
    def current_id(self) -> int:
        """The id of the secret that makes new tokens and seals keys: the first listed."""
        return next(iter(self.values))

    @property
    def ids(self) -> tuple[int, ...]:
        """Every listed id, the current one first."""
        return tuple(self.values)

    def knows(self, secret_id: int) -> bool:
        """Return whether that secret is listed; one that is not verifies nothing."""
        return secret_id in self.values

    def purpose_key(self, label: str, secret_id: int | None = None) -> bytes:
        """Return the 32-byte key for one purpose under one secret (default: the current).

        Raises `KeyError` for a secret id that is not listed.
        """
        return _derive(self.values[secret_id or self.current_id], label)


@lru_cache(maxsize=512)
def _derive(master: bytes, label: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=label.encode()).derive(master)
