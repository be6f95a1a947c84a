"""Who waits for a connection gets it in turn, in time, and never loses it for the others."""

import asyncio

import pytest
from pydantic import SecretStr

from keyturn.db.pool import Database
from keyturn.errors import Unavailable
from keyturn.settings_postgres import PostgresSettings
from keyturn.telemetry.metrics import Metrics


@pytest.fixture
async def database(database_url):
    """A pool of one connection."""
    settings = PostgresSettings(url=SecretStr(database_url), pool_max=1, pool_wait=0.2)
    database = Database(settings, Metrics())
    yield database
    await database.close()


async def started(work):
    """Return the task of `work` once it waits for something."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


async def test_a_newcomer_does_not_overtake_who_waits(database):
    line = await database.acquire()
    waiting = await started(database.acquire())

    newcomer = asyncio.create_task(database.acquire())  # runs before `waiting` wakes up
    database.release(line)

    assert await waiting is line
    assert not newcomer.done()
    database.release(line)
    assert await newcomer is line
    database.release(line)


async def test_who_waits_too_long_is_refused_and_leaves_nothing_behind(database):
    line = await database.acquire()
    waiting = await started(database.acquire())

    with pytest.raises(Unavailable):
        await waiting

    database.release(line)
    assert await database.acquire() is line
    database.release(line)


async def test_a_connection_handed_to_a_cancelled_request_goes_to_the_next(database):
    line = await database.acquire()
    hung_up = await started(database.acquire())
    next_in_turn = await started(database.acquire())

    database.release(line)
    hung_up.cancel()

    with pytest.raises(asyncio.CancelledError):
        await hung_up
    assert await next_in_turn is line
    database.release(line)
    assert (database.in_use(), database.idle()) == (0, 1)


async def test_the_place_of_a_broken_connection_goes_to_who_waits(database):
    line = await database.acquire()
    waiting = await started(database.acquire())

    line.broken = True
    database.release(line)

    other = await waiting
    assert other is not line
    database.release(other)
    assert (database.in_use(), database.idle()) == (0, 1)
