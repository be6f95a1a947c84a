"""Keeps the keyring fresh: at once when a change is announced, else by the clock."""

import asyncio
from dataclasses import dataclass, field

import structlog

from keyturn.errors import Unavailable
from keyturn.keys.keyring import Keyring

RETRY = 1.0
"""Seconds until a failed reload is tried again: a stale keyring is worth asking often for."""

log = structlog.get_logger("keyturn.jobs")


@dataclass(frozen=True, slots=True)
class ReloadKeyring:
    """The reloading job; give `wake` to the listener of `keys.rotation.CHANNEL`."""

    keyring: Keyring
    interval: float
    """Seconds between two reloads nobody asked for."""
    _asked: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self, _payload: str) -> None:
        """Reload soon: something changed, or may have changed."""
        self._asked.set()

    async def run(self) -> None:
        """Reload again and again until cancelled; a database that is away is asked later."""
        while True:
            await self._rest(await self._reload())

    async def _reload(self) -> float:
        # Cleared before the question is sent: a change announced meanwhile asks once more.
        self._asked.clear()
        try:
            await self.keyring.load()
        except Unavailable as error:
            log.warning("reload_keyring_failed", reason=error.detail)
            return min(RETRY, self.interval)
        return self.interval

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return
