"""What a server waits for before it calls itself started, and what it says meanwhile."""

import asyncio
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import asyncpg
import yaml

from keyturn import app
from keyturn.clients import declarative
from keyturn.clock import SystemClock
from keyturn.configuration import load_settings
from keyturn.jobs import start_up
from keyturn.parts import Parts
from support import replicas
from support.log_lines import caught_logs
from support.registered import JOB, WEB, Clients

KIND = "clients[0].kind: a client keeps its kind; register another id"


@asynccontextmanager
async def starting(database_url, **settings):
    """Run the start of a server whose ports nobody opened; yield its parts and its log."""
    parts = Parts.of(
        load_settings(replicas.settings(database_url, None, **settings)), SystemClock()
    )

    async def on_started():
        """There is nobody to tell."""

    job = app._knowledge(parts, app._rotate_keys(parts), app._declared_clients(parts), on_started)[
        0
    ]
    with caught_logs() as caught:
        running = asyncio.create_task(job.run())
        try:
            async with asyncio.timeout(30):
                yield parts, caught
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            await parts.close()


def told(caught):
    return [line["waiting_for"] for line in caught.all() if line["event"] == "starting"]


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


async def test_a_clients_file_that_clashes_with_who_is_registered_is_told_once_and_tried_again(
    database_url, tmp_path, monkeypatch
):
    monkeypatch.setattr(start_up, "PAUSE", 0.01)
    tried = []

    async def counted(*args):
        tried.append(args)
        return await declarative.apply(*args)

    monkeypatch.setattr(app, "declarative", SimpleNamespace(apply=counted))
    file = tmp_path / "clients.yaml"
    file.write_text(yaml.safe_dump({"clients": [WEB]}))
    async with Clients.of(database_url) as clients:
        await clients.add(JOB, id="web")
        async with starting(database_url, clients_file=str(file)) as (parts, caught):
            await until(lambda: len(tried) > 2)
            assert not parts.vitals.started
            await clients.behind.execute("delete from clients")
            await until(lambda: parts.vitals.started)
            assert told(caught) == [KIND]
        assert (await clients.registered())["web"].client.kind == "public"


async def test_a_schema_that_is_too_old_is_told_and_waited_for(database_url, monkeypatch):
    monkeypatch.setattr(start_up, "PAUSE", 0.01)
    sql = await asyncpg.connect(database_url)
    await sql.execute("alter table schema_migrations rename to elsewhere")
    async with starting(database_url) as (parts, caught):
        await until(lambda: told(caught))
        await sql.execute("alter table elsewhere rename to schema_migrations")
        await until(lambda: parts.vitals.started)
        (said,) = told(caught)
        assert said.startswith("schema: 0, needs ")
        assert said.endswith("run `keyturn migrate`")
    await sql.close()
