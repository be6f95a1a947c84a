"""How many clients may be registered: one pure decision.

Live clients are bounded, and so is what comes in a day, whatever became of it since: a closed
client keeps its row and its id for ever, so registering and deleting in turns must end, too.
"""

from dataclasses import dataclass
from typing import Final

from keyturn.errors import Refusal, Throttled
from keyturn.registration_errors import TooManyClients
from keyturn.registrations.model import InitialToken
from keyturn.settings_registration import RegistrationSettings

LATER: Final = 3600
"""Seconds after which somebody may look again who came when the day was full."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How many there are before the next one."""

    live: int
    today: int
    here: int
    """Of those of the last day, without a token and from the same address."""


def objection(
    standing: Standing, settings: RegistrationSettings, token: InitialToken | None
) -> Refusal | None:
    """Return why nobody may register now, or None."""
    if token is not None and token.used >= token.uses:
        return TooManyClients("quota: of the initial access token")
    if standing.live >= settings.most_clients:
        return TooManyClients("quota: live clients")
    if standing.today >= settings.most_per_day:
        return Throttled("quota: registrations of a day", retry_after=LATER)
    if token is None and standing.here >= settings.most_per_address:
        return Throttled("quota: registrations of an address", retry_after=LATER)
    return None
