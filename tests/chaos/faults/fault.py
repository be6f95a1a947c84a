"""What a fault is: something that goes wrong for a while, and is right again when it returns."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.world import World

Inject = Callable[[World, random.Random, float], Awaitable[None]]
"""Breaks something for about so many seconds, and mends it, whatever happens meanwhile."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`id` is the row of the fault table, with a word where one row has several faults."""

    id: str
    title: str
    inject: Inject
