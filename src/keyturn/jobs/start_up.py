"""What must hold before the server calls itself started; tried again until it does.

The ports are open meanwhile: a database that comes a minute late costs a minute of 503, not a
pod that is restarted in a loop. A clients file that clashes with who is registered costs the same,
and the log says why; one that is wrong in itself ended the process before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from keyturn.db.migrate import applied_version, required_version
from keyturn.db.pool import Database
from keyturn.errors import InvalidClientMetadata, Unavailable
from keyturn.jobs.rotate_keys import RotateKeys
from keyturn.keys.keyring import Keyring
from keyturn.telemetry.vitals import Vitals

PAUSE = 0.5
"""Seconds between two attempts."""

log = structlog.get_logger("keyturn.jobs")


@dataclass(frozen=True, slots=True)
class StartUp:
    """Checks the schema, applies the clients file, makes and loads the first keys."""

    database: Database
    rotate_keys: RotateKeys
    keyring: Keyring
    vitals: Vitals
    apply_clients: Callable[[], Awaitable[object]]
    on_started: Callable[[], Awaitable[object]]

    async def run(self) -> None:
        """Try until everything is there, then say so; waits for cancellation afterwards."""
        told = ""
        while not self.vitals.started:
            try:
                await self.run_once()
            except (Unavailable, InvalidClientMetadata) as trouble:
                if trouble.detail != told:
                    log.warning("starting", waiting_for=trouble.detail)
                told = trouble.detail
                await asyncio.sleep(PAUSE)
        await asyncio.Event().wait()

    async def run_once(self) -> None:
        """Raise `Unavailable` for what is missing, `InvalidClientMetadata` for what clashes."""
        applied, required = await applied_version(self.database), required_version()
        if applied < required:
            raise Unavailable(f"schema: {applied}, needs {required}: run `keyturn migrate`")
        await self.apply_clients()
        await self.rotate_keys.run_once()
        await self.keyring.load()
        self.vitals.mark_started()
        log.info("started", schema=applied)
        await self.on_started()
