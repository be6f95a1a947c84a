"""Randomness, opaque values and their comparison: the one module that draws from the system.

Opaque values are high-entropy, so SHA-256 is the right one-way function for storing them;
passwords are not, and have `users.passwords`.
"""

import base64
import hashlib
import hmac
import secrets
import uuid
from datetime import datetime, timedelta

EXPIRY_MARGIN = timedelta(hours=1)
"""Clock skew a session id tolerates before a replica calls it expired without asking."""

_RANDOM_BITS = 74
_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


def token_bytes(size: int) -> bytes:
    """Return `size` random bytes."""
    return secrets.token_bytes(size)


def token_urlsafe(size: int = 32) -> str:
    """Return `size` random bytes as base64url text without padding."""
    return secrets.token_urlsafe(size)


def pick(alphabet: str) -> str:
    """Return one random character, each as likely as every other."""
    return secrets.choice(alphabet)


def random_uuid() -> uuid.UUID:
    """Return a random UUID (version 4): ids of users, jti values, audit events."""
    return uuid.uuid4()


def session_id(expires_at: datetime) -> uuid.UUID:
    """Return a UUIDv7-shaped id whose first 48 bits are `expires_at` + 1 h in milliseconds.

    The primary key is then in order of expiry: a purge deletes a key range and needs no index.
    """
    milliseconds = int((expires_at + EXPIRY_MARGIN).timestamp() * 1000)
    noise = secrets.randbits(_RANDOM_BITS)
    high, low = noise >> 62, noise & ((1 << 62) - 1)
    return uuid.UUID(int=milliseconds << 80 | _VERSION_7 | high << 64 | _VARIANT | low)


def session_id_floor(at: datetime) -> uuid.UUID:
    """Return the smallest id that could still be live at `at`; smaller ones have expired."""
    return uuid.UUID(int=int(at.timestamp() * 1000) << 80)


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 digest of `data`, 32 bytes."""
    return hashlib.sha256(data).digest()


def digest(value: str) -> bytes:
    """Return what is stored of an opaque value that was given out."""
    return sha256(value.encode())


def base64url(data: bytes) -> str:
    """Return `data` as base64url text without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def equal(left: bytes, right: bytes) -> bool:
    """Compare in time that does not depend on where the values differ."""
    return hmac.compare_digest(left, right)
