"""Passwords at rest: argon2id in PHC form (RFC 9106), or an imported hash until the next sign-in.

An account that does not exist is checked against a dummy of the same parameters, and a failed
check of an imported hash sets the time that every failure takes: nobody learns by the clock who
has an account here, or where it came from.
"""

import base64
from dataclasses import dataclass, field
from uuid import UUID

from argon2 import PasswordHasher, Type
from argon2.exceptions import HashingError, VerificationError, VerifyMismatchError

from keyturn.crypto import opaque
from keyturn.errors import Throttled, Unavailable
from keyturn.settings_credentials import PasswordsSettings
from keyturn.telemetry.labels import ARGON2
from keyturn.users import foreign_hashes, password_text
from keyturn.users.failure_floor import FailureFloor
from keyturn.users.hash_pool import HashPool

SALT_SIZE = 16
DIGEST_SIZE = 32


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether a password matched, and whether its hash should be replaced by one of ours."""

    ok: bool
    rehash_needed: bool = False


@dataclass(frozen=True, slots=True)
class Passwords:
    """Hashes and verifies, in the pool's threads."""

    settings: PasswordsSettings
    pool: HashPool
    _floor: FailureFloor = field(default_factory=FailureFloor, init=False, repr=False)
    _choosing: set[UUID] = field(default_factory=set, init=False, repr=False)
    _hasher: PasswordHasher = field(init=False, repr=False)
    _dummy: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Fix the parameters and the dummy."""
        hasher = PasswordHasher(
            time_cost=self.settings.time_cost,
            memory_cost=self.settings.memory_kib,
            parallelism=self.settings.parallelism,
            hash_len=DIGEST_SIZE,
            salt_len=SALT_SIZE,
            type=Type.ID,
        )
        object.__setattr__(self, "_hasher", hasher)
        object.__setattr__(self, "_dummy", _dummy(self.settings))

    async def hash(self, password: str) -> str:
        """Return the PHC string of a new password.

        Raises `WeakPassword` (before hashing) and `Unavailable`.
        """
        text = password_text.chosen(password)
        return await self.pool.run(lambda: self._hash(text))

    async def hash_for(self, user_id: UUID, password: str) -> str:
        """Return the PHC string of a password that a signed-in person chose.

        One at a time for each of them: else one person could fill the queue, and nobody else
        would sign in. Raises as `hash` does, and `Throttled`.
        """
        if user_id in self._choosing:
            self.pool.metrics.throttled("account")
            raise Throttled("throttle: another new password is being hashed", retry_after=1)
        self._choosing.add(user_id)
        try:
            return await self.hash(password)
        finally:
            self._choosing.remove(user_id)

    async def rehash(self, verified: str) -> str:
        """Return the PHC string of a password that has just matched, however short it is."""
        text = password_text.presented(verified)[0]
        return await self.pool.run(lambda: self._hash(text))

    async def verify(self, stored: str | None, password: str) -> Verified:
        """Compare a presented password with a stored hash; None costs the same and never matches.

        Every failure takes the same time. Raises `WeakPassword` for what no password can be, and
        `Unavailable`.
        """
        spellings = password_text.presented(password)
        algorithm = foreign_hashes.family_of(stored) if stored else ARGON2
        verified, seconds = await self.pool.run(lambda: self._timed(stored, spellings), algorithm)
        if stored and not self._is_ours(stored):
            self._floor.raise_to(seconds)
        if not verified.ok:
            await self._floor.wait_out(seconds)
        return verified

    def _hash(self, text: str) -> str:
        try:
            return self._hasher.hash(text, salt=opaque.token_bytes(SALT_SIZE))
        except HashingError as error:
            raise Unavailable(f"argon2: {error}") from error

    def _timed(self, stored: str | None, spellings: tuple[str, ...]) -> tuple[Verified, float]:
        began = self.pool.clock.monotonic()
        verified = self._verify(stored, spellings) if stored else Verified(ok=False)
        if not verified.ok and not (stored and self._is_ours(stored)):
            # For nobody's password, and for a foreign hash: its haste would tell of a cheap one.
            self._verify(self._dummy, spellings)
        return verified, self.pool.clock.monotonic() - began

    def _verify(self, stored: str, spellings: tuple[str, ...]) -> Verified:
        for text in spellings:
            if self._matches(stored, text):
                as_typed = text != spellings[0]
                return Verified(ok=True, rehash_needed=as_typed or self._is_outdated(stored, text))
        return Verified(ok=False)

    def _matches(self, stored: str, text: str) -> bool:
        if not stored.startswith("$argon2"):
            return foreign_hashes.verify(stored, text)
        try:
            return self._hasher.verify(stored, text)
        except VerifyMismatchError:
            return False
        except VerificationError as error:
            # Not the password: the library could not get the memory.
            raise Unavailable(f"argon2: {error}") from error

    def _is_outdated(self, stored: str, text: str) -> bool:
        return not self._is_ours(stored) and foreign_hashes.covers(stored, text)

    def _is_ours(self, stored: str) -> bool:
        """Return whether it is argon2id at today's price."""
        return stored.startswith("$argon2") and not self._hasher.check_needs_rehash(stored)


def _dummy(settings: PasswordsSettings) -> str:
    """Return a hash nothing matches, at the price of a real one; nothing was hashed for it."""
    salt, digest = (
        base64.b64encode(opaque.token_bytes(size)).decode().rstrip("=")
        for size in (SALT_SIZE, DIGEST_SIZE)
    )
    costs = f"m={settings.memory_kib},t={settings.time_cost},p={settings.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
