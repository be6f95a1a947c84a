"""A browser; and a real server behind TLS, where its issuer says, for programs that insist on it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support import chromium, debian, demo_cases, replicas
from support.api import Api, api_of
from support.demo_stage import Stage, staged
from support.dev_server import dev_server
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


@pytest.fixture(scope="session")
def demo_dev() -> Iterator[dict[str, Any]]:
    """`keyturn dev`, for the cases in which something breaks."""
    with dev_server("--ephemeral") as facts:
        yield facts


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Iterator[demo_cases.Row]:
    """The row that a case fills; what is in it at the end is handed in, whatever came of the test."""
    one = demo_cases.Row(*request.param)
    yield one
    request.node.user_properties.append(demo_cases.handed_in(one))


@pytest.fixture
async def stage(
    browser: chromium.Chromium,
    demo_dev: dict[str, Any],
    row: demo_cases.Row,
    tmp_path: Path,
) -> AsyncIterator[Stage]:
    """The demo in a browser whose network can be broken."""
    async with staged(browser, demo_dev, row, demo_cases.pictures(tmp_path)) as one:
        yield one


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table of what broke, and keep it beside the pictures."""
    reports = [one for found in terminalreporter.stats.values() for one in found]
    demo_cases.publish(demo_cases.told(reports), terminalreporter.write)
