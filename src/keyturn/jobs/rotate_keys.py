"""Time's part in the life of a signing key: promote, retire, remove and reseal when it is due.

Every replica runs this; whoever takes the lock first does the work, the others find it done.
"""

import asyncio
from dataclasses import asdict, dataclass

import structlog

from keyturn.errors import Unavailable
from keyturn.keys.decision import Remove, Step
from keyturn.keys.rotation import KeyRotation
from keyturn.telemetry.metrics import Metrics

log = structlog.get_logger("keyturn.jobs")


@dataclass(frozen=True, slots=True)
class RotateKeys:
    """The rotation job."""

    rotation: KeyRotation
    metrics: Metrics
    interval: float
    """Seconds between two looks."""

    async def run(self) -> None:
        """Look again and again until cancelled; a database that is away is asked later."""
        while True:
            try:
                await self.run_once()
            except Unavailable as error:
                log.warning("rotate_keys_failed", reason=error.detail)
            await asyncio.sleep(self.interval)

    async def run_once(self) -> tuple[Step, ...]:
        """Do what is due now and return it. Raises `Unavailable`."""
        steps = await self.rotation.run_due()
        for step in steps:
            log.info("signing_key_changed", step=type(step).__name__, **asdict(step))
            if isinstance(step, Remove):
                self.metrics.purged("signing_keys")
        return steps
