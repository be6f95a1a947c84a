"""How long a session lives: until its absolute end, and no longer unused than its idle limit."""

from dataclasses import dataclass
from datetime import timedelta

from keyturn.clients.model import Client
from keyturn.settings import SessionsSettings


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The two limits of one session, and whether its cookie outlives the browser."""

    absolute: timedelta
    idle: timedelta
    remembered: bool | None


def choose(settings: SessionsSettings, client: Client, *, remember_me: bool | None) -> Lifetimes:
    """Pick the limits: what the person chose, else what the client has, else the default.

    A client's own absolute lifetime is a ceiling over all three choices.
    """
    chosen = {
        None: settings.absolute_lifetime,
        True: settings.remembered_lifetime,
        False: settings.unremembered_lifetime,
    }[remember_me]
    absolute = timedelta(seconds=chosen)
    if client.absolute_lifetime is not None:
        absolute = min(absolute, client.absolute_lifetime)
    idle = client.idle_lifetime or timedelta(seconds=settings.idle_lifetime)
    return Lifetimes(absolute, min(idle, absolute), remember_me)
