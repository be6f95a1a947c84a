"""A server that is there to be attacked: what is sent to it may close, end and fill anything."""

import os
from collections.abc import AsyncIterator

import pytest

from support import patience
from support.api import Api, api_of
from support.replicas import GENEROUS, REGISTERING, replicas, settings
from support.servers import Databases


@pytest.fixture(scope="session")
def attack_seed() -> int:
    """What repeats a run."""
    return int(os.environ.get("KEYTURN_ATTACK_SEED", "7"))


@pytest.fixture(scope="session")
async def target(databases: Databases, shared_redis_url: str) -> AsyncIterator[Api]:
    """A replica of its own, with every door open."""
    async with databases.fresh(keyed=True) as url:
        environ = settings(url, shared_redis_url, **GENEROUS, **REGISTERING, **patience.SERVERS)
        with replicas(environ) as started:
            async with api_of(environ, started) as running:
                yield running
