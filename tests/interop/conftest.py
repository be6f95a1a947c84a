"""A browser; and a real server behind TLS, where its issuer says, for programs that insist on it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2
import pytest

from support import chromium, debian, replicas
from support.api import Api, api_of
from support.patience import SERVERS
from support.servers import Databases
from support.tls_front import TlsFront, tls_front

Served = tuple[Api, TlsFront]
"""A server, and what stands in front of it."""


@pytest.fixture(scope="session")
def serve_behind_tls(
    databases: Databases, shared_redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractAsyncContextManager[Served]]:
    """Serve with these settings until the end of the block."""

    @asynccontextmanager
    async def serve(**settings: str) -> AsyncIterator[Served]:
        folder = tmp_path_factory.mktemp("tls")
        async with tls_front(folder) as front, databases.fresh() as url:
            changes = {"issuer": front.origin, **replicas.GENEROUS, **SERVERS, **settings}
            environ = replicas.settings(url, shared_redis_url, **changes)
            with replicas.replicas(environ) as started:
                front.target = httpx2.URL(started[0].url).port or 0
                async with api_of(environ, started) as api:
                    yield api, front

    return serve


@pytest.fixture(scope="session")
async def behind_tls(
    serve_behind_tls: Callable[..., AbstractAsyncContextManager[Served]],
) -> AsyncIterator[Served]:
    """The server of whoever needs no settings of its own."""
    async with serve_behind_tls() as served:
        yield served


@pytest.fixture(scope="session")
def chromium_program() -> chromium.Program:
    """A Chromium; skips whoever needs it where it is neither installed nor to be had."""
    try:
        return chromium.obtained()
    except debian.NotObtainable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
async def browser(chromium_program: chromium.Program) -> AsyncIterator[chromium.Chromium]:
    """One browser for all; each test has a tab of its own."""
    async with chromium.running(chromium_program) as one:
        yield one
