"""The leader closes clients that registered themselves and were never used."""

from dataclasses import dataclass

from keyturn.jobs.leader import Leadership
from keyturn.registrations.expiry import Expiry

POST = "expire_registrations"


@dataclass(frozen=True, slots=True)
class ExpireRegistrations:
    """One look at what was never used, in the process that leads."""

    expiry: Expiry
    leadership: Leadership

    async def run_once(self) -> None:
        """Close what is due, if it is ours to do. Raises `Unavailable`."""
        if await self.leadership.leads(POST):
            await self.expiry.run()
