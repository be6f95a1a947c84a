"""One list as it is sent: a JWT that any cache may hold and any API can check (section 5.1).

`exp` is an hour and up to ten minutes away, and the same on every replica: what a list says of
tokens is worth nothing once they have expired, and none lives longer than an hour. Sooner, an
outage of ours would become one of every API that is strict about it. As an answer "not modified"
confirms `exp` along with the bits, and `exp` moves every ten minutes, none confirms a list that
has less than an hour to go. How soon an API asks again is `ttl`, not this.

`iat` is when it was signed, which differs between replicas and tells nothing of how fresh it is.
So the entity tag is a weak one, over everything but that: an API that asks another replica each
time hears "not modified", too.
"""

import base64
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from keyturn.crypto import jose, opaque
from keyturn.crypto.jose import SigningKey
from keyturn.revocation.copy import MICROSECONDS
from keyturn.settings import LONGEST_ACCESS_TOKEN

STEP: Final = 600
"""Seconds between two values of `exp`."""

BEST: Final = 9
"""The compression that section 4.1 recommends."""


@dataclass(frozen=True, slots=True)
class Document:
    """A signed list and its weak entity tag."""

    body: bytes
    gzipped: bytes
    """base64 makes what zlib has made small larger by a third; this takes that back (8.2)."""
    etag: str
    expires_at: int
    """Its `exp`, in Unix seconds."""


def expiry(now: int) -> int:
    """Return the `exp` of what is signed at `now` (Unix microseconds), in Unix seconds."""
    return (now // MICROSECONDS // STEP + 1) * STEP + LONGEST_ACCESS_TOKEN


def claims_of(issuer: str, uri: str, ttl: int, expires_at: int) -> dict[str, Any]:
    """Return what a list says of itself."""
    return {"iss": issuer, "sub": uri, "exp": expires_at, "ttl": ttl}


def make(key: SigningKey, claims: dict[str, Any], now: int, bits: Callable[[], bytes]) -> Document:
    """Compress and sign; some milliseconds, for a thread. `now` is in Unix microseconds."""
    packed = base64.urlsafe_b64encode(zlib.compress(bits(), BEST)).rstrip(b"=").decode()
    claims = {**claims, "status_list": {"bits": 1, "lst": packed}}
    etag = opaque.sha256(orjson.dumps(claims)).hex()[:32]
    payload = orjson.dumps({**claims, "iat": now // MICROSECONDS})
    body = key.sign(payload, jose.STATUS_LIST_JWT).encode()
    return Document(body, gzip.compress(body, BEST, mtime=0), f'W/"{etag}"', claims["exp"])
