"""nginx as Debian builds it, asking `keyturn_verifier.forward_auth` before each request."""

import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support import debian
from support.apache import free_port
from support.stacks import processes
from support.stacks.page import Page
from support.stacks.world import Stack, World
from support.tree import ROOT

FRAME = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log stderr notice;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {folder}/keyturn.conf;
}}
"""


@asynccontextmanager
async def running(page: Page, world: World, folder: Path) -> AsyncIterator[Stack]:
    """Run both in front of an API."""
    obtained()
    asked = free_port()
    async with verifying(world, folder, asked), asking(page, asked, folder) as stack:
        yield stack


@asynccontextmanager
async def asking(page: Page, asked: int, folder: Path) -> AsyncIterator[Stack]:
    """Run nginx in front of an API, asking whoever listens on that port."""
    program, port = obtained(), free_port()
    async with processes.api() as behind:
        page.write(folder, changes(port, asked, behind))
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(FRAME.format(folder=folder, user=user))
        command = [program, "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
        async with processes.running(command, folder, port, {}) as log:
            yield Stack(f"http://127.0.0.1:{port}/orders", log.read_text)


def changes(port: int, asked: int, behind: int) -> dict[str, str]:
    """What differs from the page."""
    return {
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "127.0.0.1:8090": f"127.0.0.1:{asked}",
        "127.0.0.1:8000": f"127.0.0.1:{behind}",
    }


@asynccontextmanager
async def verifying(world: World, folder: Path, port: int) -> AsyncIterator[None]:
    """Run the program that nginx asks, as the page starts it."""
    command = (
        f"-m keyturn_verifier.forward_auth --issuer {world.issuer}"
        f" --audience https://api.example.com --port {port}"
    )
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "packages/verifier/src"),
        "SSL_CERT_FILE": str(world.authority),
    }
    beside = folder / "forward_auth"
    beside.mkdir()
    async with processes.running([sys.executable, *command.split()], beside, port, environ):
        yield


def obtained() -> Path:
    """Return the program, fetched if need be; skips the caller without one."""
    if installed := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"):
        return Path(installed)
    try:
        return debian.unpacked("nginx", "nginx") / "usr/sbin/nginx"
    except debian.NotObtainable as reason:
        pytest.skip(str(reason))
