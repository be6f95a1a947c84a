"""The database password is changed under load, by the steps of docs/postgres.md: nobody notices.

Eight apps refresh all the time at two replicas; an answer other than 200 is a failure, and so is
none. Old connections are ended, too, in the middle of what they do.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from keyturn.db.migrate import migrate
from support import replicas
from support.api import Api, api_of
from support.fleet import App, Fleet
from support.servers import database_on, private_postgres

pytestmark = pytest.mark.operations

APPS = 8
ISSUER = "https://localhost:8450"
PATIENCE = 30.0
SETTLED = 60
"""Answers after each step, before the next one."""

UNHURRIED = {
    "postgres__connect_timeout": "10",
    "postgres__statement_timeout": "10",
    "postgres__lock_timeout": "5",
    "postgres__pool_wait": "10",
}
"""A machine that is busy with other things is no failure of a password."""

END = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
    " where usename = 'app' and backend_type = 'client backend'"
)


@dataclass
class Load:
    """Apps that refresh without a pause; what became of that, by status."""

    apps: list[App]
    statuses: Counter[int] = field(default_factory=Counter)
    _stopped: bool = False

    @property
    def failed(self) -> int:
        return self.statuses.total() - self.statuses[200]

    async def answers(self, more: int = SETTLED) -> None:
        """Wait for so many more."""
        enough = self.statuses.total() + more
        deadline = time.monotonic() + PATIENCE
        while self.statuses.total() < enough:
            assert time.monotonic() < deadline, "nothing is answered any more"
            await asyncio.sleep(0.01)

    async def _go_on(self, one: App) -> None:
        while not self._stopped:
            await one.attempt()
            self.statuses[one.statuses.pop() if one.statuses else 0] += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._go_on(one)) for one in self.apps]
        try:
            yield
        finally:
            self._stopped = True  # none in the middle: its answer would be lost, and its sign-in
            await asyncio.gather(*tasks)


@dataclass(frozen=True)
class World:
    """Two replicas whose role has a password, which stands in a file."""

    api: Api
    admin: asyncpg.Connection
    url: str
    file: Path

    def write(self, password: str) -> None:
        """Put a password into the file: whole or not at all, and for nobody else."""
        write(self.file, with_password(self.url, password))

    async def alter(self, password: str) -> None:
        await self.admin.execute(f"alter role app password '{password}'")

    async def end_connections(self) -> int:
        ended: int = await self.admin.fetchval(END)
        return ended

    def lines(self) -> list[dict[str, Any]]:
        """Return what both replicas have logged."""
        texts = [line for one in self.api.replicas for line in one.log.read_text().splitlines()]
        return [json.loads(text) for text in texts if text.startswith("{")]

    def logged(self, event: str) -> int:
        return sum(line["event"] == event for line in self.lines())

    def reasons(self) -> Counter[str]:
        """Return why requests were answered with 503, and how often."""
        unavailable = [line for line in self.lines() if line.get("status") == 503]
        return Counter(str(line.get("detail", line.get("reason", line))) for line in unavailable)


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"app:{password}@").geturl()


def write(file: Path, text: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.touch(0o600)
    fresh.write_text(text)
    fresh.rename(file)


@pytest.fixture
async def world(shared_redis_url, tmp_path):
    async with private_postgres({"log_min_messages": "fatal"}) as server:
        admin = await asyncpg.connect(server.url)
        await admin.execute("create role app login password 'first'")
        await admin.execute("create database theirs owner app")
        rules = Path(await admin.fetchval("show hba_file"))
        rules.write_text("local all keyturn trust\nlocal all app scram-sha-256\n")
        await admin.execute("select pg_reload_conf()")
        url, file = database_on(server.url, "theirs"), tmp_path / "url"
        write(file, with_password(url, "first"))
        await migrate(with_password(url, "first"))
        more = {"issuer": ISSUER, "sessions__grace": "1", **UNHURRIED, **replicas.GENEROUS}
        environ = replicas.settings(url, shared_redis_url, **more)
        del environ["KEYTURN_POSTGRES__URL"]
        environ["KEYTURN_POSTGRES__URL_FILE"] = str(file)
        with replicas.replicas(environ, 2) as pair:
            async with api_of(environ, pair) as api:
                yield World(api, admin, url, file)
        await admin.close()


async def test_a_new_password_costs_no_request(world):
    fleet = await Fleet.of(world.api, APPS)
    for number, one in enumerate(fleet.apps):
        one.url = world.api.replicas[number % 2].url
    load = Load(fleet.apps)
    async with load.running():
        await load.answers()
        world.write("second")  # 1: the file; the server still knows the old one only
        ended = await world.end_connections()
        await load.answers()
        write(world.file, "postgresql://app:sec")  # an editor that saves in two steps
        world.file.chmod(0o644)
        ended += await world.end_connections()
        await load.answers()
        world.write("second")
        await world.alter("second")  # 2: the server
        ended += await world.end_connections()  # 3: what is left of the old
        await load.answers()
        ended += await world.end_connections()
        await load.answers()
    print(f"\n{load.statuses.total()} sent, {load.failed} failed, {ended} connections ended")
    assert load.failed == 0, world.reasons()
    assert ended >= 4
    fleet.sql = await asyncpg.connect(world.url)  # the operator's own pool has the old password
    await fleet.check_one_lineage()
    await fleet.sql.close()
    assert world.logged("postgres_login_refused") >= 1
    assert world.logged("postgres_url_file_refused") >= 1
    for one in world.api.replicas:
        assert "second" not in one.log.read_text()
    await fleet.close()


async def test_the_other_order_costs_requests_when_connections_are_lost_in_between(world):
    """Why the file comes first: what it says then is tried, and what worked last after it."""
    fleet = await Fleet.of(world.api, APPS)
    load = Load(fleet.apps)
    async with load.running():
        await load.answers()
        await world.alter("second")
        await load.answers()
        await world.end_connections()
        await load.answers()
        broken = load.failed
        world.write("second")

        async def works():
            before = load.statuses[200]
            await load.answers(APPS)
            return load.statuses[200] > before

        while not await works():
            pass
    print(f"\n{load.statuses.total()} sent, {load.failed} failed")
    assert broken > 0
    assert set(load.statuses) <= {200, 503}, "nobody is told to sign in again"
    await fleet.close()
