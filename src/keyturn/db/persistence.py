"""Asking again when the server ends connections: for what may be asked twice without harm.

An administrator who ends sessions, or a pooler that is restarted, ends many at once, and some are
handed out before the driver has heard of it. `pool` replaces those it knows to be of that time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from keyturn.db.trouble import Interrupted

Answer = TypeVar("Answer")

CONNECTIONS = 5
"""So many may be lost under one question, one after the other."""


async def persist(ask: Callable[[], Awaitable[Answer]], within: float) -> Answer:
    """Return what `ask` does, on as many connections as that takes; the last trouble is raised.

    After `within` seconds, or with none, nothing is asked again. Dead connections say so at once;
    one that hangs before it is lost has used up the time of whoever waits for the answer.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    for _ in range(CONNECTIONS - 1):
        try:
            return await ask()
        except Interrupted:
            if loop.time() >= until:
                raise
    return await ask()
