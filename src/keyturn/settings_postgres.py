"""Settings of PostgreSQL, the only truth. Durations are seconds."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from keyturn import settings_syntax as syntax
from keyturn.settings_syntax import Fraction, Section

Url = Annotated[SecretStr, AfterValidator(syntax.postgres_url)]


class PostgresSettings(Section):
    """The database: the only truth. PostgreSQL 15 or later, the primary."""

    url: Url = Field(description="Connection URL; its password may come from url_file.")
    pooler: Literal["none", "transaction"] = Field(
        "none", description="What stands between: nothing, or a pooler of transactions."
    )
    direct_url: Url | None = Field(
        None, description="Past the pooler, for what needs a session; or direct_url_file."
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

    @model_validator(mode="after")
    def _possible_behind_a_pooler(self) -> Self:
        if self.pooler == "none":
            return self
        if self.direct_url is None:
            raise ValueError(
                "pooler: transaction needs direct_url, which leads past the pooler: migrations "
                "and the lock of the process that leads jobs need a session of their own"
            )
        if self.async_rotation:
            raise ValueError(
                "async_rotation is not for pooler: transaction; connect to PostgreSQL itself, "
                "or let rotations wait for the disk"
            )
        return self

    @property
    def is_pooled(self) -> bool:
        """Whether two transactions on one connection may be two sessions of the server."""
        return self.pooler == "transaction"

    def direct(self) -> "PostgresSettings":
        """Return the same settings without the pooler, for what needs a session of its own."""
        return self.model_copy(update={"url": self.direct_url or self.url, "pooler": "none"})

    def dsn(self) -> str:
        """Return the connection URL in clear, for the driver only."""
        return self.url.get_secret_value()
