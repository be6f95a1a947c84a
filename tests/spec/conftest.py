"""Servers that black-box rows share, beside the pair of `api`: two on loopback, and odd ones.

What one module alone asks for ends with it: a server that idles is not for nothing.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from keyturn.db.migrate import migrate
from keyturn.dev.supervisor import EmbeddedPair
from support import replicas
from support.api import Api, api_of, joined
from support.browserless import SITE, SPA, Browserless
from support.patience import SERVERS
from support.servers import Databases, private_pair

LOOPBACK = ("http://localhost:8080", "http://localhost:9090")


@pytest.fixture(scope="module")
async def below_auth(api: Api) -> AsyncIterator[Api]:
    """A third replica of the pair, whose cookies are for /auth only."""
    environ = {**api.settings, "KEYTURN_SESSION_API__COOKIE_PATH": "/auth"}
    with replicas.replicas(environ) as (one,):
        async with joined(api, one) as running:
            yield running


@pytest.fixture(scope="module")
async def loopback(databases: Databases, shared_redis_url: str) -> AsyncIterator[tuple[Api, Api]]:
    """Two servers of two http issuers on this machine, as two `keyturn dev` are."""
    async with databases.fresh(keyed=True) as one, databases.fresh() as two:
        environs = [
            replicas.settings(url, shared_redis_url, issuer=issuer, **replicas.GENEROUS, **SERVERS)
            for url, issuer in zip((one, two), LOOPBACK, strict=True)
        ]
        with replicas.replicas(environs[0]) as first, replicas.replicas(environs[1]) as second:
            async with api_of(environs[0], first) as a, api_of(environs[1], second) as b:
                yield a, b


@pytest.fixture(scope="session")
async def outage() -> AsyncIterator[tuple[Api, EmbeddedPair]]:
    """A server with a PostgreSQL and a Valkey of its own; who kills one starts it again."""
    async with private_pair() as pair:
        await migrate(pair.postgres_url)
        environ = replicas.settings(pair.postgres_url, pair.redis_url, **replicas.GENEROUS)
        with replicas.replicas(environ) as started:
            async with api_of(environ, started) as running:
                yield running, pair


@pytest.fixture(scope="session")
async def rp(api: Api) -> str:
    """A confidential client of the code flow, whose people are asked for consent."""
    return await api.client(SITE)


@pytest.fixture(scope="session")
async def spa(api: Api) -> str:
    """A public, first-party client of the code flow."""
    return await api.client(SPA)


@pytest.fixture
def browser(api: Api) -> Browserless:
    """A browser that has never been here."""
    return Browserless(api)


@pytest.fixture
def fresh_process(api: Api) -> Iterator[replicas.Replica]:
    """A server process that has seen nothing of what the others did."""
    with replicas.replicas(api.settings) as (one,):
        yield one
