"""Deadlines of servers whose tests are not about deadlines: a busy machine is no outage."""

from typing import Any, Final

from pydantic import SecretStr

from keyturn.settings_postgres import PostgresSettings

POSTGRES: Final = {
    "connect_timeout": 20.0,
    "statement_timeout": 20.0,
    "lock_timeout": 10.0,
    "pool_wait": 20.0,
}
DATABASE: Final = {f"postgres__{name}": str(value) for name, value in POSTGRES.items()}
SERVERS: Final = {**DATABASE, "redis__timeout": "2"}
"""For the environment of a server, as `support.replicas.settings` takes changes."""


def patient(url: str, **changes: Any) -> PostgresSettings:
    """Return settings for pools of a test's own process."""
    return PostgresSettings(url=SecretStr(url), **{**POSTGRES, **changes})
