"""Release N-1 serves on, under load, while release N migrates and takes its place; nobody notices.

Release N-1 is this repository's own, from history. A contraction (`NNNN_contract_*.sql`) waits for
`--contract`, so that an operator says when the last old replica has gone.
"""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest
from argon2 import PasswordHasher

from keyturn.db.migrate import migrate, required_version
from support import replicas, starts
from support.balancer import balanced
from support.releases import MIGRATIONS, NoHistory, Release
from support.replicas import SERVE
from support.rollout import Rollout, rollout
from support.servers import private_postgres
from support.traffic import PASSWORD, Person, Traffic
from support.tree import ROOT

pytestmark = pytest.mark.operations

READER_SECRET = "kts_only_for_these_tests_0f3a7be1c59d2846"
CLIENTS = f"""\
clients:
  - {{id: app, kind: public, session_api: true, grant_types: [refresh_token],
     scopes: [orders.read], audiences: ["{replicas.AUDIENCE}"]}}
  - {{id: hasty, kind: public, session_api: true, grant_types: [refresh_token], grace: 0,
     scopes: [orders.read], audiences: ["{replicas.AUDIENCE}"]}}
  - {{id: reader, kind: confidential, introspects: ["{replicas.AUDIENCE}"],
     secret_hash: {sha256(READER_SECRET.encode()).hexdigest()}}}
"""
CONTRACTION = "alter table users rename column password_hash to password_hash_of_old;"
"""Takes away what every release so far reads: whoever applies it too early fails sign-ins."""
STRENGTH = {"memory_cost": 19456, "time_cost": 2, "parallelism": 1}
"""The default, as old releases know no quicker one."""
PEOPLE = 6
PATIENCE = 60.0


@dataclass(frozen=True)
class World:
    """Release N-1 serves, on a schema that it made."""

    old: Release
    environ: Mapping[str, str]
    replicas: Rollout
    traffic: Traffic
    sql: asyncpg.Connection

    @property
    def url(self) -> str:
        """Of the database."""
        return self.environ["KEYTURN_POSTGRES__URL"]

    async def version(self) -> int:
        """The newest migration the database has."""
        version: int = await self.sql.fetchval("select max(version) from schema_migrations")
        return version


@pytest.fixture
def old(tmp_path) -> Release:
    try:
        return Release.before_the_newest_migration(tmp_path / "old")
    except NoHistory as reason:
        pytest.skip(str(reason))


@pytest.fixture
def with_contraction(tmp_path) -> Path:
    """The migrations of this tree, and a contraction that its next release would carry."""
    folder = tmp_path / "migrations"
    shutil.copytree(ROOT / MIGRATIONS, folder)
    (folder / f"{required_version() + 1:04}_contract_too_early.sql").write_text(CONTRACTION)
    return folder


@pytest.fixture
async def world(program, redis_url, old, tmp_path) -> AsyncIterator[World]:
    clients = tmp_path / "clients.yaml"
    clients.write_text(CLIENTS)
    clients.chmod(0o600)
    with balanced(program("haproxy", "haproxy"), places=4) as balancer:
        async with private_postgres() as server:
            environ = replicas.settings(
                server.url, redis_url, issuer=balancer.url, clients_file=str(clients),
                throttle__address_attempts="1000000",
            )  # fmt: skip
            traffic = await prepared(old, environ, balancer.url)
            sql = await asyncpg.connect(server.url)
            try:
                async with rollout(balancer, old.settings(environ), SERVE) as running:
                    yield World(old, environ, running, traffic, sql)
            finally:
                await sql.close()


async def prepared(old: Release, environ: Mapping[str, str], url: str) -> Traffic:
    """Make the schema and the people of release N-1 by its own commands."""
    password = PasswordHasher(**STRENGTH).hash(PASSWORD)
    emails = [f"{number}@example.com" for number in range(PEOPLE)]
    lines = [json.dumps({"email": one, "name": "Ada", "password_hash": password}) for one in emails]
    await asyncio.to_thread(old.run, environ, "migrate")
    feed = "\n".join(lines)
    await asyncio.to_thread(old.run, environ, "users", "import", "-", "--strict", feed=feed)
    people = [Person(one, ("app", "hasty")[at % 2]) for at, one in enumerate(emails)]
    return Traffic(url, people, ("reader", READER_SECRET))


async def test_release_n_1_serves_on_schema_n_until_it_is_replaced_and_nothing_fails(
    world, with_contraction
):
    traffic = world.traffic
    before = await world.version()
    async with traffic.flowing():
        await traffic.go_on()
        done = await starts.shared().run(world.environ, "migrate")
        assert done.code == 0, done.said
        assert await world.version() == required_version() > before
        alone = traffic.total
        await traffic.go_on(100)
        both = traffic.total
        await world.replicas.surge(world.environ, 100, traffic)
        await traffic.go_on()
        requests = traffic.total
        assert await migrate(world.url, folder=with_contraction) == [], "a contraction waits"
        traffic.report("schema change: release N-1 on schema N, then both, then release N")
        print(
            f"release N-1 is {world.old.name}; schema {before} -> {required_version()}; sent to it"
            f" alone on schema N {both - alone}, later {requests - both}"
        )
        assert traffic.failed == []
        [contraction] = await migrate(world.url, folder=with_contraction, contract=True)
        deadline = time.monotonic() + PATIENCE
        while not any(one.startswith("login") for one in traffic.failed):
            assert time.monotonic() < deadline, "nobody missed what was taken away"
            await asyncio.sleep(0.05)
    traffic.report(f"control, {contraction} while it is in use")
