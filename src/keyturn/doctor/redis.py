"""Redis: whether it is there, quick, ours to write, and keeps what it is given."""

from collections.abc import Mapping
from typing import Any

from keyturn.doctor.finding import Check, Finding, error, warning

CONFIGURED = warning("redis.configured")
REACHABLE = error("redis.reachable")
TIME = warning("redis.time")
VERSION = error("redis.version")
PRIMARY = error("redis.primary")
EVICTION = warning("redis.eviction")
MEMORY = warning("redis.memory")
COPY = warning("redis.copy")

OF_SERVER: tuple[Check, ...] = (TIME, VERSION, PRIMARY, EVICTION, MEMORY, COPY)
CHECKS: tuple[Check, ...] = (CONFIGURED, REACHABLE, *OF_SERVER)

OLDEST = (6, 2)
"""ZMSCORE came with it."""
FULL = 0.8

Info = Mapping[str, str]
"""The answer to INFO, by field."""


def parse(answer: bytes) -> dict[str, str]:
    """Read the answer to INFO: a field a line, comments begin with `#`."""
    lines = (line.partition(":") for line in answer.decode("utf-8", "replace").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon and name[:1] != "#"}


def unreachable(reason: str) -> Finding:
    """Say that there is no answer; `reason` is one of the cache's own words."""
    sentence = f"no answer from Redis ({reason}): limits count in each process alone, revocations "
    mend = "start Redis, or correct redis.url (host, port, password, TLS)"
    return REACHABLE.wrong(f"{sentence}are asked from PostgreSQL", mend)


def server(info: Info, seconds: float, timeout: float) -> list[Finding]:
    """Judge a server that answers; a command took `seconds`, and may take `timeout`."""
    return [_time(seconds, timeout), _version(info), _primary(info), *_memory(info)]


def copy(first: float | None, second: float | None, pause: float) -> Finding:
    """Say whether the copy of the revocations moves: its time, twice, `pause` seconds apart."""
    if first is not None and second is not None and second > first:
        return COPY.ok(f"the copy of the revocations moved by {(second - first) / 1e6:.1f} s")
    what = "there is no copy of the revocations" if second is None else "the copy does not move"
    sentence = f"{what} ({pause:.1f} s): every introspection asks PostgreSQL"
    mend = "start a server; with one running, see its log and keyturn_revocation_copies_total"
    return COPY.wrong(sentence, mend)


def _time(seconds: float, timeout: float) -> Finding:
    told = f"a command takes {seconds * 1000:.1f} ms"
    if seconds < timeout:
        return TIME.ok(told)
    sentence = f"{told}; servers give up after {timeout * 1000:.0f} ms"
    return TIME.wrong(sentence, "bring Redis nearer to the servers, or raise redis.timeout")


def _version(info: Info) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    # Valkey says here which Redis it is compatible with, too.
    told = info.get("redis_version", "0")
    number = tuple(int(part) for part in told.split(".")[:2] if part.isdecimal())
    if number >= OLDEST:
        return VERSION.ok(f"{name} {info.get('valkey_version', told)}")
    return VERSION.wrong(f"{name} {told} is too old", "upgrade to Redis 6.2 or later, or Valkey")


def _primary(info: Info) -> Finding:
    if info.get("role", "master") == "master":
        return PRIMARY.ok("this server takes writes")
    sentence = "this is a replica: it takes no writes, so limits and revocations do not get there"
    return PRIMARY.wrong(sentence, "name the primary in redis.url")


def _memory(info: Info) -> list[Finding]:
    most, used = _number(info.get("maxmemory")), _number(info.get("used_memory"))
    policy = info.get("maxmemory_policy", "noeviction")
    if not most:
        bound = "maxmemory is not set: nothing is evicted"
        return [EVICTION.ok(bound), MEMORY.ok(bound)]
    full = used / most
    told = f"{full:.0%} of maxmemory is used"
    memory = MEMORY.ok(told)
    if full > FULL:
        memory = MEMORY.wrong(told, "raise maxmemory, or give keyturn a Redis of its own")
    if policy == "noeviction":
        return [EVICTION.ok("maxmemory-policy is noeviction"), memory]
    sentence = (
        f"maxmemory-policy is {policy}: a full Redis forgets failed attempts, and so guessing "
        "limits, or the copy of the revocations"
    )
    mend = "config set maxmemory-policy noeviction (and in redis.conf): keyturn copes with refusals"
    return [EVICTION.wrong(sentence, mend), memory]


def _number(text: Any) -> int:
    return int(text) if str(text).isdecimal() else 0
