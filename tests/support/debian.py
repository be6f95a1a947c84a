"""Debian's packages without installing them: fetched with apt, unpacked into a cache folder.

apt checks their signatures and finds out what they need that the system lacks. No rights are
needed, and nothing outside the cache folder is changed. apt needs seconds to find that out, and the
network where the system has no lists: as long as the system is what it was, it is not asked again.
"""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

PATIENCE = 240.0
"""Seconds for all of it: a hundred megabytes, and the lists of what there is."""
TOOLS = ("apt-get", "dpkg")
SYSTEM = ("/var/lib/dpkg/status", "/var/lib/apt/lists", "/etc/apt/sources.list.d")
"""What apt's answer depends on: what is installed, and what there is."""
LIBRARIES = ("lib/*-linux-*", "usr/lib/*-linux-*", "usr/lib/*-linux-*/pulseaudio")


class NotObtainable(RuntimeError):
    """The packages are neither here nor to be had; says why."""


def program(name: str, *packages: str) -> Path:
    """Return where a program is: the installed one, or that of these packages. `NotObtainable`."""
    if installed := shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"):
        return Path(installed)
    return next(one for one in unpacked(name, *packages).glob(f"usr/*bin/{name}"))


def unpacked(name: str, *packages: str) -> Path:
    """Return the folder of the files of these packages, and of what they need beside the system.

    It stays for the next run, below `name` in the cache folder. Raises `NotObtainable`.
    """
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise NotObtainable(f"{name} is not installed, and there is no {missing[0]} to fetch it")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(base) / "keyturn-tests" / name
    cache.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + PATIENCE
    with (cache / "lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        remembered = _Answer(cache / "answer.json", packages)
        if (known := remembered.folder()) is not None:
            return known
        try:
            folder = _unpacked(Apt(until), cache, packages)
        except NotObtainable:  # the system's lists are missing, or older than what is published
            folder = _unpacked(_with_lists_of_our_own(until, cache), cache, packages)
        remembered.is_now(folder)
        return folder


@dataclass(frozen=True, slots=True)
class _Answer:
    """Which folder these packages were unpacked to, on which system."""

    file: Path
    packages: Sequence[str]

    def folder(self) -> Path | None:
        """Return it, if the system has not changed and the folder is still there."""
        if not self.file.exists():
            return None
        told = json.loads(self.file.read_text())
        folder = self.file.with_name(told["folder"])
        return folder if told["to"] == self._question() and folder.exists() else None

    def is_now(self, folder: Path) -> None:
        """Remember it for the next test and the next run."""
        self.file.write_text(json.dumps({"to": self._question(), "folder": folder.name}))

    def _question(self) -> list[str | int]:
        there = [Path(one) for one in SYSTEM if Path(one).exists()]
        return [*self.packages, *(one.stat().st_mtime_ns for one in there)]


def libraries(folder: Path) -> str:
    """Return where the loader finds the libraries of unpacked packages (`LD_LIBRARY_PATH`)."""
    return ":".join(str(one) for pattern in LIBRARIES for one in sorted(folder.glob(pattern)))


@dataclass(frozen=True, slots=True)
class Apt:
    """apt-get with these settings; what it does has to end in time (monotonic seconds)."""

    until: float
    settings: tuple[str, ...] = ()

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Let it do something. Raises `NotObtainable`."""
        options = [word for one in self.settings for word in ("-o", one)]
        return _run(self.until, "apt-get", "-q", *options, *arguments)

    def install(self, how: str, packages: Sequence[str]) -> str:
        """Return what it says when asked to install, which `how` keeps it from."""
        return self.run("install", how, "-y", "--no-install-recommends", *packages).stdout


def _with_lists_of_our_own(until: float, cache: Path) -> Apt:
    lists = cache / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    apt = Apt(until, (f"Dir::State::lists={lists}/", "Debug::NoLocking=1"))
    said = apt.run("update").stderr
    if not any(lists.glob("*_Packages*")):  # not an error to apt
        raise NotObtainable(f"apt-get has no lists: {_end(said)}")
    return apt


def _unpacked(apt: Apt, cache: Path, packages: Sequence[str]) -> Path:
    told = apt.install("--simulate", packages)
    wanted = [line for line in told.splitlines() if line.startswith("Inst ")]
    if not wanted:
        raise NotObtainable(f"apt calls {packages[0]} installed, but its files are not there")
    folder = cache / sha256("\n".join(sorted(wanted)).encode()).hexdigest()[:16]
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=cache) as work:
            _fetch(apt, Path(work), packages)
            (Path(work) / "files").rename(folder)
    return folder


def _fetch(apt: Apt, work: Path, packages: Sequence[str]) -> None:
    """Fetch what the system lacks for these packages, and unpack it into `files`."""
    (work / "archives" / "partial").mkdir(parents=True)
    places = (f"Dir::Cache={work}/", "Dir::Cache::archives=archives/", "Debug::NoLocking=1")
    Apt(apt.until, (*apt.settings, *places)).install("--download-only", packages)
    for archive in sorted((work / "archives").glob("*.deb")):
        _run(apt.until, "dpkg", "-x", str(archive), str(work / "files"))


def _run(until: float, *command: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=max(until - time.monotonic(), 0),
            check=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        )
    except subprocess.TimeoutExpired as late:
        raise NotObtainable(f"{command[0]} was not done in {PATIENCE:.0f} s") from late
    except subprocess.CalledProcessError as failed:
        raise NotObtainable(f"{command[0]} could not get it: {_end(failed.stderr)}") from failed


def _end(said: str) -> str:
    return " ".join(said.split())[-300:]
