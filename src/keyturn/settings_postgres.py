"""Settings of PostgreSQL, the only truth. Durations are seconds."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from keyturn import settings_syntax as syntax
from keyturn.settings_syntax import Fraction, Section


class PostgresSettings(Section):
    """The database: the only truth. PostgreSQL 15 or later, the primary."""

    url: Annotated[SecretStr, AfterValidator(syntax.postgres_url)] = Field(
        description="Connection URL; its password may come from url_file."
    )
    pool_max: int = Field(10, ge=1, le=200, description="Most connections held by one process.")
    connect_timeout: Fraction = Field(1.0, description="Seconds to open a connection.")
    statement_timeout: Fraction = Field(2.0, description="Seconds one statement may take.")
    lock_timeout: Fraction = Field(1.0, description="Seconds to wait for a row lock.")
    pool_wait: Fraction = Field(0.5, description="Seconds to wait for a free connection.")
    async_rotation: bool = Field(
        default=False,
        description="Commit rotations asynchronously; a crash may lose the last ones, which heal.",
    )

    def dsn(self) -> str:
        """Return the connection URL in clear, for the driver only."""
        return self.url.get_secret_value()
