"""What a verifier does not make itself: all of it is handed in."""

from collections.abc import Callable
from dataclasses import dataclass

from keyturn_verifier.clock import Clock
from keyturn_verifier.fetch import Fetch
from keyturn_verifier.observer import Observer

Jitter = Callable[[], float]
"""A random number of at least 0 and less than 1; 0 is the latest moment allowed."""


@dataclass(frozen=True)
class Surroundings:
    """The network, time, chance, and whoever counts."""

    fetch: Fetch
    clock: Clock
    jitter: Jitter
    observer: Observer
