"""Watches the servers behind `keyturn dev`: one that ends by itself ends the command, in words.

Nobody starts it again, so without PostgreSQL every answer would be 503, for ever and without a
word. Without its Valkey keyturn goes on as it promises to, which is worth trying out: that end is
only told.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from keyturn.dev.process import ChildProcess

LOOK = 0.2
"""Seconds between two looks."""


@asynccontextmanager
async def watched(
    needed: Sequence[ChildProcess], spared: ChildProcess | None, tell: Callable[[str], None]
) -> AsyncIterator[None]:
    """Serve in the block; it ends as by Ctrl-C when one of `needed` has ended.

    EmbeddedStartFailed shows its last words then. `tell` hears that `spared` has ended.
    """
    watching = asyncio.create_task(_watch(needed, spared, tell))
    try:
        yield
    finally:
        watching.cancel()
    for child in needed:
        if not child.running:
            raise child.failed("ended by itself")


async def _watch(
    needed: Sequence[ChildProcess], spared: ChildProcess | None, tell: Callable[[str], None]
) -> None:
    while all(child.running for child in needed):
        if spared is not None and not spared.running:
            tell(str(spared.failed("ended by itself; keyturn goes on without it")))
            spared = None
        await asyncio.sleep(LOOK)
    signal.raise_signal(signal.SIGTERM)
