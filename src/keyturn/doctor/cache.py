"""Looks at Redis with the settings of the servers: asks, and writes nothing."""

import asyncio
from urllib.parse import urlsplit

from keyturn.cache.client import Cache
from keyturn.clock import Clock
from keyturn.doctor import redis
from keyturn.doctor.finding import Finding, skip
from keyturn.errors import CacheUnavailable
from keyturn.outgoing.resolver import SystemResolver
from keyturn.revocation.cache import UPTO, revocations_key
from keyturn.settings import Settings
from keyturn.telemetry.metrics import Metrics

PATIENCE = 2.0
"""Seconds one command may take here: more than in a server, to say how long it takes."""

PAUSE = 1.2
"""Seconds between two looks at the copy: it moves every half second at least."""


async def look_at_redis(
    settings: Settings, clock: Clock, resolver: SystemResolver
) -> list[Finding]:
    """Look at the Redis of these settings."""
    url = settings.redis.url
    if url is None:
        sentence = "no Redis: limits count in each process alone, introspection asks PostgreSQL"
        found = redis.CONFIGURED.wrong(sentence, "set redis.url (or redis.url_file)")
        return [found, *skip((redis.REACHABLE, *redis.OF_SERVER), "no Redis is set")]
    configured = redis.CONFIGURED.ok("a Redis is set")
    patient = settings.redis.model_copy(update={"timeout": PATIENCE})
    cache = Cache(patient, Metrics(), clock)
    try:
        await _find(url.get_secret_value(), resolver)
        return [configured, *await _look(cache, settings, clock)]
    except (CacheUnavailable, OSError) as trouble:
        reason = str(trouble) if isinstance(trouble, CacheUnavailable) else type(trouble).__name__
        skipped = skip(redis.OF_SERVER, "Redis does not answer")
        return [configured, redis.unreachable(reason), *skipped]
    finally:
        await cache.close()


async def _find(url: str, resolver: SystemResolver) -> None:
    """Look the name up first: the driver's own look-up would outlive every deadline."""
    where = urlsplit(url)
    if where.hostname and "," not in where.netloc:
        async with asyncio.timeout(PATIENCE):
            await resolver.addresses(where.hostname)


async def _look(cache: Cache, settings: Settings, clock: Clock) -> list[Finding]:
    key = revocations_key(settings.issuer)
    # A Cluster tells by a key who has it; INFO, which has none, is then asked of that node.
    (first,) = await cache.zmscore(key, UPTO)
    info = redis.parse(await cache.execute("INFO"))
    asked = clock.monotonic()
    await cache.execute("PING")
    seconds = clock.monotonic() - asked
    await asyncio.sleep(PAUSE)
    (second,) = await cache.zmscore(key, UPTO)
    return [
        redis.REACHABLE.ok("Redis answers"),
        *redis.server(info, seconds, settings.redis.timeout),
        redis.copy(first, second, PAUSE),
    ]
