"""Settings of Redis, which may be absent and may vanish. Durations are seconds."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from keyturn.settings_redis_url import redis_url
from keyturn.settings_syntax import Fraction, Section


class RedisSettings(Section):
    """The cache: revocations, limits. May be absent, and may vanish at any time."""

    url: Annotated[SecretStr, AfterValidator(redis_url)] | None = Field(
        None, description="redis:// or unix:// URL; redis+sentinel://, redis+cluster://."
    )
    timeout: Fraction = Field(0.05, description="Seconds one command may take.")
    breaker_failures: int = Field(3, ge=1, description="Failures in a row that open the breaker.")
    breaker_pause: Fraction = Field(1.0, description="Seconds an open breaker asks nothing.")
