"""Looks for secrets in everything a running service leaves behind, however they are spelt.

A secret is found raw, escaped in JSON, in hex, in base64 of either alphabet (wherever it begins
inside of what was encoded, and across line breaks, as in PEM) and URL-encoded.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes, urlsplit

import asyncpg
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from support.redis_topologies import connect
from support.replicas import Replica

LEAST = 8
"""Bytes: a shorter text would be found everywhere."""


@dataclass(frozen=True)
class Finding:
    """A secret where it must not be."""

    secret: str
    spelling: str
    place: str


def spellings(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield every form of a secret that is looked for."""
    assert len(secret) >= LEAST
    yield "raw", secret
    text = secret.decode("utf-8", "ignore")
    if text.encode() == secret:
        yield "JSON", json.dumps(text)[1:-1].encode()
    yield "hex", secret.hex().encode()
    yield "HEX", secret.hex().upper().encode()
    yield "URL", quote_from_bytes(secret, safe="").encode()
    yield "URL, in a path", quote_from_bytes(secret).encode()
    yield "URL, in a form", quote_from_bytes(secret, safe=" ").replace(" ", "+").encode()
    yield "URL, every octet", "".join(f"%{octet:02X}" for octet in secret).encode()
    for offset in range(3):
        inner = _base64_inside(secret, offset)
        yield f"base64 at {offset}", inner
        yield f"base64url at {offset}", inner.translate(bytes.maketrans(b"+/", b"-_"))


def _base64_inside(secret: bytes, offset: int) -> bytes:
    """Return the characters of base64 that a secret alone decides, after `offset` other octets."""
    encoded = base64.b64encode(bytes(offset) + secret)
    return encoded[-(-offset * 8 // 6) : (offset + len(secret)) * 8 // 6]


def scan(secrets: Mapping[str, bytes], places: Mapping[str, bytes]) -> list[Finding]:
    """Return every secret found in any place."""
    texts = {
        place: (content, content.replace(b"\\n", b"").replace(b"\n", b"").replace(b"\r", b""))
        for place, content in places.items()
    }
    return [
        Finding(name, spelling, place)
        for name, secret in secrets.items()
        for spelling, needle in spellings(secret)
        for place, contents in texts.items()
        if any(needle in content for content in contents)
    ]


def private_halves(key: RSAPrivateKey) -> dict[str, bytes]:
    """Return what makes a private key private: parts of it stand in DER, PEM and every JWK."""
    numbers = key.private_numbers()
    return {
        "private exponent": numbers.d.to_bytes(256, "big")[100:140],
        "first prime": numbers.p.to_bytes(128, "big")[40:80],
        "second prime": numbers.q.to_bytes(128, "big")[40:80],
    }


def process_list(*owners: Replica) -> Iterator[tuple[str, bytes]]:
    """Yield what others can see of every process, and the environment of the servers."""
    servers = {one.process.pid for one in owners}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            yield f"command line of {folder.name}", command
            program = command.split(b"\0")[0]
            if int(folder.name) in servers or b"postgres" in program or b"valkey" in program:
                yield f"environment of {folder.name}", (folder / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # gone meanwhile, or somebody else's


async def database_dump(sql: asyncpg.Connection | asyncpg.Pool) -> dict[str, bytes]:
    """Return every table as COPY writes it, and what PostgreSQL says of its sessions."""
    names = await sql.fetch(
        "select format('%I.%I', schemaname, tablename) as name from pg_tables"
        " where schemaname not in ('pg_catalog', 'information_schema')"
    )
    dump = {}
    for (name,) in names:
        rows = await sql.fetch(f"select t::text as line from {name} as t")
        dump[f"table {name}"] = "\n".join(row["line"] for row in rows).encode()
    queries = await sql.fetch("select coalesce(query, '') as query from pg_stat_activity")
    dump["pg_stat_activity"] = "\n".join(row["query"] for row in queries).encode()
    return dump


async def redis_dump(url: str) -> bytes:
    """Return every key of a Redis database with its value as serialised and as text."""
    pieces: list[bytes] = []
    async with connect(url) as client:
        async for key in client.scan_iter(count=1000):
            kind = await client.type(key)
            read = {
                b"string": client.get,
                b"hash": client.hgetall,
                b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
            }.get(kind)
            value = await read(key) if read else b""
            pieces += [key, await client.dump(key) or b"", repr(value).encode()]
    return b"\n".join(pieces)


def password_of(url: str) -> bytes:
    """Return the password of a URL."""
    return (urlsplit(url).password or "").encode()
