"""Go, with the go-oidc that Debian packages: version 2, whose calls are those of version 3."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support import debian
from support.apache import free_port
from support.stacks import processes
from support.stacks.page import Page
from support.stacks.world import Stack, World

PACKAGES = ("golang-go", "golang-github-coreos-go-oidc-dev")
PATIENCE = 300


@asynccontextmanager
async def running(page: Page, world: World, folder: Path) -> AsyncIterator[Stack]:
    """Build the program of the page, and run it."""
    try:
        files = debian.unpacked("go", *PACKAGES)
    except debian.NotObtainable as reason:
        pytest.skip(str(reason))
    port = free_port()
    changes = {
        "https://id.example.com": world.issuer,
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "github.com/coreos/go-oidc/v3/oidc": "github.com/coreos/go-oidc",
    }
    page.write(folder, changes)
    _build(files, folder)
    environ = {"SSL_CERT_FILE": str(world.authority)}
    async with processes.running([folder / "api"], folder, port, environ) as log:
        yield Stack(f"http://127.0.0.1:{port}/orders", log.read_text)


def _build(files: Path, folder: Path) -> None:
    """Compile without modules, which would be asked for elsewhere; what is compiled is kept."""
    environ = {
        "PATH": os.environ["PATH"],
        "GOROOT": str(next((files / "usr/lib").glob("go-*"))),
        "GOPATH": str(files / "usr/share/gocode"),
        "GOCACHE": str(files.parent / "compiled"),
        "GO111MODULE": "off",
        "CGO_ENABLED": "0",
    }
    done = subprocess.run(
        [files / "usr/lib/go/bin/go", "build", "-o", "api", "main.go"],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
