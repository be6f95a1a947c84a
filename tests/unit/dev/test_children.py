"""Children of this process: seen, stopped, and never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import keyturn
from keyturn.dev import process_table
from keyturn.dev.privileges import server_account
from keyturn.dev.process import ChildProcess
from keyturn.errors import EmbeddedStartFailed


def child(folder: Path) -> ChildProcess:
    return ChildProcess("sh", folder / "log", server_account(), signal.SIGTERM)


def test_the_guard_signals_the_server_when_its_supervisor_is_killed():
    """The way of systems without a death signal; it is a shell, so it runs here, too."""
    script = (
        "import signal, subprocess, sys, time; from keyturn.dev.process import guard\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "watch = guard(child.pid, signal.SIGTERM)\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    source = str(Path(keyturn.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE,
        text=True,
    ) as supervisor:
        pid = int(supervisor.stdout.readline())
        assert process_table.command_name(pid) == "sleep"
        supervisor.kill()
    process_table.wait_until_gone([pid])


async def test_a_child_reads_its_feed_and_its_words_reach_the_log(tmp_path):
    await child(tmp_path).run(("/bin/sh", "-c", "cat; echo $LC_ALL"), b"fed\n")
    assert (tmp_path / "log").read_text() == "fed\nC\n"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


async def test_a_failed_child_is_an_error_with_its_last_words(tmp_path):
    with pytest.raises(EmbeddedStartFailed, match=r"sh failed(.|\n)*why it failed"):
        await child(tmp_path).run(("/bin/sh", "-c", "echo why it failed; exit 3"))


def test_a_child_whose_log_was_deleted_is_still_told_of(tmp_path):
    """The data folder removed under a running server is what ends it."""
    assert "(the file is gone)" in str(child(tmp_path).failed("ended by itself"))


async def test_a_program_that_cannot_be_run_is_named(tmp_path):
    with pytest.raises(EmbeddedStartFailed, match="/nowhere/initdb cannot be run"):
        await child(tmp_path).run(("/nowhere/initdb",))


async def test_a_child_that_is_never_ready_is_killed_at_the_deadline(tmp_path):
    slow = child(tmp_path)
    slow.spawn(("/bin/sleep", "60"))
    with pytest.raises(EmbeddedStartFailed, match="was not ready"):
        await slow.started(lambda: False, 0.05)
    assert not slow.running


async def test_a_child_that_ignores_the_request_to_stop_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("keyturn.dev.process.GRACE", 0.1)
    stubborn = child(tmp_path)
    stubborn.spawn(("/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"))
    await stubborn.started(lambda: "deaf" in (tmp_path / "log").read_text(), 5)
    await stubborn.stop()
    assert not stubborn.running


async def test_a_program_that_never_ends_is_killed_at_the_deadline(tmp_path, monkeypatch):
    monkeypatch.setattr("keyturn.dev.process.RUN_PATIENCE", 0.05)
    endless = child(tmp_path)
    with pytest.raises(EmbeddedStartFailed, match="was not done"):
        await endless.run(("/bin/sleep", "60"))
    assert not endless.running


def test_a_child_that_even_a_kill_does_not_end_is_named_and_not_waited_for(tmp_path, monkeypatch):
    """One that waits for a disk which is gone hears no signal at all."""
    monkeypatch.setattr("keyturn.dev.process.DEATH_PATIENCE", 0.05)
    immortal = child(tmp_path)
    pid = immortal.spawn(("/bin/sleep", "60"))
    with monkeypatch.context() as patch:
        patch.setattr(process_table, "send", lambda *_: None)
        with pytest.raises(EmbeddedStartFailed, match=rf"process {pid}\) cannot be killed"):
            immortal.kill()
    immortal.kill()


async def test_a_child_that_ends_while_it_is_being_stopped_is_no_failure(tmp_path, monkeypatch):
    """Else its end would hide why everything is being stopped."""
    brief, looks = child(tmp_path), iter([True])
    await brief.run(("/bin/true",))
    monkeypatch.setattr(ChildProcess, "running", property(lambda _: next(looks, False)))
    await brief.stop()


def test_a_kill_takes_the_childs_children_along(tmp_path):
    parent = child(tmp_path)
    pid = parent.spawn(("/bin/sh", "-c", "sleep 60 & wait"))
    while len(family := process_table.family(pid)) < 2:
        pass
    parent.kill()
    process_table.wait_until_gone(family)
    assert not parent.running


async def test_ps_tells_the_same_as_proc(tmp_path, monkeypatch):
    """Systems without /proc ask `ps`."""
    sleeping = child(tmp_path)
    pid = sleeping.spawn(("/bin/sleep", "60"))
    try:
        await sleeping.started(lambda: process_table.command_name(pid) == "sleep", 5)
        by_proc = process_table.family(os.getpid())
        monkeypatch.setattr(process_table, "PROC", Path("/nowhere"))
        assert process_table.command_name(pid) == "sleep"
        # `ps` sees itself as our child, too.
        assert {pid, *by_proc} <= set(process_table.family(os.getpid()))
    finally:
        sleeping.kill()
    assert process_table.command_name(pid) == ""
