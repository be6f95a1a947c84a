"""What a fault is: something that goes wrong for a while, and is right again when it returns."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.world import World

Inject = Callable[[World, random.Random, float], Awaitable[None]]
"""Breaks something for about so many seconds, and mends it, whatever happens meanwhile."""

SHORT = (1.5, 3.0)
"""Seconds a fault lasts, mending aside. With that it stays well below the grace: an answer lost as
one begins must have been asked for again when it is over."""
LONG = (5.0, 8.0)
"""Of those that refreshes do not wait for: longer than the bound after which what was revoked must
be refused, or a late acceptance could not show."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`id` is the row of the fault table, with a word where one row has several faults."""

    id: str
    title: str
    inject: Inject
    lasting: tuple[float, float] = SHORT
    """From and up to how many seconds."""
