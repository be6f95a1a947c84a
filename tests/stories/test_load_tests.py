"""The load tests work and count what goes wrong; how fast anything is, no test here says."""

import asyncio
import importlib
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
SCENES = {
    "refresh",
    "client_credentials",
    "introspection",
    "jwks",
    "code_exchange",
    "revocation",
    "login",
}


def run(script: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, LOAD_TESTS / script, *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture
def generator(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(LOAD_TESTS))
    return importlib.import_module("wire")


@pytest.mark.long
def test_a_quick_benchmark_has_no_errors_and_every_rotation_is_one_hot_update(tmp_path):
    file = tmp_path / "benchmark.json"
    finished = run("benchmark.py", "--quick", "--json", "--record", str(file))

    assert finished.returncode == 0, finished.stderr
    alone, together = json.loads(finished.stdout)["servers"]
    assert (alone["workers"], together["workers"]) == (1, os.cpu_count())
    for server in (alone, together):
        assert server["failures"] == []
        assert set(server["scenes"]) == SCENES
        assert all(one["half"]["requests"] for one in server["scenes"].values())
        assert server["scenes"]["refresh"]["requests"] == 300
        assert set(server["signing_share"]) == {"refresh", "client_credentials"}
        storage = server["storage"]
        assert storage["updates"] == storage["hot_updates"] == storage["rotations"] >= 300
        assert storage["heap_after"] == storage["heap_before"] > 0
        assert storage["vacuums"] == 0
    assert {row["scene"] for row in json.loads(file.read_text())["rows"]} == SCENES


@pytest.mark.long
def test_the_gate_notices_a_handler_that_is_slower():
    finished = run("gate.py", "--plant", "3000", "--rounds", "3", "--refreshes", "100")

    assert finished.returncode == 1, finished.stderr
    assert "times the CPU of this source" in finished.stderr


@pytest.mark.long
@pytest.mark.operations
def test_a_profile_knows_who_signs():
    finished = run("cpu_profile.py", "--seconds", "15", "--json", "refresh")

    assert finished.returncode == 0, finished.stderr
    shares = {row["component"]: row["share"] for row in json.loads(finished.stdout)}
    assert len(shares) > 8, "invalid: too few samples to know anything"
    assert {"RSA signature", "SQL driver", "HTTP and ASGI", "rotation"} <= set(shares)
    assert shares["RSA signature"] > 0.15


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


async def test_a_refused_request_and_a_closed_connection_are_errors_of_the_run(generator):
    """Otherwise "0 errors" would mean nothing."""
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


async def test_in_an_open_loop_who_had_to_wait_for_a_connection_says_so(generator):
    """A closed loop would have asked less, and found every answer quick but one."""
    open_loop = importlib.import_module("open_loop")
    delays = iter((0.5,))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(next(delays, 0))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        work, source = generator.Run(0), generator.Repeated(generator.message("GET", "/", {}))
        port = server.sockets[0].getsockname()[1]
        arrivals = open_loop.Arrivals(100, 0.6)
        await open_loop.drive(port, work, [source], arrivals)

    assert not work.errors
    assert len(work.latencies) == len(list(arrivals.times())) > 30
    assert sum(waited > 0.05 for waited in work.latencies) > 10
