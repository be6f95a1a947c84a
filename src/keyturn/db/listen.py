"""One connection that hears NOTIFY, so that caches follow a change within moments.

A notification is a hint and never the truth: it is lost while the connection is away, so every
callback is called with an empty payload each time listening starts ("anything may have changed"),
and whoever caches has a time limit as well.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from keyturn.crypto.opaque import token_bytes
from keyturn.db.connection import Opener
from keyturn.db.trouble import TROUBLE
from keyturn.settings_postgres import PostgresSettings

Callback = Callable[[str], None]
"""Receives the payload, empty after a (re)connect; returns at once and raises nothing."""

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
PULSE = 10.0
"""Seconds between two signs of life: a peer that vanished without a word is noticed by one."""

log = structlog.get_logger("keyturn.db")


@dataclass(slots=True, eq=False)
class Listener:
    """Callbacks by channel, and the connection that feeds them."""

    settings: PostgresSettings
    _callbacks: dict[str, list[Callback]] = field(default_factory=dict)

    def on(self, channel: str, callback: Callback) -> None:
        """Have `callback` called for each notification on `channel`; before `run`."""
        self._callbacks.setdefault(channel, []).append(callback)

    async def run(self) -> None:
        """Listen until cancelled, reconnecting for ever."""
        failures = 0
        opener = Opener(self.settings, {"application_name": "keyturn listen"})
        while True:
            try:
                connection = await opener.open()
                failures = 0
                await self._listen(connection)
            except TROUBLE as error:
                failures += 1
                log.warning("listening_interrupted", reason=type(error).__name__)
            await asyncio.sleep(pause(failures))

    async def _listen(self, connection: asyncpg.Connection) -> None:
        """Pass notifications on until the connection is lost."""
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        try:
            async with asyncio.timeout(self.settings.statement_timeout):
                for channel in self._callbacks:
                    await connection.add_listener(channel, self._heard)
            self._call_all()
            while not await _happened(lost, within=PULSE):
                await connection.execute("select 1", timeout=self.settings.statement_timeout)
        finally:
            connection.terminate()

    def _heard(
        self,
        _connection: asyncpg.Connection | PoolConnectionProxy,
        _pid: int,
        channel: str,
        payload: Any,
    ) -> None:
        for callback in self._callbacks[channel]:
            callback(str(payload))

    def _call_all(self) -> None:
        for callbacks in self._callbacks.values():
            for callback in callbacks:
                callback("")


async def _happened(event: asyncio.Event, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            return await event.wait()
    except TimeoutError:
        return False


def pause(failures: int) -> float:
    """Return the seconds to wait before the next attempt: longer each time, never in step.

    Replicas that lost the same server at the same moment must not all come back at once.
    """
    ceiling = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures, 10))
    return ceiling * (0.5 + token_bytes(1)[0] / 512)
