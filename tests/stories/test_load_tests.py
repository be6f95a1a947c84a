"""The load tests work and count what goes wrong; how fast anything is, no test here says."""

import asyncio
import importlib.util
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import asyncpg
import pytest

from support import replicas

LOAD_TESTS = Path(__file__).parents[2] / "load-tests"
SCENES = {"refresh", "client_credentials", "introspection", "jwks"}


def run(script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, LOAD_TESTS / script, *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def wire() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wire", LOAD_TESTS / "wire.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
def test_a_quick_benchmark_has_no_errors_and_every_rotation_is_one_hot_update():
    finished = run("benchmark.py", "--quick", "--json")

    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert report["failures"] == []
    assert set(report["scenes"]) == SCENES
    assert all(scene["errors"] == {} for scene in report["scenes"].values())
    assert report["scenes"]["refresh"]["requests"] == 300
    storage = report["storage"]
    assert storage["updates"] == storage["hot_updates"] == storage["rotations"] >= 300
    assert storage["heap_after"] == storage["heap_before"] > 0
    assert storage["vacuums"] == 0
    assert set(report["signing_share"]) == {"refresh", "client_credentials"}


async def test_seeding_writes_a_token_for_each_session_to_a_file_of_the_owner_alone(
    database_url, tmp_path
):
    file = tmp_path / "tokens.json"
    environ = replicas.settings(database_url, None)

    finished = await asyncio.to_thread(
        run, "seed.py", "--sessions", "7", "--tokens", str(file), **environ
    )

    assert finished.returncode == 0, finished.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    seeded = json.loads(file.read_text())
    assert len(set(seeded["tokens"])) == 7
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("select count(*) from sessions") == 7
        assert not await connection.fetchval("select grace from clients where id = 'benchmark'")
    finally:
        await connection.close()


async def test_seeding_never_writes_over_a_file_that_is_there(database_url, tmp_path):
    file = tmp_path / "tokens.json"
    file.write_text("somebody's")
    environ = replicas.settings(database_url, None)

    finished = await asyncio.to_thread(
        run, "seed.py", "--sessions", "1", "--tokens", str(file), **environ
    )

    assert finished.returncode != 0
    assert file.read_text() == "somebody's"


async def test_a_refused_request_and_a_closed_connection_are_errors_of_the_run():
    """Otherwise "0 errors" would mean nothing."""
    generator = wire()
    answers = iter((b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request", b""))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for status in answers:
            await reader.readuntil(b"\r\n\r\n")
            if status:
                writer.write(status + b"\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        work = generator.Run(10)
        port = server.sockets[0].getsockname()[1]
        source = generator.Repeated(generator.message("GET", "/", {}))
        await generator.drive(port, work, [source])

    assert len(work.latencies) == 2
    assert dict(work.errors) == {"400 {}": 1, "connection lost: closed by the server": 1}
