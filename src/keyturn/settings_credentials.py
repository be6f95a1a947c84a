"""How passwords are hashed, and how many guesses of any credential are let through."""

from typing import Self

from pydantic import Field, model_validator

from keyturn.settings_syntax import Fraction, Seconds, Section


class PasswordsSettings(Section):
    """Argon2id costs and the bounds of hashing."""

    memory_kib: int = Field(19456, ge=7168, description="Argon2id memory, KiB.")
    time_cost: int = Field(2, ge=1, description="Argon2id passes.")
    parallelism: int = Field(1, ge=1, description="Argon2id lanes.")
    workers: int | None = Field(None, ge=1, description="Hashes at once; absent: one a core.")
    queue_limit: int = Field(64, ge=1, description="Hashes that may wait; more are refused.")
    deadline: Fraction = Field(5.0, description="Seconds a hash may wait and run.")

    @model_validator(mode="after")
    def _strong_enough(self) -> Self:
        # OWASP's equivalents: less memory asks for more passes.
        floors = ((47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5))
        if not any(self.memory_kib >= m and self.time_cost >= t for m, t in floors):
            raise ValueError("argon2 is weaker than memory_kib=19456, time_cost=2")
        return self


class ThrottleSettings(Section):
    """Guessing limits; counters live in Redis, in the process while Redis is away."""

    account_attempts: int = Field(5, ge=1, description="Failures for one account before delay.")
    address_attempts: int = Field(30, ge=1, description="Failures from one address a window.")
    global_attempts: int = Field(3000, ge=1, description="Failures altogether a window.")
    client_attempts: int = Field(20, ge=1, description="Failed client secrets a window.")
    window: Seconds = Field(300, description="Seconds a failure counts.")
    longest_delay: Seconds = Field(300, description="Longest delay of one account.")
    memory_keys: int = Field(50_000, ge=1000, description="Most counters held in the process.")
