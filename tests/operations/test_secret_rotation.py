"""A new master secret is rolled out in two steps under load (docs/rotation.md): nobody notices."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from support.fleet import parts_of
from support.replicas import MASTER
from support.rollout import Deployment, deployed

pytestmark = pytest.mark.operations

SECOND = "2: Qm7xJ4tB9vLc2sFhK8pRwY1nEaGdU5oZ-iXrM3kVyTQ"
ADDED, FIRST = f"{MASTER},{SECOND}", f"{SECOND},{MASTER}"
PATIENCE = 30.0


@pytest.fixture
async def world(program, keyed_database_url, redis_url) -> AsyncIterator[Deployment]:
    quick = {"keys__staleness": "1", "jobs__keys_interval": "1"}
    haproxy = program("haproxy", "haproxy")
    async with deployed(haproxy, keyed_database_url, redis_url, **quick) as world:
        yield world


def with_secrets(world: Deployment, text: str) -> dict[str, str]:
    return {**world.api.settings, "KEYTURN_SECRETS": text}


def secret_of(token: str) -> int:
    """The id of the master secret a session was born with."""
    return parts_of(token)[0][0]


async def seals(world: Deployment) -> set[int]:
    rows = await world.api.sql.fetch(
        "select get_byte(private_sealed, 0) as secret from signing_keys"
        " where private_sealed is not null"
    )
    return {row["secret"] for row in rows}


async def test_a_master_secret_is_rolled_out_in_two_steps_and_fails_no_request(world):
    traffic = await world.traffic()
    async with traffic.flowing():
        await traffic.go_on(100)
        for text in (ADDED, FIRST):
            await world.replicas.surge(with_secrets(world, text), 100, traffic)
        begun = await world.api.sql.fetchval("select now()")
        deadline = time.monotonic() + PATIENCE
        while await seals(world) != {2}:
            assert time.monotonic() < deadline, "the signing keys were never resealed"
            await asyncio.sleep(0.1)
        await traffic.go_on(100)
    traffic.report("master secret rotation, two steps")
    born = Counter(secret_of(person.refresh_token) for person in traffic.people)
    late = await world.api.sql.fetchval(
        "select count(*) from sessions where created_at > $1", begun
    )
    print(
        f"sessions refreshing to the end, by secret: {dict(born)}; begun under the new one: {late}"
    )
    assert traffic.failed == []
    assert born == {1: len(traffic.people)}, "nobody had to sign in again"
    assert late > 0
    assert sum(person.rotations for person in traffic.people) > 20


async def test_in_one_step_the_same_load_does_fail(world):
    """The control: a replica that lists the new secret first, beside one that has not heard of it.

    Who signs in at the one is refused by the other, which cannot sign any more either, once the
    signing keys are resealed; on a quick machine it is not ready any more before anybody is refused.
    """
    traffic = await world.traffic()
    async with traffic.flowing():
        await traffic.go_on(40)
        await world.replicas.add(with_secrets(world, FIRST))
        deadline = time.monotonic() + PATIENCE
        while not traffic.failed:
            assert time.monotonic() < deadline, "nobody noticed"
            await traffic.sign_everybody_in()
            await traffic.go_on(20)
    traffic.report("control, the new secret first at once")
