"""The fixtures everybody stands on: real, migrated, and nobody else's."""

import asyncio

import asyncpg
import pytest
import redis.asyncio
import uvloop

from keyturn.db.migrate import required_version


@pytest.fixture(scope="session")
async def sessions_loop(databases) -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_each_test_has_a_migrated_database_and_an_empty_key_space(
    turn, database_url, redis_url
):
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("select max(version) from schema_migrations") == (
        required_version()
    )
    await connection.execute("create table left_over (word text)")
    await connection.close()
    async with redis.asyncio.from_url(redis_url) as client:
        assert await client.get("left over") is None
        await client.set("left over", turn)


async def test_session_fixtures_and_tests_share_one_uvloop(sessions_loop):
    """Else a pool made by a fixture would hang in a test."""
    assert asyncio.get_running_loop() is sessions_loop
    assert isinstance(sessions_loop, uvloop.Loop)
