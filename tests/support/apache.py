"""An Apache with mod_auth_openidc, as Debian builds them: where it is, and one that runs.

One that is installed is taken. Else Debian's packages are unpacked into a cache folder.
"""

import html
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support import debian

PACKAGES = ("apache2-bin", "libapache2-mod-auth-openidc")
INSTALLED = (Path("/usr/lib/apache2/modules"), Path("/usr/lib64/httpd/modules"))
NAMES = ("apache2", "httpd")
BASE = ("mpm_event", "unixd", "authn_core", "authz_core", "authz_user", "include", "auth_openidc")
PATIENCE = 30.0
UNPRIVILEGED = "User #65534\nGroup #65534"
PAGE = "<!doctype html><title>app</title><pre><!--#printenv --></pre>\n"
"""What the application at an address shows: everything Apache has told it about the visitor."""
FRAME = """
ServerName 127.0.0.1
ServerRoot "{folder}"
Listen 127.0.0.1:{port}
PidFile "{folder}/apache.pid"
ErrorLog "{folder}/error.log"
LogLevel warn
Mutex posixsem
# After the module's error page Apache closes a connection that it said it keeps: the next request
# on it is lost. Browsers ask again; the test client does not.
KeepAlive Off
ThreadsPerChild 16
MaxRequestWorkers 16
StartServers 1
ServerLimit 1
DocumentRoot "{folder}/pages"
<Directory "{folder}/pages">
  Require all granted
  Options +Includes
  ForceType text/html
  SetOutputFilter INCLUDES
</Directory>
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """A program, where its modules are, and its libraries if not where the system looks."""

    program: Path
    modules: tuple[Path, ...]
    libraries: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """What the program needs to find its libraries."""
        path = {"PATH": os.environ["PATH"]}
        return {**path, "LD_LIBRARY_PATH": self.libraries} if self.libraries else path

    def loading(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the directives that load these modules; one without a file is built in."""
        for name in names:
            files = (folder / f"mod_{name}.so" for folder in self.modules)
            if found := next(filter(Path.exists, files), None):
                yield f'LoadModule {name}_module "{found}"'


def obtained() -> Installation:
    """Return an Apache with the module, fetched if need be. Raises `debian.NotObtainable`."""
    program = next((found for name in NAMES if (found := _on_path(name))), None)
    if program is not None and any((one / "mod_auth_openidc.so").exists() for one in INSTALLED):
        return Installation(Path(program), INSTALLED)
    folder = debian.unpacked("apache", *PACKAGES)
    fetched = folder / "usr/sbin/apache2"
    return Installation(
        fetched if fetched.exists() else Path(program or fetched),
        (folder / "usr/lib/apache2/modules", *INSTALLED),
        debian.libraries(folder),
    )


def _on_path(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@dataclass(frozen=True, slots=True)
class Apache:
    """One that runs, and where."""

    origin: str
    folder: Path
    process: "subprocess.Popen[bytes]" = field(repr=False)

    @property
    def log(self) -> str:
        """What it has complained about."""
        return (self.folder / "error.log").read_text(errors="replace")


@contextmanager
def running(
    installation: Installation, port: int, config: str, authority: Path, *pages: str
) -> Iterator[Apache]:
    """Run one on a loopback port until the end of the block; `pages` are paths below `/`.

    In `config`, `{folder}` is where it lives and `{folder}/authority.pem` whom it trusts.

    It drops root as an installed one does, so its folder is not pytest's, which is root's alone.
    """
    with tempfile.TemporaryDirectory(prefix="keyturn-apache-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copyfile(authority, folder / "authority.pem")
        for page in pages:
            at = folder / "pages" / page
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_text(PAGE)
        (folder / "apache.conf").write_text(_config(installation, folder, port, config))
        process = subprocess.Popen(
            [installation.program, "-DFOREGROUND", "-f", folder / "apache.conf"],
            env=installation.environ,
            stdin=subprocess.DEVNULL,
        )
        apache = Apache(f"http://127.0.0.1:{port}", folder, process)
        try:
            _wait_until_it_listens(apache, port)
            yield apache
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def _config(installation: Installation, folder: Path, port: int, config: str) -> str:
    user = UNPRIVILEGED if os.geteuid() == 0 else ""
    frame = FRAME.format(folder=folder, port=port)
    return "\n".join(
        [*installation.loading(BASE), user, frame, config.replace("{folder}", str(folder))]
    )


def _wait_until_it_listens(apache: Apache, port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert apache.process.poll() is None, f"Apache did not start:\n{apache.log}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError(f"Apache does not listen:\n{apache.log}")


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def told(page: str) -> dict[str, str]:
    """Return what Apache has told the application: the variables on its page."""
    lines = page.partition("<pre>")[2].partition("</pre>")[0].splitlines()
    pairs = (html.unescape(line).partition("=") for line in lines)
    return {name: value for name, _, value in pairs}
