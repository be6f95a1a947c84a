"""Apache with mod_oauth2, as Debian builds them."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support import apache, debian
from support.stacks import processes
from support.stacks.page import Page
from support.stacks.world import Stack, World

PACKAGES = ("apache2-bin", "libapache2-mod-oauth2")
MODULES = (
    "mpm_event",
    "unixd",
    "authn_core",
    "authz_core",
    "proxy",
    "proxy_http",
    "rewrite",
    "oauth2",
)
FRAME = """
ServerName 127.0.0.1
ServerRoot "{folder}"
DefaultRuntimeDir "{folder}"
Listen 127.0.0.1:{port}
PidFile "{folder}/apache.pid"
ErrorLog "{folder}/error.log"
LogLevel warn
Mutex posixsem
StartServers 1
ServerLimit 1
ThreadsPerChild 16
MaxRequestWorkers 16
"""


@asynccontextmanager
async def running(page: Page, world: World, _folder: Path) -> AsyncIterator[Stack]:
    """Run one in front of an API.

    It drops root as an installed one does, so its folder is not pytest's, which is root's alone.
    """
    installation, port = obtained(), apache.free_port()
    with tempfile.TemporaryDirectory(prefix="keyturn-apache-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        async with processes.api() as behind:
            page.write(folder, changes(world, behind))
            (folder / "apache.conf").write_text(config(installation, folder, port, page))
            command = [installation.program, "-DFOREGROUND", "-f", folder / "apache.conf"]
            async with processes.running(command, folder, port, installation.environ):
                log = folder / "error.log"
                yield Stack(f"http://127.0.0.1:{port}/orders", log.read_text)


def changes(world: World, behind: int) -> dict[str, str]:
    """What differs from the page; this module cannot be told whom else to trust."""
    return {
        "https://id.example.com": world.issuer,
        "127.0.0.1:8000": f"127.0.0.1:{behind}",
        "ssl_verify=true": "ssl_verify=false",
    }


def config(installation: apache.Installation, folder: Path, port: int, page: Page) -> str:
    """What Debian's own files would say, and the files of the page."""
    user = apache.UNPRIVILEGED if os.geteuid() == 0 else ""
    frame = FRAME.format(folder=folder, port=port)
    included = [f'Include "{folder}/{name}"' for name in page.files]
    return "\n".join([*installation.loading(MODULES), user, frame, *included])


def obtained() -> apache.Installation:
    """Return an Apache with the module, fetched if need be; skips the caller without one."""
    installed = Path("/usr/sbin/apache2")
    if installed.exists() and (apache.INSTALLED[0] / "mod_oauth2.so").exists():
        return apache.Installation(installed, apache.INSTALLED)
    try:
        folder = debian.unpacked("apache-oauth2", *PACKAGES)
    except debian.NotObtainable as reason:
        pytest.skip(str(reason))
    fetched = folder / "usr/sbin/apache2"
    return apache.Installation(
        fetched if fetched.exists() else installed,
        (folder / "usr/lib/apache2/modules", *apache.INSTALLED),
        debian.libraries(folder),
    )
