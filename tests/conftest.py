"""One PostgreSQL and one Valkey for the whole session; a fresh database and key space a test.

`KEYTURN_TEST_POSTGRES_URL` names another server to use (a superuser's URL); the suite then makes
and drops databases named `keyturn_t...` on it and touches nothing else.

`KEYTURN_TEST_REDIS=sentinel` (or `cluster`) puts the shared servers' Redis behind Sentinels or on a
Cluster. A Cluster has no numbered databases: a test that wants an empty one has all flushed, from
which those that share it recover by themselves. A test that kills or freezes its own Redis keeps it.
"""

# ruff: noqa: E402 - what is imported is to be kept
import sys

# Rewriting the asserts of all tests and of Hypothesis takes longer than running many of them, in
# each worker again where the environment says that Python keeps nothing compiled.
sys.dont_write_bytecode = False

import os
import socket
import ssl
from collections.abc import AsyncIterator, Generator
from contextlib import nullcontext
from functools import cache

import httpcore2
import hypothesis
import pytest
import typer.testing

from keyturn.dev.valkey import ValkeyServer
from support import patience, pooled, quick_hashes, redis_topologies, replicas
from support.api import Api, api_of
from support.delays import delayed
from support.invalid import only_invalid
from support.redis_topologies import DATABASES, KeySpaces
from support.servers import Databases, private_postgres, private_valkey

HTTPS = "https://localhost:8443"

# Every HTTP client reads all the authorities that the machine trusts, which costs more than most
# requests; no test speaks to a site that one of them vouches for.
httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)
ssl.SSLContext.load_default_certs = lambda *_: None

# So does putting all commands together, which a command line does once.
typer.testing._get_command = cache(typer.testing._get_command)

quick_hashes.allow()

# A machine that is busy with other things is no failure of a property.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """Hand files out in the order they are found: the many small ones of `unit` even out the end.

    By default those with the most tests come first, and one long test alone would come last.
    """
    config.option.loadscopereorder = False


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let workers speak at once when they count repeats, which they do before every test.

    They send twice before they read: by default the second waits for the receipt of the first.
    """
    if hasattr(session.config, "workerinput"):
        line = session.config.failures_db.sock
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Ask experiments again that were too slow to show anything, or whose tasks say so in a group."""
    moment = pyfuncitem.get_closest_marker("moment")
    with delayed(*moment.args) if moment else nullcontext():
        try:
            return (yield)
        except BaseExceptionGroup as group:
            if invalid := only_invalid(group):
                raise invalid from group
            raise


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run every test on one uvloop, as the server does; session fixtures live in it, too."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session", autouse=True)
def given_postgres_url() -> str | None:
    """What the developer's environment names; taken out of it, as it is no setting of a server."""
    return os.environ.pop("KEYTURN_TEST_POSTGRES_URL", None)


@pytest.fixture(scope="session")
async def postgres_url(given_postgres_url: str | None) -> AsyncIterator[str]:
    """The session's PostgreSQL server: any database of it, as a superuser."""
    if given_postgres_url:
        yield given_postgres_url
        return
    # Nothing lives long enough here to be vacuumed.
    async with private_postgres({"max_connections": "400", "autovacuum": "off"}) as server:
        yield server.url


@pytest.fixture(scope="session", autouse=True)
def wants_pooler() -> str | None:
    """Whether every server is to be behind a PgBouncer (`support.pooled`); no setting of one."""
    return os.environ.pop(pooled.VARIABLE, None)


@pytest.fixture(scope="session")
async def databases(postgres_url: str, wants_pooler: str | None) -> AsyncIterator[Databases]:
    """The session's migrated template, and clones of it."""
    pooler = pooled.everywhere(postgres_url) if wants_pooler else nullcontext()
    async with pooler, Databases.on(postgres_url) as databases:
        yield databases


@pytest.fixture
async def database_url(databases: Databases) -> AsyncIterator[str]:
    """A migrated database that belongs to this test alone."""
    async with databases.fresh() as url:
        yield url


@pytest.fixture
async def keyed_database_url(databases: Databases) -> AsyncIterator[str]:
    """A database of this test's own that has signing keys, as one that was served before."""
    async with databases.fresh(keyed=True) as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def redis_topology() -> str:
    """What the developer's environment asks for: `server`, `sentinel` or `cluster`."""
    return os.environ.pop("KEYTURN_TEST_REDIS", "server")


@pytest.fixture(scope="session")
async def valkey_server() -> AsyncIterator[ValkeyServer]:
    """The session's Valkey. A test that disturbs it takes `private_valkey` instead."""
    async with private_valkey() as server:
        yield server


@pytest.fixture(scope="session")
async def key_spaces(redis_topology: str, valkey_server: ValkeyServer) -> AsyncIterator[KeySpaces]:
    """Where the session's key spaces are: on the server above, or on a whole topology."""
    if redis_topology == "server":
        yield KeySpaces(valkey_server)
    elif redis_topology == "sentinel":
        async with redis_topologies.watched(DATABASES) as running:
            yield KeySpaces(running)
    else:
        async with redis_topologies.clustered(HTTPS) as running:
            yield KeySpaces(running)


@pytest.fixture
async def redis_url(key_spaces: KeySpaces) -> str:
    """A key space that this test finds empty."""
    return await key_spaces.empty()


@pytest.fixture(scope="session")
def shared_redis_url(key_spaces: KeySpaces) -> str:
    """The key space no test flushes, where there is more than one."""
    return key_spaces.shared


@pytest.fixture(scope="session")
async def api(databases: Databases, shared_redis_url: str) -> AsyncIterator[Api]:
    """Two replicas of one https issuer, one database, one Redis: as behind a TLS proxy."""
    async with databases.fresh(keyed=True) as url:
        environ = replicas.settings(
            url,
            shared_redis_url,
            issuer=HTTPS,
            **replicas.GENEROUS,
            **replicas.REGISTERING,
            **patience.SERVERS,
        )
        with replicas.replicas(environ, 2) as pair:
            async with api_of(environ, pair) as running:
                yield running
