"""The clients as npm publishes them, a server behind TLS as they meet it, and programs of Node."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import npm, replicas
from support.api import Api, api_of
from support.tls_front import TlsFront, tls_front

PATIENCE = 30.0
SETTINGS = {
    **replicas.GENEROUS,
    **replicas.REGISTERING,
    "development": "false",
    "device__interval": "1",
    "dpop__require_nonce": "true",
}


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of the clients."""
    return npm.packages()


@pytest.fixture(scope="session")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TlsFront]:
    """TLS where the issuer says; the server stands behind it."""
    async with tls_front(tmp_path_factory.mktemp("tls")) as one:
        yield one


@pytest.fixture(scope="session")
async def site(packages, databases, shared_redis_url, front: TlsFront) -> AsyncIterator[Api]:
    """A server that its clients reach at an https issuer, and nowhere else."""
    async with databases.fresh() as url:
        environ = replicas.settings(url, shared_redis_url, issuer=front.origin, **SETTINGS)
        with replicas.replicas(environ) as started:
            front.target = int(started[0].url.rpartition(":")[2])
            async with api_of(environ, started) as running:
                yield running


@dataclass
class Program:
    """A running program of Node that tells what happens, a line of JSON each."""

    process: asyncio.subprocess.Process

    async def tells(self) -> Any:
        """Return what happened next."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
            assert line, (await self.process.stderr.read()).decode()
        return json.loads(line)

    def answer(self, **members: Any) -> None:
        """Tell it what the browser came back with."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(members).encode() + b"\n")


@dataclass(frozen=True)
class Node:
    """Starts programs that trust the authority of the server's certificate."""

    authority: Path

    @asynccontextmanager
    async def runs(self, script: str, settings: Mapping[str, Any]) -> AsyncIterator[Program]:
        """Run one of the programs of this folder until the end of the block."""
        process = await asyncio.create_subprocess_exec(
            "node", str(npm.INTEROP / script), json.dumps(settings),
            env={"PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": str(self.authority)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            yield Program(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.fixture(scope="session")
def node(packages: Path, front: TlsFront) -> Node:
    """What runs programs."""
    return Node(front.authority)
