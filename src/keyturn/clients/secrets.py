"""Client secrets: made with 256 bits, shown once, kept as SHA-256, compared in constant time.

A secret is random, so a fast hash is right for it: there is nothing to guess it from. That is
why a secret given by an operator must be long, too.
"""

from datetime import UTC, datetime

from keyturn.clients.model import ClientSecret
from keyturn.crypto import opaque

PREFIX = "kts_"
"""Lets secret scanners recognise ours in a repository or a log."""

SIZE = 32
SHORTEST = 32
LONGEST = 512
DISTINCT = 8
"""Different characters a given secret needs; 128 random bits in hexadecimal always have them."""

_NOBODY = ClientSecret(bytes(32), datetime(1970, 1, 1, tzinfo=UTC))
"""Compared with in place of a secret that is not there: no known text has this hash, and it
expired before anybody could have found one."""


def generate() -> str:
    """Return a new secret of 256 bits."""
    return of_bits(opaque.token_urlsafe(SIZE))


def of_bits(bits: str) -> str:
    """Return the secret that 256 bits, as base64url, make."""
    return PREFIX + bits


def digest(secret: str) -> bytes:
    """Return what is stored of a secret."""
    return opaque.digest(secret)


def check_given(secret: str) -> str:
    """Return a secret an operator chose; raise `ValueError` (without it) when it is weak."""
    if not SHORTEST <= len(secret) <= LONGEST:
        raise ValueError(f"a secret has {SHORTEST} to {LONGEST} characters")
    if len(set(secret)) < DISTINCT:
        raise ValueError("the secret repeats too few characters to be random")
    if not secret.isprintable() or secret != secret.strip():
        raise ValueError("a secret has no control characters, and no space at its ends")
    return secret


def matches(secret: str, active: tuple[ClientSecret, ...], now: datetime) -> bool:
    """Return whether `secret` is one of `active`, in the same time whoever asks.

    An unknown client is asked with no active secrets: two comparisons are made all the same, so
    that the time of an answer does not tell which client ids exist.
    """
    presented = digest(secret)
    matched = False
    for known in (*active, _NOBODY, _NOBODY)[:2]:
        live = known.expires_at is None or now < known.expires_at
        matched |= opaque.equal(presented, known.hash) and live
    return matched
