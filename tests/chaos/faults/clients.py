"""Connections of clients that say half of something, and then nothing."""

import asyncio
import random
from urllib.parse import urlsplit

from chaos.faults.fault import Fault
from chaos.world import World

HALF_OPEN = 100
HALF = b"POST /oauth2/token HTTP/1.1\r\nHost: keyturn\r\nContent-Length: 400\r\n"


async def hang(world: World, rng: random.Random, seconds: float) -> None:
    """Open many lines straight to the replicas, each with a part of a request, and keep them."""
    writers = []
    try:
        for spot in world.replica_set.serving * HALF_OPEN:
            assert spot.replica is not None
            port = urlsplit(spot.replica.url).port
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HALF[: rng.randrange(1, len(HALF))])
            writers.append(writer)
        await asyncio.sleep(seconds)
    finally:
        for writer in writers:
            writer.transport.abort()


FAMILY = (Fault("F28", "Clients that hang in mid-request", hang),)
