"""`keyturn dev` does not go on in silence when one of its servers is gone."""

import asyncio
import signal
from contextlib import asynccontextmanager

import pytest

from keyturn.dev import watch
from keyturn.dev.privileges import server_account
from keyturn.dev.process import ChildProcess
from keyturn.dev.watch import watched
from keyturn.errors import EmbeddedStartFailed
from keyturn.web.server import Stopping


@pytest.fixture
def children(tmp_path, monkeypatch):
    """Two that run until told otherwise, each with a word in its log."""
    monkeypatch.setattr(watch, "LOOK", 0.005)
    both = [
        ChildProcess(name, tmp_path / name, server_account(), signal.SIGTERM)
        for name in ("PostgreSQL", "Valkey")
    ]
    for one in both:
        one.spawn(("/bin/sh", "-c", "echo my last words; exec sleep 60"))
    yield both
    for one in both:
        one.kill()


@asynccontextmanager
async def serving(needed, spared, tell):
    """Serve as `keyturn dev` does, until the block ends or the process is asked to stop."""
    stopping = Stopping()
    async with watched([needed], spared, tell):
        with stopping.on_signals():
            yield stopping


async def test_the_end_of_a_server_that_is_needed_ends_the_command_with_its_last_words(children):
    postgres, valkey = children

    async def command():
        async with serving(postgres, valkey, pytest.fail) as stopping:
            await postgres.started(lambda: "words" in postgres.log.read_text(), 5)
            postgres.kill()
            await asyncio.wait_for(stopping.wanted.wait(), 30)

    with pytest.raises(EmbeddedStartFailed, match=r"PostgreSQL ended by itself(.|\n)*last words"):
        await command()
    assert valkey.running


async def test_the_end_of_the_cache_is_told_once_and_ends_nothing(children):
    postgres, valkey = children
    told: asyncio.Queue[str] = asyncio.Queue()
    async with serving(postgres, valkey, told.put_nowait) as stopping:
        valkey.kill()
        sentence = await asyncio.wait_for(told.get(), 30)
        assert sentence.startswith("Valkey ended by itself; keyturn goes on without it.")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(told.get(), 0.05)
    assert not stopping.wanted.is_set()
