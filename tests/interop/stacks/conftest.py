"""One issuer for all of them."""

from collections.abc import AsyncIterator

import pytest

from support.stacks.world import World


@pytest.fixture(scope="session")
async def world(serve_behind_tls) -> AsyncIterator[World]:
    """The issuer, at an https address."""
    async with serve_behind_tls() as (api, front):
        yield World(api, front)
