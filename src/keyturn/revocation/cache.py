"""The copy of the revocations in Redis: asked first, believed only while it is fresh."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from math import isfinite

from keyturn.cache.client import Cache, keyspace
from keyturn.clock import Clock
from keyturn.revocation.copy import MICROSECONDS
from keyturn.revocation.freshness import Freshness

UPTO = "upto"
"""The member that says at which database time the set was complete, in Unix microseconds."""

BATCH = 1000
"""Members one command carries: a millisecond or two of the server's time."""


class Verdict(Enum):
    """What the copy knows."""

    REVOKED = "revoked"
    NOT_REVOKED = "not revoked"
    UNTRUSTED = "untrusted"
    """It does not list the token, and does not prove that it lists everything."""


def revocations_key(issuer: str) -> str:
    """Return the key of the sorted set."""
    return keyspace(issuer, "revocations")


@dataclass(slots=True, eq=False)
class RevocationCache:
    """One process's view of the copy; `trust` is in seconds. Raises `CacheUnavailable`."""

    cache: Cache
    clock: Clock
    issuer: str
    trust: float
    freshness: Freshness = field(init=False)
    _epoch: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Start without any trust."""
        self.freshness = Freshness(self.trust)

    async def look_up(self, sid: str | None, jti: str) -> Verdict:
        """Ask about a session and a token of it in one command."""
        if not self.cache.is_configured:
            return Verdict.UNTRUSTED
        members = [f"jti:{jti}"] if sid is None else [f"sid:{sid}", f"jti:{jti}"]
        *listed, upto = await self._scores(*members)
        if any(score is not None for score in listed):
            return Verdict.REVOKED
        if self.freshness.trusts(upto, self.clock.monotonic()):
            return Verdict.NOT_REVOKED
        return Verdict.UNTRUSTED

    async def watch(self) -> None:
        """See whether the copy moves.

        Every process does so twice a second: one without traffic would else have to ask
        PostgreSQL about each of its few tokens.
        """
        await self._scores()

    async def add(self, kind: str, ids: Sequence[str], expires_at: datetime) -> None:
        """List what has just been revoked, ahead of the copier, whose scores are not touched."""
        score = int(expires_at.timestamp() * MICROSECONDS)
        key = revocations_key(self.issuer)
        for start in range(0, len(ids), BATCH):
            pairs: list[int | str] = []
            for one in ids[start : start + BATCH]:
                pairs += (score, f"{kind}:{one}")
            await self.cache.execute("ZADD", key, "NX", *pairs)

    async def _scores(self, *members: str) -> tuple[float | None, ...]:
        asked_at, epoch = self.clock.monotonic(), self.cache.epoch
        *listed, upto = await self.cache.zmscore(revocations_key(self.issuer), *members, UPTO)
        if upto is not None and not isfinite(upto):
            upto = None
        if epoch != self.cache.epoch:
            # Another server took over meanwhile: nobody can tell which of the two this is from.
            return (*listed, None)
        if epoch != self._epoch:
            # A later `upto` over there proves no write: it may have stood still for a minute,
            # while the former primary, cut off, went on showing an earlier one.
            self._epoch, self.freshness = epoch, Freshness(self.trust)
        self.freshness.observe(upto, asked_at, self.clock.monotonic())
        return (*listed, upto)
