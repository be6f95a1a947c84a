"""Programs of Node, with the packages that `tests/interop/stacks` pins."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support import npm
from support.apache import free_port
from support.stacks import processes
from support.stacks.page import Page
from support.stacks.world import Stack, World
from support.tree import ROOT

PACKAGES = ROOT / "tests/interop/stacks"


@asynccontextmanager
async def running(page: Page, world: World, folder: Path) -> AsyncIterator[Stack]:
    """Run the program that is named after its page."""
    (folder / "node_modules").symlink_to(npm.packages(PACKAGES))
    port = free_port()
    issuer = {"https://id.example.com": world.issuer}
    page.write(folder, {**issuer, "8080": str(port)})
    Page.named("status-list").write(folder, issuer)
    environ = {"PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": str(world.authority)}
    command = ["node", f"{page.name}.mjs"]
    async with processes.running(command, folder, port, environ) as log:
        yield Stack(f"http://127.0.0.1:{port}/orders", log.read_text)
