"""How a connection is opened: to a server that takes writes, with our deadlines and codecs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import orjson
from asyncpg.connect_utils import SessionAttribute

from keyturn.db.address import Address
from keyturn.db.session import Session
from keyturn.db.trouble import TROUBLE
from keyturn.settings_postgres import PostgresSettings


@dataclass(slots=True, eq=False)
class Opener:
    """Opens connections to whichever of the hosts in the URL takes writes.

    Each host has the whole deadline: the driver's own would end with the first host that hangs,
    and a standby that was promoted for it would never be asked.
    """

    settings: PostgresSettings
    session_settings: Mapping[str, str] = field(default_factory=dict)
    session: Session = field(init=False)
    _address: Address = field(init=False)
    _last_host: str = field(default="", init=False)
    """The host that answered last, which is asked first."""

    def __post_init__(self) -> None:
        """Nothing is read or connected before the first connection is wanted."""
        self.session = Session.of(self.settings, self.session_settings)
        self._address = Address(self.settings.url)

    async def open(self) -> asyncpg.Connection:
        """Return a new connection. Raises one of `TROUBLE` when no host gives one."""
        url = self._address.url()
        try:
            connection = await self._open(url)
        except asyncpg.InvalidAuthorizationSpecificationError:
            other = self._address.other_login(url)
            if other is None:
                raise
            url, connection = other, await self._open(other)
        self._address.worked(url)
        return connection

    async def _open(self, url: str) -> asyncpg.Connection:
        each = sorted(one_host_each(url), key=lambda one: _host(one) != self._last_host)
        trouble: BaseException | None = None
        for one in each:
            try:
                return await self._open_host(one)
            except asyncpg.InvalidAuthorizationSpecificationError as error:
                trouble = error  # says more than that another host is away
            except TROUBLE as error:
                trouble = trouble or error
        raise trouble or OSError("no host")

    async def _open_host(self, url: str) -> asyncpg.Connection:
        connection = await _connect(url, self.settings, self.session)
        self._last_host = _host(url)
        return connection


def one_host_each(url: str) -> list[str]:
    """Return `url` once for each host of `user:password@one:5432,two:5432`."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    return [
        urlunsplit(parts._replace(netloc=f"{login}{at}{host}")) if host else url
        for host in hosts.split(",")
    ]


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


async def _connect(url: str, settings: PostgresSettings, session: Session) -> asyncpg.Connection:
    # A standby would answer with yesterday's sessions: only a server that takes writes will do.
    # A pooler repeats what the server said of itself long ago: it is asked below.
    pooled = settings.is_pooled
    connection: asyncpg.Connection = await asyncpg.connect(
        url,
        timeout=settings.connect_timeout,
        statement_cache_size=0,
        target_session_attrs=SessionAttribute.any if pooled else SessionAttribute.read_write,
        server_settings=dict(session.at_start),
    )
    if pooled:
        await _ask(connection, session, settings)
    await speak_jsonb(connection)
    return connection


async def speak_jsonb(connection: asyncpg.Connection) -> None:
    """Have `jsonb` go in and come out as Python's dicts, lists and scalars; asks the server."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )


async def _ask(
    connection: asyncpg.Connection, session: Session, settings: PostgresSettings
) -> None:
    """Begin one transaction behind the pooler: that fails where the server takes no writes."""
    try:
        await connection.execute(f"{session.begin}; rollback", timeout=settings.connect_timeout)
    except BaseException:
        connection.terminate()
        raise
