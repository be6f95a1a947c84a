"""Clients while PostgreSQL is away: those known go on for a while, and nobody waits for it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from keyturn.clients.registry import MAX_AGE, MOST_STALE, RETRY, Registry
from keyturn.clock import FixedClock, SystemClock
from keyturn.db.migrate import migrate
from keyturn.db.pool import Database
from keyturn.errors import Unavailable
from keyturn.settings_postgres import PostgresSettings
from keyturn.telemetry.metrics import Metrics
from support.registered import Clients
from support.servers import private_postgres


async def test_the_last_copy_serves_for_five_minutes_and_then_nobody_is_let_in():
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with private_postgres() as server:
        await migrate(server.url)
        async with Clients.of(server.url, clock) as clients:
            secret = await clients.add()
            assert secret is not None
            assert await clients.registry.get("job") is not None
            await server.stop()

            clock.advance(timedelta(seconds=MAX_AGE))
            assert await clients.registry.get("job") is not None
            assert await clients.registry.get("nobody") is None

            began = time.monotonic()
            for _ in range(1000):
                assert await clients.registry.get("job") is not None
            assert time.monotonic() - began < 0.5, "callers waited for a server that is away"

            clock.advance(timedelta(seconds=MOST_STALE - MAX_AGE - 0.1))
            assert await clients.registry.get("job") is not None
            clock.advance(timedelta(seconds=0.1))
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await clients.registry.get("job")

            await server.start()
            await _again(clients.registry)
            await clients.administration.disable("job")
            clients.registry.invalidate("job")
            assert await clients.registry.get("job") is None


async def test_a_process_that_never_saw_the_database_answers_503():
    async with private_postgres() as server:
        await server.stop()
        database = Database(PostgresSettings(url=server.url), Metrics())
        with pytest.raises(Unavailable):
            await Registry(database, SystemClock()).get("job")


async def test_attempts_pause_while_postgresql_is_away():
    """A thousand requests a second must not become a thousand connection attempts."""
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with private_postgres() as server:
        await migrate(server.url)
        async with Clients.of(server.url, clock) as clients:
            await clients.add()
            await clients.registry.get("job")
            await server.stop()
            clock.advance(timedelta(seconds=MAX_AGE))
            await clients.registry.get("job")
            attempts = clients.database.watch.statements
            attempts.clear()
            for _ in range(100):
                await clients.registry.get("job")
                await asyncio.sleep(0)
            assert attempts == []
            clock.advance(timedelta(seconds=RETRY))
            for _ in range(100):
                await clients.registry.get("job")
                await asyncio.sleep(0)
            assert attempts == ["moment"]


async def _again(registry: Registry) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            assert await registry.get("job") is not None
        except Unavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            return
