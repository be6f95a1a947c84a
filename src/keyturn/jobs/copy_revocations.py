"""Twice a second: the leader copies revocations to Redis, and every process watches the copy.

Without a Redis there is no copy, and nothing to do.
"""

from dataclasses import dataclass

from keyturn.jobs.leader import Leadership
from keyturn.revocation.cache import RevocationCache
from keyturn.revocation.copier import Copier


@dataclass(frozen=True, slots=True)
class CopyRevocations:
    """One round of the copier, in the process that leads."""

    copier: Copier
    leadership: Leadership

    async def run_once(self) -> None:
        """Copy what is new. Raises `Unavailable`, `CacheUnavailable`."""
        if not self.copier.copy.cache.is_configured:
            return
        if await self.leadership.leads("copy_revocations"):
            await self.copier.run_round()


@dataclass(frozen=True, slots=True)
class WatchRevocations:
    """One look at the copy, so that a process without traffic trusts it from its first token on."""

    cache: RevocationCache

    async def run_once(self) -> None:
        """Look. Raises `CacheUnavailable`."""
        if self.cache.cache.is_configured:
            await self.cache.watch()
