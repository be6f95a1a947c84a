"""Programs that run until the end of a block, what they complain about, and an API behind them."""

import asyncio
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

PATIENCE = 60.0
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"


@asynccontextmanager
async def running(
    command: Sequence[str | Path], folder: Path, port: int, environ: Mapping[str, str]
) -> AsyncIterator[Path]:
    """Run a program in a folder until the end of the block; it listens on the port once this
    returns the file of what it says."""
    log = folder / "said.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        # The issuer's TLS is of this loop: some ask it for keys before they listen.
        await _listens(process, log, port)
        yield log
    finally:
        process.terminate()
        process.wait(PATIENCE)


async def _listens(process: "subprocess.Popen[bytes]", log: Path, port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(errors="replace")[-4000:]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it does not listen:\n{log.read_text(errors='replace')[-4000:]}")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # who asked has left
    finally:
        writer.close()


@asynccontextmanager
async def api() -> AsyncIterator[int]:
    """An API that believes whoever reaches it; yields its port."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
