"""How a connection is opened: to a server that takes writes, with our deadlines and codecs."""

import asyncpg
import orjson
from asyncpg.connect_utils import SessionAttribute

from keyturn.settings import PostgresSettings


async def connect(
    settings: PostgresSettings, session_settings: dict[str, str] | None = None
) -> asyncpg.Connection:
    """Open one connection with our deadlines and codecs."""
    milliseconds = int(settings.statement_timeout * 1000)
    # A standby would answer with yesterday's sessions: only a server that takes writes will do.
    connection: asyncpg.Connection = await asyncpg.connect(
        settings.dsn(),
        timeout=settings.connect_timeout,
        statement_cache_size=0,
        target_session_attrs=SessionAttribute.read_write,
        server_settings={
            "application_name": "keyturn",
            "statement_timeout": str(milliseconds),
            "lock_timeout": str(int(settings.lock_timeout * 1000)),
            "idle_in_transaction_session_timeout": str(2 * milliseconds),
            "plan_cache_mode": "force_generic_plan",
            "timezone": "UTC",
            **(session_settings or {}),
        },
    )
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )
    return connection
