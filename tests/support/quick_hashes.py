"""Password hashes that cost next to nothing, for the servers whose tests are about other things.

Nearly every black-box test signs somebody in, and the least that the settings allow is most of
what that costs. So one strength is only said: where the settings are `SAID`, a hash is made and
checked at the price of `MEANT`, and everything else is as it is: the settings, the form of a
hash, its age, the pool. Tests of hashing and of floods set another strength, which is real.
"""

from typing import Final

from argon2 import PasswordHasher

from keyturn.users import passwords

MEMORY_KIB: Final = 7168
TIME_COST: Final = 6
SAID: Final = f"$m={MEMORY_KIB},t={TIME_COST},p=1$"
MEANT: Final = "$m=64,t=1,p=1$"


class QuickHasher(PasswordHasher):
    """The library's, but for one strength."""

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Return the PHC string; at `SAID`, one that only this class can verify."""
        if (self.memory_cost, self.time_cost, self.parallelism) != (MEMORY_KIB, TIME_COST, 1):
            return super().hash(password, salt=salt)
        cheap = PasswordHasher(
            time_cost=1, memory_cost=64, parallelism=1,
            hash_len=self.hash_len, salt_len=self.salt_len,
        )  # fmt: skip
        return cheap.hash(password, salt=salt).replace(MEANT, SAID)

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002
        """Verify, as the library does."""
        said = hash if isinstance(hash, str) else hash.decode()
        return super().verify(said.replace(SAID, MEANT), password)


def allow() -> None:
    """Let the rules of this process hash so, where they are told `SAID`."""
    passwords.PasswordHasher = QuickHasher  # type: ignore[attr-defined,misc]
