"""The PostgreSQL data folder: made whole or not at all, of one major version, for one server."""

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

from keyturn.dev import process_table
from keyturn.dev.data_dir import DataDir
from keyturn.dev.process import ChildProcess, until
from keyturn.errors import EmbeddedStartFailed

SUPERUSER = "keyturn"
DATABASE = "keyturn"

ORPHAN_PATIENCE = 5.0
"""Seconds for the server of a killed supervisor to finish going down."""

_INITDB = (
    "--no-sync",  # empty files, and quickly made again
    "--no-locale",  # the wheels carry no ICU; the schema leans on no collation
    "--encoding=UTF8",
    f"--username={SUPERUSER}",
    "--auth-local=trust",  # the socket's folder is the lock
    "--auth-host=reject",
    "--no-instructions",
)


async def ensure_cluster(data: DataDir, postgres: Path) -> Path:
    """Return the cluster's folder, made by `initdb` if there is none; the caller holds `data`."""
    folder = data.path / "postgres"
    for unfinished in data.path.glob("postgres.tmp-*"):
        await _clear(unfinished)
    if not folder.exists():
        await _create(data, postgres, folder)
        return folder
    _check_version(folder, postgres)
    _check_owner(folder, data)
    await _await_orphan(folder)
    return folder


async def _clear(unfinished: Path) -> None:
    """Remove what a killed start left: its `initdb` may still be writing there, or removing it."""

    def gone() -> bool:
        shutil.rmtree(unfinished, ignore_errors=True)
        return not unfinished.exists()

    try:
        async with asyncio.timeout(ORPHAN_PATIENCE):
            await until(gone)
    except TimeoutError:
        shutil.rmtree(unfinished)


async def _create(data: DataDir, postgres: Path, folder: Path) -> None:
    """Build beside the final place and rename: a kill leaves nothing that looks like a cluster."""
    scratch = data.path / f"postgres.tmp-{os.getpid()}"
    data.give(scratch)
    maker = ChildProcess("initdb", data.path / "initdb.log", data.account, signal.SIGTERM)
    single_user = (postgres, "--single", "-F", "-D", scratch, "-c", "exit_on_error=on", "template1")
    # Renaming the empty database spares copying 300 files, half a second on a slow disk.
    statement = f"alter database postgres rename to {DATABASE};\n"
    try:
        await maker.run((postgres.with_name("initdb"), "-D", scratch, *_INITDB))
        await maker.run(single_user, statement.encode())
    except BaseException:
        shutil.rmtree(scratch)
        raise
    scratch.rename(folder)


def _check_version(folder: Path, postgres: Path) -> None:
    made_by = (folder / "PG_VERSION").read_text(encoding="utf-8").strip()
    command = [str(postgres), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    found = said.stdout.split()[2]
    if found.split(".")[0] != made_by:
        raise EmbeddedStartFailed(
            f"{folder} was made by PostgreSQL {made_by}; the server found is {found} ({postgres}) "
            f"and cannot read it. To keep the data, run PostgreSQL {made_by} on that folder, write "
            f"a dump with its pg_dump, and load it with psql into a new folder (--data DIR). "
            "To start empty, choose another folder with --data or --ephemeral."
        )


def _check_owner(folder: Path, data: DataDir) -> None:
    owner = folder.stat().st_uid
    if owner != data.account.uid:
        raise EmbeddedStartFailed(
            f"{folder} belongs to user id {owner}, and the server would run as "
            f"{data.account.name}. Start keyturn as its owner, or choose another folder (--data)."
        )


async def _await_orphan(folder: Path) -> None:
    """Wait for the processes of a killed server; remove a pid file that names a stranger.

    PostgreSQL clears a pid file whose process is gone, but not one whose number now belongs to
    another live process of the same user. We hold the folder's lock, so nobody else may start.
    """
    try:
        async with asyncio.timeout(ORPHAN_PATIENCE):
            await until(lambda: _process_of(folder) is None)
    except TimeoutError:
        pid = _process_of(folder)
        raise EmbeddedStartFailed(
            f"PostgreSQL process {pid} still serves {folder} without a supervisor. "
            f"Stop it with `kill -INT {pid}` and start again."
        ) from None


def _process_of(folder: Path) -> int | None:
    """Return a process that may still write to the cluster `folder`: its server, or what is left.

    A process of a server that was killed goes when it looks up from its work, which may be later.
    """
    pid_file = folder / "postmaster.pid"
    pid = _named_in(pid_file)
    name = process_table.command_name(pid) if pid else ""
    if name == "postgres" and process_table.working_folder(pid) in (None, folder):
        return pid
    for left in process_table.standing_in(folder):
        if process_table.command_name(left) == "postgres":
            return left
    if name:
        pid_file.unlink(missing_ok=True)
    return None


def _named_in(pid_file: Path) -> int:
    """Return the process that `pid_file` names; 0 when it names none."""
    try:
        return int(pid_file.read_text(encoding="utf-8").splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return 0
