"""Password hashes of other systems: recognised, bounded in cost, verified by libpass.

An import names the price of every later sign-in, so a hostile line could cost minutes or
gigabytes each time somebody tries that account. What is dearer than the bounds here is refused
when it is imported. Once a person signs in, the hash is replaced by one of ours.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from passlib.handlers.bcrypt import bcrypt
from passlib.handlers.django import django_pbkdf2_sha256
from passlib.handlers.pbkdf2 import pbkdf2_sha256
from passlib.handlers.scrypt import scrypt

from keyturn.telemetry.labels import ARGON2

MOST_CHARACTERS = 512
MOST_MEMORY_KIB = 256 * 1024
MOST_ARGON2_KIB_PASSES = 1024 * 1024
MOST_ARGON2_LANES = 16
MOST_BCRYPT_COST = 14
MOST_PBKDF2_ROUNDS = 2_000_000
MOST_SCRYPT_PASSES_KIB = 512 * 1024
BCRYPT_OCTETS = 72

_SCRYPT_KIB = 128 / 1024
"""KiB that scrypt holds for one unit of N times r (RFC 7914 section 2)."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way of writing a hash: how it starts, its whole shape, who reads it, what it may cost."""

    name: str
    prefixes: tuple[str, ...]
    shape: re.Pattern[str]
    handler: Any
    excess: Callable[[Any], str | None]
    """Says what about a parsed hash is too dear; None when nothing is."""


def _bcrypt_excess(parsed: Any) -> str | None:
    dear = parsed.rounds > MOST_BCRYPT_COST
    return f"cost {parsed.rounds} is above {MOST_BCRYPT_COST}" if dear else None


def _pbkdf2_excess(parsed: Any) -> str | None:
    dear = parsed.rounds > MOST_PBKDF2_ROUNDS
    return f"{parsed.rounds} rounds are above {MOST_PBKDF2_ROUNDS}" if dear else None


def _scrypt_excess(parsed: Any) -> str | None:
    if parsed.rounds >= 16 * parsed.block_size:
        return f"ln={parsed.rounds} cannot be used with r={parsed.block_size}"
    memory = _SCRYPT_KIB * (1 << parsed.rounds) * parsed.block_size
    if memory > MOST_MEMORY_KIB:
        return f"it needs more than {MOST_MEMORY_KIB} KiB of memory"
    if memory * parsed.parallelism > MOST_SCRYPT_PASSES_KIB:
        return f"parallelism {parsed.parallelism} is too much for its memory"
    return None


_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)(?:\$v=(?:16|19))?\$m=(?P<m>[0-9]{1,7}),t=(?P<t>[0-9]{1,7}),p=(?P<p>[0-9]{1,3})"
    r"\$(?P<salt>[A-Za-z0-9+/]{11,86})\$(?P<digest>[A-Za-z0-9+/]{22,86})"
)
_B64 = "[A-Za-z0-9+/.=]"
_SCHEMES = (
    Scheme(
        "bcrypt",
        ("$2a$", "$2b$", "$2y$"),
        re.compile(r"\$2[aby]\$[0-9]{2}\$[A-Za-z0-9./]{53}"),
        bcrypt,
        _bcrypt_excess,
    ),
    Scheme(
        "pbkdf2-sha256",
        ("$pbkdf2-sha256$",),
        re.compile(rf"\$pbkdf2-sha256\$[0-9]{{1,10}}\${_B64}{{1,256}}\${_B64}{{43,44}}"),
        pbkdf2_sha256,
        _pbkdf2_excess,
    ),
    Scheme(
        "pbkdf2-sha256 (Django)",
        ("pbkdf2_sha256$",),
        re.compile(rf"pbkdf2_sha256\$[0-9]{{1,10}}\$[A-Za-z0-9]{{1,128}}\${_B64}{{44}}"),
        django_pbkdf2_sha256,
        _pbkdf2_excess,
    ),
    Scheme(
        "scrypt",
        ("$scrypt$",),
        re.compile(
            r"\$scrypt\$ln=[0-9]{1,2},r=[0-9]{1,4},p=[0-9]{1,4}"
            rf"\${_B64}{{1,256}}\${_B64}{{43,44}}"
        ),
        scrypt,
        _scrypt_excess,
    ),
    Scheme(
        "scrypt",
        ("$7$",),
        re.compile(r"\$7\$[A-Za-z0-9+./]{12,128}\$[A-Za-z0-9./]{43}"),
        scrypt,
        _scrypt_excess,
    ),
)


def check_importable(stored: str) -> None:
    """Raise `ValueError`, whose message says what is wrong, unless `stored` may be imported.

    Accepted: argon2 i, d and id, bcrypt 2a, 2b and 2y, pbkdf2-sha256 as passlib and Django
    write it, scrypt as passlib writes it and in its `$7$` form; each within its bounds.
    """
    if len(stored) > MOST_CHARACTERS or not stored.isascii():
        raise ValueError("not a password hash")
    if stored.startswith("$argon2"):
        _check_argon2(stored)
        return
    scheme = _scheme_of(stored)
    if scheme is None:
        raise ValueError("not a hash of a supported kind (argon2, bcrypt, pbkdf2-sha256, scrypt)")
    if not scheme.shape.fullmatch(stored):
        raise ValueError(f"{scheme.name}: malformed")
    try:
        parsed = scheme.handler.from_string(stored)
    except (ValueError, TypeError):
        raise ValueError(f"{scheme.name}: malformed") from None
    excess = scheme.excess(parsed)
    if excess:
        raise ValueError(f"{scheme.name}: {excess}")


def family_of(stored: str) -> str:
    """Return which of the algorithms a stored hash is of, as the metrics name it."""
    scheme = _scheme_of(stored)
    return ARGON2 if scheme is None else scheme.name.partition("-")[0]


def verify(stored: str, password: str) -> bool:
    """Compare a password with a hash that `check_importable` let in."""
    scheme = _scheme_of(stored)
    if scheme is None:
        raise ValueError("the stored hash is of no known kind")
    octets = password.encode()
    if scheme.handler is bcrypt:
        # bcrypt reads no further, and neither did the system this hash came from.
        octets = octets[:BCRYPT_OCTETS]
    return bool(scheme.handler.verify(octets, stored))


def covers(stored: str, password: str) -> bool:
    """Return whether `verify` compared the whole password, so that it may be hashed anew.

    What bcrypt never read may hold a slip of the finger; hashed, it would lock the person out.
    """
    scheme = _scheme_of(stored)
    cut = scheme is not None and scheme.handler is bcrypt
    return not cut or len(password.encode()) <= BCRYPT_OCTETS


def _scheme_of(stored: str) -> Scheme | None:
    return next((scheme for scheme in _SCHEMES if stored.startswith(scheme.prefixes)), None)


def _check_argon2(stored: str) -> None:
    match = _ARGON2.fullmatch(stored)
    if not match or not all(_is_canonical(part) for part in match.group("salt", "digest")):
        raise ValueError("argon2: malformed")
    memory, passes, lanes = (int(part) for part in match.group("m", "t", "p"))
    if not passes or not 1 <= lanes <= MOST_ARGON2_LANES or memory < 8 * lanes:
        raise ValueError(f"argon2: t={passes}, p={lanes} cannot be used with m={memory}")
    if memory > MOST_MEMORY_KIB:
        raise ValueError(f"argon2: m={memory} is above {MOST_MEMORY_KIB}")
    if memory * passes > MOST_ARGON2_KIB_PASSES:
        raise ValueError(f"argon2: t={passes} is too much for m={memory}")


def _is_canonical(unpadded: str) -> bool:
    """Return whether this is the one base64 spelling of its octets: argon2 refuses others."""
    try:
        octets = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except ValueError:
        return False
    return base64.b64encode(octets).decode().rstrip("=") == unpadded
