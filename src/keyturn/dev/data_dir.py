"""Where the embedded servers keep their files and sockets, and the lock that makes them ours.

    <path>/keyturn.lock     held by the supervisor for its life; names it and its database
    <path>/postgres/        the database cluster, the server account's own
    <path>/postgres.log     valkey.log    of the last start

Sockets lie elsewhere, because a socket's path has at most 107 bytes.
"""

import fcntl
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keyturn.dev import process_table
from keyturn.dev.privileges import SYSTEM_STATE, Account, can_enter, make_folder, server_account
from keyturn.errors import EmbeddedStartFailed

SOCKET_LIMIT = 107 if sys.platform == "linux" else 103
"""Bytes of a socket's path: sun_path less its closing zero."""

LONGEST_SOCKET = ".s.PGSQL.5432.lock"
PREFIX = "keyturn-ephemeral-"


@dataclass(frozen=True, slots=True)
class DataDir:
    """The folder of one pair of servers. Made by `default`, `at` or `temporary`.

    `path` is where the data really is; root may find it below the system's state folder.
    """

    path: Path
    sockets: Path
    account: Account
    ephemeral: bool = False

    @classmethod
    def default(cls, cwd: Path, environ: Mapping[str, str]) -> "DataDir":
        """Return the data folder of a working directory, below the XDG (or system) state folder."""
        account = server_account()
        home = Path(environ.get("HOME") or account.home)
        state = _absolute(environ.get("XDG_STATE_HOME")) or home / ".local" / "state"
        parent = SYSTEM_STATE if account.dropped else state / "keyturn"
        return cls.at(parent / f"dev-{_eight(cwd.resolve())}", environ)

    @classmethod
    def at(
        cls, path: Path, environ: Mapping[str, str], system_state: Path = SYSTEM_STATE
    ) -> "DataDir":
        """Return the data folder `path`, or its stand-in when root's `nobody` cannot get there."""
        account, folder = server_account(), path.resolve()
        if not can_enter(folder, account):
            folder = system_state / f"dev-{_eight(folder)}"
        return cls(folder, socket_folder(folder, environ, account), account)

    @classmethod
    def temporary(cls, environ: Mapping[str, str], parent: Path | None = None) -> "DataDir":
        """Return a new data folder that is removed at the end.

        Also removes those of supervisors that were killed.
        """
        account = server_account()
        parents = (parent, Path(tempfile.gettempdir()), Path("/tmp"), SYSTEM_STATE)  # noqa: S108
        chosen = next(each for each in parents if each and can_enter(each, account))
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=chosen)).resolve()
        path.chmod(0o711 if account.dropped else 0o700)
        for abandoned in _abandoned(path):
            shutil.rmtree(socket_folder(abandoned, environ, account), ignore_errors=True)
            shutil.rmtree(abandoned)
        return cls(path, socket_folder(path, environ, account), account, ephemeral=True)

    @contextmanager
    def hold(self, url: str) -> Iterator[None]:
        """Own the folder, or raise EmbeddedStartFailed naming who does; `url` is told to others."""
        with self._locked(url):
            with in_words():
                _check_parent(self.sockets.parent, self.account)
                self.give(self.sockets)
            try:
                yield
            finally:
                shutil.rmtree(self.sockets, ignore_errors=True)
                if self.ephemeral and self.path.exists():
                    shutil.rmtree(self.path)

    def give(self, folder: Path) -> None:
        """Create `folder` for the server account alone."""
        make_folder(folder, 0o700)
        if self.account.dropped:
            os.chown(folder, self.account.uid, self.account.gid)

    @contextmanager
    def _locked(self, url: str) -> Iterator[None]:
        with in_words():
            make_folder(self.path, 0o711 if self.account.dropped else 0o700)
            lock = (self.path / "keyturn.lock").open("ab+", buffering=0)
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise EmbeddedStartFailed(_in_use(self.path, lock.read().decode())) from None
            with in_words():
                lock.truncate(0)
                lock.write(f"{os.getpid()}\n{url}\n".encode())
            yield


@contextmanager
def in_words() -> Iterator[None]:
    """Turn a full disk, a missing right, ... into EmbeddedStartFailed."""
    try:
        yield
    except OSError as error:
        raise EmbeddedStartFailed(f"The data folder cannot be used: {error}") from error


def socket_folder(path: Path, environ: Mapping[str, str], account: Account) -> Path:
    """Return the folder for the sockets of the data folder `path`: the first short enough."""
    ours = f"keyturn-{os.geteuid()}"
    runtime = Path("/run") if account.dropped else _absolute(environ.get("XDG_RUNTIME_DIR"))
    temporary = (Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108
    places = [runtime / "keyturn"] if runtime else []
    for place in (*places, *(folder / ours for folder in temporary)):
        folder = place / _eight(path)
        fits = len(os.fsencode(folder / LONGEST_SOCKET)) <= SOCKET_LIMIT
        if fits and os.access(place.parent, os.W_OK) and can_enter(place.parent, account):
            return folder
    raise EmbeddedStartFailed(
        f"No folder for sockets is short enough ({SOCKET_LIMIT} bytes) and writable; "
        "point XDG_RUNTIME_DIR or TMPDIR at one."
    )


def _check_parent(folder: Path, account: Account) -> None:
    make_folder(folder, 0o711 if account.dropped else 0o700)
    entry = folder.lstat()
    # /tmp is everybody's: a folder somebody else put there first would hand them the database.
    if not stat.S_ISDIR(entry.st_mode) or entry.st_uid != os.geteuid() or entry.st_mode & 0o022:
        raise EmbeddedStartFailed(f"{folder} belongs to somebody else or is open to others.")


def _abandoned(path: Path) -> Iterator[Path]:
    """Yield, one by one and locked, the temporary folders beside `path` that nobody holds."""
    recent = path.stat().st_mtime - 60  # spares a folder made but not locked yet
    for lock in path.parent.glob(f"{PREFIX}*/keyturn.lock"):
        try:
            entry = lock.lstat()
            if entry.st_uid == os.geteuid() and entry.st_mtime < recent:
                with lock.open() as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    # Another start may have removed it meanwhile; a killed server may still use it.
                    if lock.exists() and not process_table.standing_in(lock.parent / "postgres"):
                        yield lock.parent
        except (BlockingIOError, FileNotFoundError):
            continue  # in use, or another start is removing it


def _in_use(path: Path, holder: str) -> str:
    pid, url = (*holder.split(), "unknown", "unknown")[:2]
    return (
        f"The data folder {path} is in use by process {pid}, which serves {url}. "
        "Stop that one, or choose another folder with --data or --ephemeral."
    )


def _eight(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]


def _absolute(text: str | None) -> Path | None:
    # The XDG specification: a relative path in these variables is to be ignored.
    return Path(text) if text and Path(text).is_absolute() else None
