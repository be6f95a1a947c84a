"""Once a second: the leader ends the sessions whose place another one took and never refreshed."""

from dataclasses import dataclass

from keyturn.jobs.leader import Leadership
from keyturn.sessions.step_up import StepUps

POST = "settle_step_ups"
INTERVAL = 1.0
BATCH = 100


@dataclass(frozen=True, slots=True)
class SettleStepUps:
    """One look at the step-ups that are due, in the process that leads."""

    step_ups: StepUps
    leadership: Leadership

    async def run_once(self) -> None:
        """Settle them all. Raises `Unavailable`; what is left waits for the next second."""
        if not await self.leadership.leads(POST):
            return
        while await self.step_ups.settle_due(BATCH) == BATCH:
            pass
