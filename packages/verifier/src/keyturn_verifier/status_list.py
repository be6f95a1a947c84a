"""One status list (IETF Token Status List, sections 4 and 5): which tokens were revoked, as bits.

A list is a signed JWT; it is held to the same rules as a token, with another `typ`. Its signature
says who made it, `sub` which list it is: without it, a list in which nothing is revoked could be
put in the place of another.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyturn_verifier.checks import date
from keyturn_verifier.compact import decode

TYPE = "statuslist+jwt"
BITS = (1, 2, 4, 8)
MOST_BYTES = 2**20
"""Of a list when it is unpacked: 8 million tokens of one bit each."""
TTL = 60.0
SHORTEST_TTL, LONGEST_TTL = 2.0, 3600.0


@dataclass(frozen=True)
class StatusList:
    """The statuses of the tokens of one list."""

    bits: int
    """How many bits a status has."""
    statuses: bytes
    issued_at: float
    expires_at: float | None
    ttl: float
    """Seconds for which a copy may be used without asking."""

    def status(self, index: int) -> int | None:
        """Return a token's status, 0 is good; None when the list does not reach so far."""
        place, shift = divmod(index * self.bits, 8)
        if place >= len(self.statuses):
            return None
        return (self.statuses[place] >> shift) & ((1 << self.bits) - 1)


def read(claims: Mapping[str, Any]) -> StatusList:
    """Return the list that the claims of a verified JWT hold.

    Raises `ValueError` or `InvalidToken` when they hold none.
    """
    packed = claims.get("status_list")
    bits, text = (packed.get("bits"), packed.get("lst")) if isinstance(packed, dict) else (0, None)
    if type(bits) is not int or bits not in BITS or not isinstance(text, str) or not text:
        raise ValueError("no status list in it")
    ttl = date(claims, "ttl") if "ttl" in claims else TTL
    return StatusList(
        bits,
        unpack(decode(text)),
        issued_at=date(claims, "iat"),
        expires_at=date(claims, "exp") if "exp" in claims else None,
        ttl=min(max(ttl, SHORTEST_TTL), LONGEST_TTL),
    )


def unpack(packed: bytes) -> bytes:
    """Unpack a zlib stream, and never more of it than a list may have. Raises `ValueError`."""
    unpacking = zlib.decompressobj()
    try:
        statuses = unpacking.decompress(packed, MOST_BYTES + 1)
    except zlib.error as error:
        raise ValueError(f"{error}") from error
    if len(statuses) > MOST_BYTES:
        raise ValueError("unpacks to too much")
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("not one whole zlib stream")
    return statuses
