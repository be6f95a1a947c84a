"""The image of the repository's Dockerfile, built by buildah; containers of it, run by runc.

No registry is asked. Where the Dockerfile says `FROM docker.io/library/debian:...` it finds an
image of that name that mmdebstrap made of Debian's packages, in a store of the tests' own: nobody
else's `debian` is touched. This needs root.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx2

from support.tree import ROOT

PROGRAMS = ("buildah", "runc", "mmdebstrap")
OWN_AUTHORITIES = Path("/usr/local/share/ca-certificates")
"""Of the machine's owner, whose proxy a build may have to trust; they are in no image's layers."""
BASE = re.compile(r"^ARG BASE=(\S+)$", re.MULTILINE)
START_DEADLINE = 60.0
_numbers = count(1)


def missing() -> str | None:
    """Return why no image can be built here, if so."""
    if os.geteuid():
        return "building with chroot isolation and running with runc need root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


def dockerfile() -> str:
    """Return the committed text."""
    return (ROOT / "Dockerfile").read_text()


@dataclass(frozen=True, slots=True)
class Store:
    """A store of images in `folder`."""

    folder: Path

    def buildah(self, *arguments: str, **options: Any) -> str:
        """Run buildah on this store; return what it printed. Raises with its errors."""
        places = ("--root", f"{self.folder}/root", "--runroot", f"{self.folder}/run")
        done = subprocess.run(
            ["buildah", *places, *arguments],
            capture_output=True, text=True, timeout=900, check=False, **options,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"buildah {arguments[0]}: {(done.stdout + done.stderr)[-4000:]}")
        return done.stdout

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs away; have the stand-in of the Dockerfile's base, and leave only that."""
        found = BASE.search(dockerfile())
        assert found is not None
        name = found[1]
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as one_at_a_time:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            self._clear(name)
            if name not in self._names():
                self._bootstrap(name, name.rpartition(":")[2].removesuffix("-slim"))
            try:
                yield
            finally:
                self._clear(name)

    def _names(self) -> list[str]:
        return self.buildah("images", "--format", "{{.Name}}:{{.Tag}}").split()

    def _clear(self, kept: str) -> None:
        """Remove what builds leave, those that were killed, too."""
        self.buildah("rm", "--all")
        for name in self._names():
            if name != kept and not name.startswith("<none>"):
                self.buildah("rmi", name)
        self.buildah("rmi", "--prune", "--force")

    def _bootstrap(self, name: str, suite: str) -> None:
        tree = self.folder / "base.tar"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", suite, str(tree)],
            check=True,
            timeout=600,
        )
        container = self.buildah("from", "scratch").strip()
        root = Path(self.buildah("mount", container).strip())
        subprocess.run(["tar", "-xf", tree, "-C", root], check=True)
        if OWN_AUTHORITIES.is_dir():
            shutil.copytree(
                OWN_AUTHORITIES, root / OWN_AUTHORITIES.relative_to("/"), dirs_exist_ok=True
            )
        self.buildah("umount", container)
        self.buildah("commit", "--quiet", container, name)
        self.buildah("rm", container)
        tree.unlink()

    def build(self, tag: str, **arguments: str) -> "Image":
        """Build the committed Dockerfile, unchanged, from nothing; `arguments` of the build."""
        given = [word for pair in arguments.items() for word in ("--build-arg", "=".join(pair))]
        self.buildah(
            "bud", "--isolation", "chroot", "--pull-never", "--no-cache", "--layers=true",
            "--format", "docker", "--timestamp", arguments["SOURCE_DATE_EPOCH"], *given,
            "--tag", tag, str(ROOT),
        )  # fmt: skip
        return Image(self, tag)


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a store."""

    store: Store
    tag: str

    def description(self) -> dict[str, Any]:
        """Return its configuration as Docker reads it: `config`, `rootfs`, `created`."""
        told = json.loads(self.store.buildah("inspect", "--type", "image", self.tag))
        described: dict[str, Any] = told["Docker"]
        return described

    def layers(self) -> dict[str, int]:
        """Return digest and bytes of each layer as a registry would keep it: compressed."""
        place = self.store.folder / f"pushed-{next(_numbers)}"
        try:
            self.store.buildah("push", "--quiet", self.tag, f"oci:{place}:image")
            blobs = place / "blobs" / "sha256"
            index = json.loads((place / "index.json").read_text())
            name = index["manifests"][0]["digest"].removeprefix("sha256:")
            manifest = json.loads((blobs / name).read_text())
            return {one["digest"]: one["size"] for one in manifest["layers"]}
        finally:
            shutil.rmtree(place, ignore_errors=True)

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Yield the root file system."""
        container = self.store.buildah("from", "--pull-never", self.tag).strip()
        try:
            yield Path(self.store.buildah("mount", container).strip())
        finally:
            self.store.buildah("rm", container)


@dataclass
class Container:
    """A running one. Its process is in the namespaces of the machine's network, no other."""

    name: str
    process: "subprocess.Popen[bytes]"
    pid: int
    log: Path
    started: float
    """When it was asked for, monotonic."""
    url: str = ""
    management_url: str = ""

    def status(self) -> dict[str, str]:
        """Return what the kernel says of its first process (proc(5), `status`)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def cpu_seconds(self) -> float:
        """Return the CPU time of its first process."""
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def execute(
        self, *command: str, user: str = "65532:65532"
    ) -> "subprocess.CompletedProcess[str]":
        """Run a second process inside."""
        return subprocess.run(
            ["runc", "exec", "--user", user, self.name, *command],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def wait_until_ready(self) -> float:
        """Return the seconds from asking for it to its being ready."""
        while time.monotonic() < self.started + START_DEADLINE:
            if self.process.poll() is not None:
                break
            if not self.url:
                self._read_ports()
            elif self._is_ready():
                return time.monotonic() - self.started
            time.sleep(0.02)
        raise RuntimeError(f"it did not become ready:\n{self.log.read_text()[-4000:]}")

    def _read_ports(self) -> None:
        for line in self.log.read_text().splitlines():
            if '"serving"' in line:
                said = json.loads(line)
                self.url = f"http://127.0.0.1:{said['port']}"
                self.management_url = f"http://127.0.0.1:{said['management_port']}"

    def _is_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.management_url}/health/ready", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def terminate(self) -> int:
        """Send SIGTERM to its first process; return its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(60)


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs containers of one image as the restricted pod security standard has it.

    Read-only root, /tmp in memory and nothing else to write to, no capability, no new privilege.
    What a cluster adds and this does not: a seccomp profile, memory limits, a network of its own.
    """

    root: Path
    config: Mapping[str, Any]
    """What the image says of itself: user, environment, entry point, command."""
    folder: Path
    environ: Mapping[str, str]
    secrets: Path
    """Mounted read-only at /run/secrets/keyturn."""

    @contextmanager
    def container(self, *command: str, priority: int = 0) -> Iterator[Container]:
        """Run `command` (default: the image's own) until the block ends; priority as of nice."""
        name = f"keyturn-test-{os.getpid()}-{next(_numbers)}"
        bundle = self.folder / name
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(self._specification(command)))
        log, pid_file = bundle / "log", bundle / "pid"
        started = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["nice", "-n", str(priority), "runc", "run", "--bundle", bundle, "--pid-file", pid_file, name],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield Container(name, process, _number_in(pid_file, process), log, started)
        finally:
            subprocess.run(["runc", "kill", name, "KILL"], capture_output=True, check=False)
            process.wait(30)
            subprocess.run(["runc", "delete", "--force", name], capture_output=True, check=False)

    def run(self, *command: str) -> tuple[int, str]:
        """Run one command to its end; return its exit code and what it said."""
        with self.container(*command) as one:
            return one.process.wait(60), one.log.read_text()

    def _specification(self, command: Sequence[str]) -> dict[str, Any]:
        user, group = (int(one) for one in self.config["User"].split(":"))
        given = [f"{name}={value}" for name, value in self.environ.items()]
        sets = ("bounding", "effective", "permitted", "inheritable", "ambient")
        return {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": False,
                "user": {"uid": user, "gid": group},
                "args": [*self.config["Entrypoint"], *(command or self.config["Cmd"])],
                "env": [*self.config["Env"], *given],
                "cwd": self.config["WorkingDir"],
                "capabilities": {one: [] for one in sets},
                "noNewPrivileges": True,
            },
            "root": {"path": str(self.root), "readonly": True},
            "mounts": [
                _mount("/proc", "proc", "proc"),
                _mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755", "size=65536k"),
                _mount(
                    "/tmp", "tmpfs", "tmpfs", "nosuid", "nodev", "noexec", "mode=1777", "size=16m"
                ),
                _mount("/run/secrets/keyturn", "bind", str(self.secrets), "rbind", "ro"),
            ],
            "linux": {
                "namespaces": [{"type": one} for one in ("pid", "ipc", "uts", "mount")],
                "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
            },
        }


def _mount(place: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": place, "type": kind, "source": source, "options": list(options)}


def _number_in(pid_file: Path, process: "subprocess.Popen[bytes]") -> int:
    """Return the number that runc writes once the container's first process is there."""
    until = time.monotonic() + START_DEADLINE
    while time.monotonic() < until:
        with suppress(FileNotFoundError, ValueError):
            return int(pid_file.read_text())
        if process.poll() is not None and not pid_file.exists():
            break
        time.sleep(0.01)
    raise RuntimeError(f"runc started nothing: {(pid_file.parent / 'log').read_text()[-4000:]}")
