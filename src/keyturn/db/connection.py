"""How a connection is opened: to a server that takes writes, with our deadlines and codecs."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import orjson
from asyncpg.connect_utils import SessionAttribute

from keyturn.db.trouble import TROUBLE
from keyturn.settings_postgres import PostgresSettings


@dataclass(slots=True, eq=False)
class Opener:
    """Opens connections to whichever of the hosts in the URL takes writes.

    Each host has the whole deadline: the driver's own would end with the first host that hangs,
    and a standby that was promoted for it would never be asked.
    """

    settings: PostgresSettings
    session_settings: dict[str, str] = field(default_factory=dict)
    _urls: list[str] = field(init=False, repr=False)
    """One a host; the one that answered last is first."""

    def __post_init__(self) -> None:
        """Read the hosts."""
        self._urls = one_host_each(self.settings.dsn())

    async def open(self) -> asyncpg.Connection:
        """Return a new connection. Raises one of `TROUBLE` when no host gives one."""
        *others, last = self._urls
        for url in others:
            try:
                return await self._open(url)
            except TROUBLE:
                continue
        return await self._open(last)

    async def _open(self, url: str) -> asyncpg.Connection:
        connection = await _connect(url, self.settings, self.session_settings)
        self._urls.sort(key=lambda one: one != url)
        return connection


def one_host_each(url: str) -> list[str]:
    """Return `url` once for each host of `user:password@one:5432,two:5432`."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    return [
        urlunsplit(parts._replace(netloc=f"{login}{at}{host}")) if host else url
        for host in hosts.split(",")
    ]


async def _connect(
    url: str, settings: PostgresSettings, session_settings: dict[str, str]
) -> asyncpg.Connection:
    milliseconds = int(settings.statement_timeout * 1000)
    # A standby would answer with yesterday's sessions: only a server that takes writes will do.
    connection: asyncpg.Connection = await asyncpg.connect(
        url,
        timeout=settings.connect_timeout,
        statement_cache_size=0,
        target_session_attrs=SessionAttribute.read_write,
        server_settings={
            "application_name": "keyturn",
            "statement_timeout": str(milliseconds),
            "lock_timeout": str(int(settings.lock_timeout * 1000)),
            "idle_in_transaction_session_timeout": str(2 * milliseconds),
            "plan_cache_mode": "force_generic_plan",
            "jit": "off",  # generic plans look dear on a large table; compiling costs more
            "timezone": "UTC",
            **session_settings,
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
